"""Accuracy, fairness and retrieval under a shift, and the tests of what it gains."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mindgap.config.downstream import Shifts
from mindgap.downstream.classes import (
    Labelled,
    Labels,
    array_labels,
    class_names,
    class_vectors,
    direction_rows,
    prompt_texts,
    read_labels,
    vectors_of_rows,
)
from mindgap.downstream.fairness import check_groups, confusion, measure_rates
from mindgap.downstream.models import correlate, gather, kendall
from mindgap.downstream.retrieval import retrieval_curve, shifted_ranks
from mindgap.downstream.significance import (
    best_shift,
    chi_squared,
    judge_shifts,
    mcnemar,
    paired_interval,
    rate_interval,
)
from mindgap.downstream.zero_shot import accuracy_curve, classify, roc_auc
from mindgap.embed.store import Embeddings, save_embeddings
from mindgap.gap.cosines import unit_rows
from mindgap.gap.retrieval import match_ranks
from mindgap.runtime.errors import UserError
from mindgap.shift.landscape import landscape
from mindgap.shift.moves import (
    amounts,
    gap_direction,
    shift_axis,
    shifted_distance,
)

SHIFTS = np.array([-1.5, -0.5, 0.0, 0.25, 0.8])


@pytest.fixture
def pairs(clouds):
    return [unit_rows(rows) for rows in clouds(60, 12)]


def slow_shift(x, y, u, delta, sides):
    """Both sets under a shift, straight from the definition."""
    a, b = {"both": (0.5, 0.5), "a": (1, 0), "b": (0, 1)}[sides]
    return unit_rows(x - a * delta * u), unit_rows(y + b * delta * u)


# Shifts


@pytest.mark.parametrize("sides", ["both", "a", "b"])
def test_classification_is_that_of_moved_and_normalised_rows(pairs, sides):
    x, y = pairs
    classes = y[:5]
    u = gap_direction(x, classes)
    found = classify(x, classes, u, SHIFTS, sides)
    for k, delta in enumerate(SHIFTS):
        moved, prompts = slow_shift(x, classes, u, delta, sides)
        assert (found.predicted[k] == (moved @ prompts.T).argmax(axis=1)).all()
        centres = moved.mean(axis=0) - prompts.mean(axis=0)
        signed = np.sign(centres @ u) * np.linalg.norm(centres)
        assert found.distance[k] == pytest.approx(signed, abs=1e-12)


def test_distance_is_that_of_the_landscape(pairs):
    x, y = pairs
    expected = landscape(x, y, SHIFTS, [10.0]).distance
    ours = shifted_distance(x, y, gap_direction(x, y), SHIFTS, "both")
    np.testing.assert_allclose(ours, expected, atol=1e-12)  # both float64, rows far from the origin


def test_two_classes_have_the_area_of_the_softmax(pairs):
    x, y = pairs
    u = gap_direction(x, y[:2])
    truth = (np.arange(60) % 3 == 0).astype(int)
    table = accuracy_curve(classify(x, y[:2], u, SHIFTS, "both"), truth)
    for k, delta in enumerate(SHIFTS):
        moved, prompts = slow_shift(x, y[:2], u, delta, "both")
        logits = 10 * moved @ prompts.T
        score = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
        above = np.mean(
            [
                np.mean((s > score[truth == 0]) + 0.5 * (s == score[truth == 0]))
                for s in score[truth == 1]
            ]
        )
        assert table["roc_auc"][k] == pytest.approx(above, abs=1e-12)
    assert np.isnan(roc_auc(np.arange(3.0), np.zeros(3, bool)))
    assert roc_auc(np.zeros(4), np.array([True, False, True, False])) == 0.5


def test_balanced_accuracy_counts_each_class_once():
    class Found:
        predicted = np.array([[0, 0, 0, 1]])
        shifts, distance, margin = np.zeros(1), np.zeros(1), None

    row = accuracy_curve(Found, np.array([0, 0, 0, 1])[::1])
    assert row["accuracy"][0] == 1
    row = accuracy_curve(Found, np.array([0, 0, 1, 1]))
    assert (row["accuracy"][0], row["balanced_accuracy"][0]) == (0.75, 0.75)


def test_no_shift_is_always_on_the_axis():
    assert shift_axis(Shifts(start=-0.5, stop=0.7, step=0.3)).tolist() == [
        -0.5,
        -0.2,
        0,
        0.1,
        0.4,
        0.7,
    ]


def test_direction_comes_from_the_prompts_or_from_a_set_of_pairs(pairs, tmp_path):
    x, y = pairs
    known = Labelled(x[:9], y[:9], Labels(("0",), np.zeros(9, int)), y[:4])
    for rows, expected in zip(direction_rows(None, known), (x[:9], y[:4]), strict=True):
        np.testing.assert_array_equal(rows, expected)
    save_embeddings(
        tmp_path / "p.safetensors",
        Embeddings({"image": x, "text": y}, about={"modalities": ["image", "text"]}),
    )
    other = gap_direction(*direction_rows(tmp_path / "p.safetensors", known))
    np.testing.assert_allclose(other, gap_direction(x, y), atol=1e-6)  # kept as float32
    with pytest.raises(UserError, match="the two modalities have equal means"):
        gap_direction(x, x)


def test_a_row_moved_onto_the_origin_is_refused():
    x, y = np.eye(3)[:2], np.eye(3)[2:]
    with pytest.raises(UserError, match="moves a row onto the origin"):
        classify(x, y, np.array([1.0, 0, 0]), np.array([1.0]), "a")


# Retrieval


@pytest.mark.parametrize("sides", ["both", "a", "b"])
def test_ranks_are_those_of_moved_rows_with_several_captions(pairs, sides):
    x, y = pairs
    items = np.sort(np.random.default_rng(0).integers(0, 20, 60))  # up to several captions an item
    items[:20] = np.arange(20)
    u, one = gap_direction(x, y), np.arange(20)
    y[7] = y[3]  # a tie with another item counts against the model
    ranks = shifted_ranks(x[:20], y, one, items, u, amounts(SHIFTS, sides))
    back = shifted_ranks(y, x[:20], items, one, -u, [(b, a) for a, b in amounts(SHIFTS, sides)])
    for k, delta in enumerate(SHIFTS):
        moved, texts = slow_shift(x[:20], y, u, delta, sides)
        assert (ranks[k] == match_ranks(moved, texts, one, items)).all()
        assert (back[k] == match_ranks(texts, moved, items, one)).all()


def test_retrieval_asks_a_sample_of_the_whole_gallery(pairs):
    x, y = pairs
    found = Embeddings({"image": 3 * x, "text": y})
    table = retrieval_curve(found, SHIFTS, "both", queries=25, seed=1)
    assert set(table["queries"]) == {25}
    assert set(table["gallery"]) == {60}
    whole = retrieval_curve(found, SHIFTS, "both", queries=999, seed=1)
    none = whole[whole["shift"] == 0].set_index("direction")
    ranks = match_ranks(x, y, np.arange(60), np.arange(60))
    assert none.loc["ab", "recall_at_5"] == (ranks < 5).mean()
    assert none.loc["ab", "median_rank"] == np.median(ranks) + 1
    assert none.loc["ab", "distance"] == pytest.approx(np.linalg.norm(x.mean(0) - y.mean(0)))
    five = Embeddings({"image": x[:12], "text": y}, {"text": np.repeat(np.arange(12), 5)})
    table = retrieval_curve(five, SHIFTS, "a", queries=999, seed=1)
    assert table.groupby("direction")["queries"].first().to_dict() == {"ab": 12, "ba": 60}


# Tests and intervals


def test_mcnemar_is_the_binomial_test_of_the_changed_items():
    before = np.array([1] * 5 + [0] * 9 + [1] * 30, bool)
    after = np.array([0] * 5 + [1] * 9 + [1] * 30, bool)
    assert mcnemar(before, after) == pytest.approx(stats.binomtest(9, 14).pvalue)
    assert mcnemar(before, before) == 1


def test_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(0)
    covered = wilson = 0
    for _ in range(400):
        before = rng.random(80) < 0.6
        after = np.where(rng.random(80) < 0.3, rng.random(80) < 0.9, before)  # true change: +0.09
        low, high = paired_interval(before, after, 0.9)
        covered += low <= 0.09 <= high
        low, high = rate_interval(before.sum(), 80, 0.9)
        wilson += low <= 0.6 <= high
    assert 0.86 <= covered / 400 <= 0.94
    assert 0.86 <= wilson / 400 <= 0.94
    assert rate_interval(0, 50, 0.95)[0] == 0


def test_published_p_values_need_unrounded_counts():
    assert chi_squared(0.5494 * 27000, 0.5686 * 27000, 27000, 27000) == pytest.approx(
        7.020e-6, abs=5e-10
    )
    rounded = chi_squared(round(0.5494 * 27000), round(0.5686 * 27000), 27000, 27000)
    assert rounded == pytest.approx(7.136e-6, abs=5e-10)
    assert np.isnan(chi_squared(0, 0, 10, 10))


def test_of_equal_shifts_the_shortest_is_best():
    assert best_shift(np.array([0.8, 0.8, 0.7]), np.array([-2.0, 0.5, 0.0])) == 1


def test_a_shift_chosen_on_the_test_set_looks_better_than_it_is():
    """Pure chance: 39 shifts that are all as good as none, chosen by their luck."""
    rng = np.random.default_rng(3)
    shifts = np.arange(-20, 20) / 4
    luck, held, alarms, corrected = [], [], 0, 0
    for seed in range(40):
        rows = {
            r["procedure"]: r for r in judge_shifts(rng.random((40, 200)) < 0.5, shifts, 0.95, seed)
        }
        luck.append(rows["published"]["difference"])
        held.append(rows["held_out_1"]["difference"])
        alarms += rows["published"]["p"] < 0.05
        corrected += rows["corrected"]["p"] < 0.05
    assert np.mean(luck) > 0.05
    assert abs(np.mean(held)) < 0.025
    assert alarms > 10 >= corrected


def test_the_rows_of_a_test_say_what_was_chosen_where():
    correct = np.zeros((3, 40), bool)
    correct[0, :20], correct[1, :10] = True, True  # shift -1 gains ten items, shift 1 loses all
    rows = {r["procedure"]: r for r in judge_shifts(correct, np.array([-1.0, 0, 1]), 0.95, 0)}
    assert rows["published"]["shift"] == -1
    assert rows["published"]["difference"] == 0.25
    assert rows["published"]["p"] == pytest.approx(chi_squared(10, 20, 40, 40))
    assert rows["paired"]["p"] == pytest.approx(2 * 0.5**10)
    assert rows["corrected"]["p"] == pytest.approx(2 * rows["paired"]["p"])
    assert rows["held_out_1"]["n"] + rows["held_out_2"]["n"] == 40
    assert {r["chosen_on"] for r in rows.values()} == {"evaluation", "calibration"}


# Classes


def test_ensembles_average_unit_vectors_and_normalise_again():
    rows = np.array([[2.0, 0], [0, 5.0], [1, 1]], np.float32)
    embedded = Embeddings({"text": rows}, about={"texts": ["a cat", "the cat", "a dog"]})
    vectors = class_vectors([["a cat", "the cat"], ["a dog"]], embedded, "text")
    np.testing.assert_allclose(vectors, np.sqrt([[0.5, 0.5], [0.5, 0.5]]))
    with pytest.raises(UserError, match="has no prompt among the embedded ones"):
        class_vectors([["a bird"]], embedded, "text")
    assert prompt_texts(["a {}", "{a} {}!"], ("owl",)) == [["a owl", "an owl!"]]


def test_texts_of_the_items_are_the_prompts_of_their_classes():
    texts = unit_rows(np.array([[1.0, 0], [1, 0], [0, 1]]))
    labels = Labels(("cat", "dog"), np.array([0, 0, 1]))
    np.testing.assert_allclose(vectors_of_rows(texts, labels), np.eye(2))
    with pytest.raises(UserError, match="the class 'owl' has no prompt"):
        vectors_of_rows(texts, Labels(("cat", "dog", "owl"), np.array([0, 0, 1])))


def test_classes_are_the_listed_ones_or_those_that_occur(tmp_path):
    from mindgap.data.pairs import write_pairs

    assert class_names({"races": {"A": "a", "B": "b"}, "genders": {"m": "man"}}, []) == (
        "a man",
        "b man",
    )
    assert class_names({"folders": {"X": "x land"}}, []) == ("x land",)
    path = tmp_path / "p.parquet"
    write_pairs(
        path, [{"id": ["0", "1", "2"], "label": ["dog", "cat", "dog"], "group": ["u", "v", None]}]
    )
    labels = read_labels(path, np.array([0, 2]))
    assert labels.names == ("cat", "dog"), "whatever could be embedded, the classes stay"
    assert labels.numbers.tolist() == [1, 1]
    assert labels.groups.tolist() == ["u", None]
    with pytest.raises(UserError, match="the label 'dog' is none of the 1 classes"):
        read_labels(path, np.array([0, 1]), {"classes": ["cat"]})
    write_pairs(path, [{"id": ["0"]}])
    with pytest.raises(UserError, match="has no column 'label'"):
        read_labels(path, np.array([0]))


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ([0, 1, 2], "the label 2 of row 2 is none of the 2 classes"),
        ([0, -1, 1], "the label -1 of row 1 is none"),
        ([0, 1], "one for each of the 3 items"),
        ([0.0, 1.0, 0.0], "whole numbers"),
    ],
)
def test_labels_of_arrays_are_numbers_of_classes(tmp_path, numbers, sentence):
    np.save(tmp_path / "l.npy", np.array(numbers))
    with pytest.raises(UserError, match=sentence):
        array_labels(str(tmp_path / "l.npy"), 3, ["cat", "dog"])


# Fairness


def test_rates_by_hand():
    truth, groups = np.array([0, 0, 1, 1] * 5), np.array(["u", "v"] * 10, object)
    predicted = np.stack([truth, np.where(np.arange(20) < 8, 2, truth)])
    shifts, bad = np.array([0.0, -0.5]), {"bad": np.array([2, 3]), "worse": np.array([4])}
    table = measure_rates(predicted, truth, groups, bad, shifts, ["u", "v"], 0.95)
    row = table.set_index(["shift", "group", "category"]).loc[(-0.5, "u", "bad")]
    assert (row["n"], row["count"], row["rate"], row["change"]) == (10, 4, 0.4, 0.4)
    assert row["p"] == pytest.approx(2 * 0.5**4)
    whole = table[(table["shift"] == -0.5) & (table["group"] == "all")].set_index("category")
    assert whole.loc["sum", "count"] == 8
    assert whole.loc["accuracy", "count"] == 12
    assert whole.loc["worse", "count"] == 0
    assert (table.loc[table["shift"] == 0, "change"] == 0).all()
    counts = confusion(predicted, truth, groups, shifts, ["a", "b", "c", "d", "e"])
    assert counts["count"].sum() == 40
    moved = counts[(counts["shift"] == -0.5) & (counts["predicted"] == "c")]
    assert moved.groupby("label")["count"].sum().to_dict() == {"a": 4, "b": 4}


def test_groups_are_chosen_by_name_and_tiny_ones_refused():
    groups = np.array(["u"] * 12 + ["v"] * 9, object)
    assert check_groups(groups, ["u"]) == ["u"]
    with pytest.raises(UserError, match="the group 'v' has 9 items, and a rate needs 10 or more"):
        check_groups(groups, None)
    with pytest.raises(UserError, match=r"no item is in the group 'w' \(known: u, v\)"):
        check_groups(groups, ["w"])
    with pytest.raises(UserError, match="this set has none"):
        check_groups(None, None)


# Many models


def test_kendall_permutes_exactly_where_it_can():
    tau, p = kendall(np.arange(5.0), np.array([1.0, 2, 4, 3, 5]), 10000, 0)
    assert tau == pytest.approx(0.8)
    assert p == pytest.approx(2 * 5 / 120)  # 5 of 120 orders have tau >= 0.8
    assert np.isnan(kendall(np.arange(4.0), np.ones(4), 100, 0)).all()
    rng = np.random.default_rng(1)
    a = np.round(rng.random(9), 1)  # ties
    b = a + 0.4 * rng.random(9)
    tau, p = kendall(a, b, 4000, 0)
    assert tau == stats.kendalltau(a, b).statistic
    slow = [
        abs(stats.kendalltau(rng.permutation(a), b).statistic) >= tau - 1e-12 for _ in range(2000)
    ]
    assert p == pytest.approx(np.mean(slow), abs=4 * np.sqrt(p / 2000) + 1e-3)


def test_models_are_compared_within_a_set():
    gaps = pd.DataFrame(
        {
            "model": list("abcde") * 2,
            "dataset": ["one"] * 5 + ["two"] * 5,
            "gap": [0.1, 0.2, 0.3, 0.4, 0.5] * 2,
            "recall_at_1_ab": [5, 4, 3, 2, 1, 1, 2, 3, 4, 5],
        }
    )
    curves = pd.DataFrame({"model": list("ab"), "task": "t", "shift": 0.0, "accuracy": [0.5, 0.6]})
    table = gather(gaps, curves, None)
    assert table["accuracy_t"].notna().sum() == 4
    found = correlate(table, 1000, 0).set_index("over")
    assert found.loc["one", "tau"] == pytest.approx(-1)
    assert found.loc["two", "tau"] == pytest.approx(1)
    assert set(found["score"]) == {"recall_at_1_ab"}, "two models are no ranking"
