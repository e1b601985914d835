"""Fixes compared on held-out items: oracles, invariances, and what the decision says."""

import numpy as np
import pandas as pd
import pytest

import mindgap
from mindgap.downstream.mixed import Corpora, ndcg, rank_everything
from mindgap.downstream.scores import (
    INVERSE_TEMPERATURE,
    invert_softmax,
    normalise_by_querybank,
    standardise_scores,
)
from mindgap.downstream.trial import Rows, split, try_rows
from mindgap.gap.cosines import unit_rows
from mindgap.runtime.errors import UserError


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 12)), rng.normal(size=(5, 12)), np.arange(12) % 2


def test_scores_are_standardised_by_the_best_of_each_kind(scores):
    bank, new, kinds = scores
    found = standardise_scores(bank, new, kinds)
    for kind in (0, 1):
        best = [max(row[j] for j in range(12) if kinds[j] == kind) for row in bank]
        for j in np.flatnonzero(kinds == kind):
            expected = (new[:, j] - np.mean(best)) / np.std(best)
            np.testing.assert_allclose(found[:, j], expected, rtol=1e-12)


def test_the_softmax_is_taken_over_the_queries(scores):
    bank, new, kinds = scores
    found = invert_softmax(bank, new, kinds)
    expected = np.exp(INVERSE_TEMPERATURE * new) / np.exp(INVERSE_TEMPERATURE * bank).sum(axis=0)
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-10)


def test_the_querybank_changes_queries_that_meet_a_hub_alone(scores):
    bank, new, kinds = scores
    hub = bank.argmax(axis=1)[0]
    new[0, hub], new[1] = 9.0, -1.0
    bank[:, 3] = -9.0
    new[1, 3] = 9.0
    found = normalise_by_querybank(bank, new, kinds)
    np.testing.assert_array_equal(found[0], invert_softmax(bank, new, kinds)[0])
    np.testing.assert_array_equal(found[1], new[1])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_a_trial_has_the_ranks_of_the_workflow(clouds, share):
    """The tables of the workflow come from another piece of code: same corpora, same ranks."""
    x, y = (unit_rows(rows) for rows in clouds(60, 8))
    corpora = Corpora(np.array([share]), 60, 60, np.arange(60))
    expected = rank_everything(x, y, None, corpora, 1)[0]
    found = try_rows(Rows(x, y), share, 60)
    np.testing.assert_array_equal(found.hits["ab"], expected.ab == 0)
    np.testing.assert_array_equal(found.hits["ba"], expected.ba == 0)
    cut = round(share * 60)
    ranks = expected.mixed["other"][0]
    for side, part in (("a", ranks[:cut]), ("b", ranks[cut:])):
        assert (side in found.gains) == (len(part) > 0)
        if len(part):
            assert found.gains[side].mean() == pytest.approx(ndcg(part), abs=1e-12)


def test_shares_of_the_first_ten(clouds):
    x, y = (unit_rows(rows) for rows in clouds(60, 8, gap=9.0))
    found = try_rows(Rows(x, y), 0.5, 60)
    assert (found.shares["a"] == 0).all()  # a query of the first modality sees its own kind
    assert (found.shares["b"] == 1).all()
    assert not np.concatenate(list(found.gains.values())).any()


def test_held_out_items_have_no_part_in_the_fit(clouds):
    """Garbage in the items to test on changes their scores, but not those of the fitted ones."""
    x, y = clouds(100, 8)
    held = split(100, 0.5, 0)[1]
    other = y.copy()
    other[held] = np.random.default_rng(1).standard_normal((50, 8))
    before, after = (mindgap.compare_fixes(x, z) for z in (y, other))
    for one, two in zip(before.rows, after.rows, strict=True):
        assert one["fitted"] == two["fitted"] or one["changes"] == "scores"
    assert before.best("mixed corpus")["estimate"] > after.best("mixed corpus")["estimate"] + 0.2


def test_labels_make_it_zero_shot(clouds):
    labels = np.arange(120) % 3
    centres = np.random.default_rng(0).standard_normal((3, 8)) * 4
    x, y = (
        rows + centres[labels] + shift for rows, shift in zip(clouds(120, 8), (3, -3), strict=True)
    )
    fixes = mindgap.compare_fixes(x, y, labels)
    row = fixes.find("centring", "zero-shot")
    assert row["measure"] == "accuracy"
    assert row["queries"] == 60
    assert row["estimate"] > 0.9 > fixes.find("none", "zero-shot")["estimate"]


