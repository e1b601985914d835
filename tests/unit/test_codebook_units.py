"""Measures of units: against scikit-learn, written-out counts and closed forms; nulls at their expectation."""

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import homogeneity_score, mutual_info_score, v_measure_score
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

from mindgap.codebook.alignment import align_picture, align_sound, align_text
from mindgap.codebook.unit_figures import figure_units, sort_codes
from mindgap.codebook.unit_tables import (
    NONE,
    crossings_table,
    labels_table,
    measure_units,
    queries_table,
    unit_row,
    units_table,
)
from mindgap.codebook.units import (
    boundary_scores,
    change_times,
    cluster_purity,
    count_words,
    detection,
    entropy,
    joint_counts,
    label_purity,
    label_shares,
    match_boundaries,
    mutual_information,
    pnmi,
    pointing_game,
    query_places,
    shuffle_codes,
    v_measure,
)
from mindgap.data.digits import WORDS

EXACT = 1e-12


def tokens(seed, n=500, kinds=7, size=12, tie=0.5):
    """Labels and codes of tokens, of which a share `tie` agrees."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(kinds, size=n)
    codes = np.where(rng.random(n) < tie, labels, rng.integers(size, size=n))
    return labels, codes


@pytest.mark.parametrize("seed", range(5))
def test_measures_are_those_of_scikit_learn(seed):
    labels, codes = tokens(seed, tie=seed / 5)
    counts = joint_counts(labels, codes, 7, 12)
    table = contingency_matrix(labels, codes)
    assert counts[:, counts.sum(0) > 0].tolist() == table.tolist()
    assert mutual_information(counts) == pytest.approx(mutual_info_score(labels, codes), abs=EXACT)
    assert pnmi(counts) == pytest.approx(homogeneity_score(labels, codes), abs=EXACT)
    assert v_measure(counts) == pytest.approx(v_measure_score(labels, codes), abs=EXACT)
    assert label_purity(counts) == pytest.approx(table.max(0).sum() / len(labels), abs=EXACT)
    assert cluster_purity(counts) == pytest.approx(table.max(1).sum() / len(labels), abs=EXACT)


@pytest.mark.parametrize("seed", range(3))
def test_measures_are_those_of_hubert_written_out(seed):
    """`comp_purity` and `comp_norm_mutual_info` token by token, without their 1e-8."""
    labels, codes = tokens(seed)
    n, own = len(labels), dict.fromkeys(range(12), 0)
    joint = {pair: 0 for pair in itertools.product(range(7), range(12))}
    for label, code in zip(labels.tolist(), codes.tolist(), strict=True):
        joint[label, code] += 1
    for code in own:
        own[code] = max(joint[label, code] for label in range(7))
    p_label = [sum(joint[c, v] for v in range(12)) / n for c in range(7)]
    p_code = [sum(joint[c, v] for c in range(7)) / n for v in range(12)]
    mi = sum(k / n * np.log(k / n / p_label[c] / p_code[v]) for (c, v), k in joint.items() if k)
    h = -sum(p * np.log(p) for p in p_label)
    counts = joint_counts(labels, codes, 7, 12)
    assert label_purity(counts) == pytest.approx(sum(own.values()) / n, abs=EXACT)
    assert pnmi(counts) == pytest.approx(mi / h, abs=EXACT)


def test_closed_forms():
    perfect, none = np.diag([3, 5, 2]), np.outer([2, 4], [3, 1, 1])
    assert (label_purity(perfect), cluster_purity(perfect)) == (1, 1)
    assert pnmi(perfect) == pytest.approx(1, abs=EXACT)
    assert v_measure(perfect) == pytest.approx(1, abs=EXACT)
    assert pnmi(none) == pytest.approx(0, abs=EXACT)
    assert (label_purity(none), cluster_purity(none)) == pytest.approx((4 / 6, 3 / 5))
    # One code for each token removes all doubt, though it says nothing: what the null is for.
    alone = np.zeros((2, 6), int)
    alone[[0, 0, 0, 1, 1, 1], range(6)] = 1
    assert pnmi(alone) == pytest.approx(1, abs=EXACT)
    assert v_measure(alone) == pytest.approx(2 * np.log(2) / (np.log(2) + np.log(6)), abs=EXACT)
    assert np.isnan(pnmi(np.array([[2, 3]])))
    assert v_measure(np.array([[5]])) == 1
    assert entropy(np.full(8, 1 / 8)) == pytest.approx(np.log(8))
    shares = label_shares(np.array([[1, 0], [3, 0]]))
    assert shares[:, 0].tolist() == [0.25, 0.75]
    assert np.isnan(shares[:, 1]).all()


def test_tokens_without_label_or_code_do_not_count():
    labels, codes = np.array([[0, 1, -1], [2, 0, 1]]), np.array([[4, -1, 3], [0, 4, 0]])
    counts = joint_counts(labels, codes, 3, 5)
    assert counts.sum() == 4
    assert (counts[0, 4], counts[2, 0], counts[1, 0]) == (2, 1, 1)


def test_shuffled_codes_are_as_good_as_expected_of_chance():
    """The mean over shuffles of the mutual information is that of the hypergeometric model."""
    labels, codes = tokens(0, n=300)
    padded = np.append(codes, [-1, -1]).reshape(-1, 2)
    rng = np.random.default_rng(1)
    found = []
    for _ in range(400):
        mixed = shuffle_codes(padded, rng)
        assert (mixed[-1] == -1).all()
        assert sorted(mixed.ravel()) == sorted(padded.ravel())
        found.append(mutual_information(joint_counts(labels, mixed.ravel()[:-2], 7, 12)))
    table = contingency_matrix(labels, codes).astype(np.int64)
    expected = expected_mutual_information(table, len(labels))
    # Five standard errors of the mean.
    assert abs(np.mean(found) - expected) < 5 * np.std(found) / len(found) ** 0.5
    # The usual approximation, (C - 1)(V - 1) / 2N, is near it too.
    assert np.mean(found) == pytest.approx(6 * 11 / 2 / len(labels), rel=0.15)
    assert np.mean(found) < 0.3 * mutual_information(joint_counts(labels, codes, 7, 12))


def spoken(*words):
    return [{"word": word, "start": start, "end": end} for word, start, end in words]


def test_words_in_time():
    """Frames of 40 ms: precision by the centre within 40 ms, recall by the frames that overlap."""
    words = [spoken(("seven", 0.11, 0.31), ("two", 0.51, 0.63))]
    codes = np.array([[9, 9, 1, 1, 1, 1, 1, 1, 1, 9, 9, 9, 9, 2, 2, 2, 2, -1]])
    side = align_sound(codes, 10, words, 0.04)
    seven, two = WORDS.index("seven"), WORDS.index("two")
    # Centres are 0.02, 0.06, 0.10, ...: those from 0.07 to 0.35 are near.
    assert np.flatnonzero(side.near[0, :, seven]).tolist() == list(range(2, 9))
    labels = [10] * 3 + [seven] * 5 + [10] * 5 + [two] * 3 + [10] + [-1]
    assert side.labels[0].tolist() == labels
    assert np.flatnonzero(side.spans[0]).tolist() == [2, 3, 4, 5, 6, 7]
    assert np.flatnonzero(side.spans[1]).tolist() == [12, 13, 14, 15]
    precision, recall, f1 = side.detect()
    # Code 2 is near from 0.47 to 0.67 alone, which is all of it; code 9 has one frame of six there.
    assert (precision[1, seven], precision[2, two], precision[9, two]) == (1, 1, 1 / 6)
    assert (recall[1, seven], recall[2, seven], recall[9, two]) == (1, 0, 1)
    assert f1[9, two] == pytest.approx(2 / 7)
    assert side.cover[0, 2] == pytest.approx(0.25)  # from 0.11 to 0.12
    assert side.cover.sum(1) * 0.04 == pytest.approx([0.20, 0.12])


@pytest.mark.parametrize("seed", range(3))
def test_detection_is_counting(seed):
    """As `comp_code_to_wordprec`, `comp_word_to_coderecall` and `compute_f1` count."""
    rng = np.random.default_rng(seed)
    n, length, size = 6, 20, 5
    codes = rng.integers(-1, size, (n, length))
    item, word = rng.integers(n, size=15), rng.integers(10, size=15)
    spans, near = rng.random((15, length)) < 0.3, rng.random((n, length, 10)) < 0.2
    precision, recall, f1 = detection(codes, near, spans, item, word, size)
    for code, one in itertools.product(range(size), range(10)):
        at = codes == code
        p = near[at][:, one].mean() if at.any() else 0
        own = [w for w in range(15) if word[w] == one]
        r = np.mean([(spans[w] & at[item[w]]).any() for w in own]) if own else 0
        assert precision[code, one] == pytest.approx(p, abs=EXACT)
        assert recall[code, one] == pytest.approx(r, abs=EXACT)
        assert f1[code, one] == pytest.approx(2 * p * r / (p + r) if p + r else 0, abs=EXACT)
    assert count_words(f1, 0.3) == sum(f1[:, one].max() >= 0.3 for one in range(10))


@pytest.mark.parametrize("seed", range(20))
def test_boundaries_are_matched_as_well_as_can_be(seed):
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(seed)
    found, true = (np.sort(rng.random(k)) for k in rng.integers(1, 12, 2))
    close = np.abs(found[:, None] - true) <= 0.05
    rows, columns = linear_sum_assignment(-close.astype(float))
    assert match_boundaries(found, true, 0.05) == close[rows, columns].sum()


def test_boundary_scores():
    perfect = boundary_scores(8, 8, 8)
    assert [
        perfect[k] for k in ("boundary_precision", "boundary_recall", "boundary_f1", "r_value")
    ] == [pytest.approx(1)] * 4
    # Every true boundary found, and as many wrong ones: OS = 1, r1 = 1, r2 = -1 / sqrt(2).
    twice = boundary_scores(8, 16, 8)
    assert twice["boundary_f1"] == pytest.approx(2 / 3)
    assert twice["r_value"] == pytest.approx(1 - (1 + 2**-0.5) / 2)
    # Half of them found and nothing else: OS = -1/2, r1 = sqrt(1/2), r2 = 0.
    half = boundary_scores(4, 4, 8)
    assert half["r_value"] == pytest.approx(1 - 0.5**0.5 / 2)
    assert boundary_scores(0, 0, 8)["boundary_precision"] == 0
    assert change_times(np.array([3, 3, 5, 5, 3, -1, -1]), 0.04) == pytest.approx([0.08, 0.16])


def boxes(*places):
    keys = ("word", "left", "top", "right", "bottom")
    return [dict(zip(keys, place, strict=True)) for place in places]


def test_digits_in_cells():
    """A picture of 4 x 4 cells of 8 pixels: the label is by area, nearness by touch."""
    places = [boxes(("three", 0, 0, 12, 8), ("one", 9, 9, 11, 23))]
    codes = np.arange(16)[None]
    side = align_picture(codes, 16, places, 4, 32)
    three, one = WORDS.index("three"), WORDS.index("one")
    labels = np.full(16, 10)
    labels[[0, 1]] = three
    assert side.labels[0].tolist() == labels.tolist()  # "one" covers 0.22 of cell 5 and of cell 9
    assert np.flatnonzero(side.near[0, :, three]).tolist() == [0, 1]
    assert np.flatnonzero(side.near[0, :, one]).tolist() == [5, 9]
    assert side.cover[0, [0, 1]] == pytest.approx([1, 0.5])
    assert side.cover.sum(1) * 64 == pytest.approx([96, 28])


def test_names_in_texts():
    side = align_text(
        np.array([[4, 2, -1], [1, 4, 3]]),
        5,
        [
            spoken(("two", 0, 0), ("nine", 0, 0)),
            spoken(("one", 0, 0), ("two", 0, 0), ("six", 0, 0)),
        ],
    )
    assert side.labels.tolist() == [[2, 9, -1], [1, 2, 6]]
    precision, recall, _ = side.detect()
    assert (precision[4, 2], recall[4, 2], precision[2, 9]) == (1, 1, 1)


def test_pointing_game_and_overlap():
    fires = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]], bool)
    touched = np.array([[1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 1, 1]], bool)
    hits, chance, iou = pointing_game(fires, touched, np.ones((3, 4), bool))
    assert (hits[0], hits[2]) == (0.5, 1)
    assert np.isnan(hits[1])
    assert chance.tolist() == [0.5, 0.25, 0.5]
    assert iou == pytest.approx([1 / 3, 0, 1])


def test_queries_of_equal_masses_answer_by_area():
    cover = np.array([[1.0, 0.5, 0, 0], [0, 0, 1, 0]])
    every = cover + np.array([[0, 0, 1, 0], [0, 0.5, 0, 0]])
    cells = np.array([[0, 0, 1, 2], [3, 3, 4, 3]])
    same = query_places(np.full((2, 5), 0.2), cells, cover, every)
    assert same["inside"] == pytest.approx([1.5 / 4, 1 / 4]) == same["area"]
    assert same["among"] == pytest.approx([1.5 / 2.5, 1 / 1.5]) == same["among_area"]
    # Codes 0 and 4 are those of the right boxes; a word of code 2 finds nothing in the first.
    one = query_places(np.eye(5)[[0, 4]], cells, cover, every)
    assert one["inside"] == pytest.approx([0.75, 1])
    assert one["among"] == pytest.approx([1, 1])
    none = query_places(np.eye(5)[[3, 0]], cells, cover, every)
    assert none["answered"].tolist() == [0, 0]
    assert (none["inside"] == none["area"]).all()


def planted(n=200, seed=0, crossed=True):
    """Scenes of two digits; code k of a word or box is its digit, in speech 15 - digit unless crossed."""
    rng = np.random.default_rng(seed)
    words, places = [], []
    a, b = np.full((n, 16), 10), np.full((n, 30), 10)
    b[:, 28:] = -1
    for i in range(n):
        x, y = rng.permutation(10)[:2]
        words.append(spoken((WORDS[x], 0.08, 0.4), (WORDS[y], 0.56, 0.88)))
        places.append(boxes((WORDS[y], 0, 0, 16, 8), (WORDS[x], 16, 16, 24, 32)))
        a[i, [0, 1]], a[i, [10, 14]] = y, x
        b[i, 2:10], b[i, 14:22] = (x, y) if crossed else (15 - x, 15 - y)
    pair = align_picture(a, 20, places, 4, 32), align_sound(b, 20, words, 0.04)
    return pair, words


def test_planted_units_are_perfect_and_their_nulls_are_not():
    pair, words = planted()
    units = units_table(pair, ("image", "audio"), words, 0.04, 0).set_index("kind")
    for kind in ("image", "audio"):
        for measure in ("label_purity", "cluster_purity", "pnmi", "v_measure", "pnmi_inside"):
            assert units.loc[kind, measure] == pytest.approx(1, abs=1e-9), (kind, measure)
        assert units.loc[kind, "pnmi_null"] < 0.1
        assert units.loc[kind, "words"] == 10
        assert units.loc[kind, "words_null"] == 0
        assert units.loc[kind, "pointing"] == 1
        assert units.loc[kind, "iou"] == pytest.approx(1)
        assert units.loc[kind, "iou_null"] < 0.2
    assert units.loc["audio", "boundary_f1"] == pytest.approx(1)
    assert units.loc["audio", "r_value"] == pytest.approx(1)
    assert units.loc["audio", "boundary_f1_null"] < 0.5
    assert units.loc["audio", "codes_per_second"] == 25
    assert np.isnan(units.loc["image", "r_value"])


def test_a_code_of_its_own_means_the_digit_in_both():
    shared, _ = planted()
    apart, _ = planted(crossed=False)
    both = crossings_table(shared, 0)
    assert both["own"].all()
    assert not both["own_null"].any()
    assert both["precision_b"].tolist() == [1] * 30
    none = crossings_table(apart, 0)
    assert not none["own"].any()
    from_pictures = none[none["chosen_on"] == "a"]
    # Code k of pictures is in speech the code of 15 - k: another digit, or none.
    assert (from_pictures["precision_b"] == 0).all()
    assert (from_pictures["f1_a"] == 1).all()
    assert (from_pictures["top_b"] != from_pictures["word"]).all()


def test_spoken_words_find_their_digit():
    pair, words = planted()
    found = queries_table(pair, ("image", "audio"), 0)
    assert list(found["word"]) == list(WORDS)
    assert found[["inside", "among"]].to_numpy() == pytest.approx(np.ones((10, 2)))
    assert found["answered"].tolist() == [1] * 10
    assert found["area"].to_numpy() == pytest.approx(2 / 16)
    assert (found["inside_null"] < 0.3).all()
    apart, _ = planted(crossed=False)
    missed = queries_table(apart, ("image", "audio"), 0)
    right = missed["inside"] - missed["area"]
    assert (right <= 1e-12).all()  # a wrong box or no answer, which counts as chance
    assert not len(queries_table(pair[::-1], ("audio", "text"), 0))
    row = unit_row(
        units_table(pair, ("image", "audio"), words, 0.04, 0), crossings_table(pair, 0), found
    )
    assert row["own_codes"] == 10
    assert row["query_above"] == pytest.approx(1 - 2 / 16)
    assert row["query_among"] == pytest.approx(0.5)
    assert row["crossing_above_ab"] > 0.7


def test_taking_all_items_changes_nothing_and_order_does_not_matter():
    pair, words = planted(40)
    whole = pair[1].detect()
    order = np.random.default_rng(0).permutation(40)
    for one, other in zip(whole, pair[1].take(order).detect(), strict=True):
        np.testing.assert_allclose(one, other, atol=EXACT)
    some = pair[0].take(np.arange(10))
    assert some.counts().sum() == 160
    assert len(some.item) == 20
    first = measure_units(pair[0], "image", words, 0.04, 0)
    assert first == measure_units(pair[0], "image", words, 0.04, 0)


def test_codes_are_sorted_by_digit_alike_in_both():
    pair, words = planted()
    labels = labels_table(pair)
    codes, shares = sort_codes(labels)
    # Code 10 stands for no digit, so that it comes with the first of equals, zero.
    assert [code for code in codes if code < 10] == list(range(10))
    for side in "ab":
        digits = [int(shares[side][:10, i].argmax()) for i in range(len(codes))]
        assert digits == sorted(digits)
    assert set(labels["label"]) == {*WORDS, NONE}
    assert labels["tokens"].sum() == sum((side.codes >= 0).sum() for side in pair)
    units = units_table(pair, ("image", "audio"), words, 0.04, 0)
    figure = figure_units(labels, units, crossings_table(pair, 0))
    assert len(figure.axes) == 3
    assert isinstance(labels, pd.DataFrame)