def test_the_decision_says_what_to_do(clouds):
    x, y = clouds(200, 12, gap=6.0)
    fixes = mindgap.compare_fixes({"picture": x, "caption": y})
    text = str(fixes)
    assert "mindgap fit " in text
    assert "picture to caption" in text
    assert "mixed corpus, 50% caption: NDCG@10 0.000 as it is" in text
    assert "picture queries: 0.000; of their first ten 0% are caption" in text
    assert "caption queries: 0.000; of their first ten 100% are caption" in text
    gap = mindgap.measure({"picture": x, "caption": y})
    for name in ("gap", "gap_low", "gap_high"):
        assert fixes.gap[name] == pytest.approx(gap[name], abs=1e-12)
    assert text.startswith(f"gap picture - caption: {gap['gap']:.3f} [{gap['gap_low']:.3f}, ")
    assert "'picture=a b.npy' caption=c" in "\n".join(
        fixes.decide({"picture": "a b.npy", "caption": "c"})
    )
    row = fixes.best("mixed corpus")
    assert row["estimate"] >= fixes.best("mixed corpus", "rows")["estimate"]
    assert f"{row['estimate']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" in text
    assert row["low"] <= row["estimate"] <= row["high"]
    nothing = fixes.find("none", "mixed corpus")
    assert nothing["difference"] == 0 and nothing["low_difference"] == 0


def test_the_halves_of_the_mixed_corpus_make_the_whole(clouds):
    """What the corpus gives is the mean over its queries, whichever modality asks."""
    x, y = clouds(90, 8)
    fixes = mindgap.compare_fixes(x, y, text_share=0.3)
    for row in (r for r in fixes.rows if r["use"] == "mixed corpus"):
        halves = [
            one
            for one in fixes.mixed
            if all(one[key] == row[key] for key in ("method", "changes", "renormalised"))
        ]
        total = sum(one["queries"] for one in halves)
        mean = sum(one["estimate"] * one["queries"] for one in halves) / total
        assert (total, len(halves)) == (row["queries"], 2)
        assert mean == pytest.approx(row["estimate"], abs=1e-12)


def test_a_corpus_of_one_kind_has_queries_of_the_other(clouds):
    fixes = mindgap.compare_fixes(*clouds(60, 8), text_share=1.0)
    assert {row["query"] for row in fixes.mixed} == {"image"}
    assert "text queries" not in str(fixes)


def test_noise_has_no_fix():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 100, 40))
    assert str(mindgap.compare_fixes(x, y)).count("no fix is surely better") >= 2


def test_two_calls_are_identical(clouds):
    x, y = clouds(60, 8)
    first, second = (mindgap.compare_fixes(x, y).to_frame() for _ in range(2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"labels": [1, 2]}, "one for each of 60 pairs"),
        ({"calibration": 0.01}, "leaves 1 to fit on"),
        ({"text_share": 1.5}, "a share between 0 and 1"),
    ],
)
def test_a_mistake_is_one_sentence(clouds, more, words):
    x, y = clouds(60, 8)
    with pytest.raises(UserError, match=words):
        mindgap.compare_fixes(x, y, **more)


def test_a_landscape_of_raw_rows_is_that_of_unit_rows(clouds):
    from mindgap.shift import landscape as engine

    x, y = clouds(40, 8)
    found = mindgap.landscape(9 * x, y, shifts=[-0.5, 0, 0.5], batch=20)
    expected = engine.landscape(
        unit_rows(x), unit_rows(y), np.array([-0.5, 0, 0.5]), found.inverse_temperatures, batch=20
    )
    np.testing.assert_allclose(found.loss_ab, expected.loss_ab, rtol=1e-6)
    table = found.minima()
    assert list(table["inverse_temperature"]) == [100, 50, 30, 20, 10, 1]
    for scale, losses in zip(found.inverse_temperatures, found.loss.T, strict=True):
        row = table[table["inverse_temperature"] == scale].iloc[0]
        assert row["loss"] == losses.min()
        assert row["shift"] == found.shifts[losses.argmin()]
