"""Cosines as probabilities of a match: oracles, closed forms, invariances."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from typer.testing import CliRunner

import mindgap
from mindgap.cli import app
from mindgap.downstream.calibration import (
    best_scores,
    calibration_error,
    calibration_error_of_chance,
    find_threshold,
    fit_logistic,
    reliability,
)
from mindgap.gap.cosines import unit_rows
from mindgap.gap.retrieval import match_ranks
from mindgap.runtime.errors import UserError


@pytest.fixture
def outcomes():
    """Scores, and outcomes drawn from P = 1 / (1 + exp(-(20 s - 6)))."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 0.6, 4000)
    return scores, rng.random(4000) < expit(20 * scores - 6)


def test_the_curve_has_the_least_loss(outcomes):
    scores, right = (part[:300] for part in outcomes)
    hits, misses = right.sum(), (~right).sum()
    targets = np.where(right, (hits + 1) / (hits + 2), 1 / (misses + 2))

    def loss(w):
        logits = w[0] * scores + w[1]
        return (np.logaddexp(0, logits) - targets * logits).sum()

    slow = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    found = fit_logistic(scores, right)
    assert loss([found.slope, found.intercept]) <= slow.fun + 1e-9
    np.testing.assert_allclose([found.slope, found.intercept], slow.x, rtol=1e-4)


def test_the_true_curve_is_found(outcomes):
    """The standard errors of 4,000 draws are 0.6 and 0.2."""
    found = fit_logistic(*outcomes)
    assert abs(found.slope - 20) < 3
    assert abs(found.intercept + 6) < 1


@pytest.mark.parametrize("right", [[True] * 4, [False] * 4, [False, False, True, True]])
def test_complete_separation_gives_finite_numbers(right):
    found = fit_logistic(np.array([0.1, 0.2, 0.3, 0.4]), np.array(right))
    assert np.isfinite([found.slope, found.intercept]).all()
    p = found(np.array([0.1, 0.4]))
    assert p[0] <= p[1] + 1e-9


def test_equal_scores_give_the_share_of_matches():
    right = np.array([True, True, True, False])
    p = fit_logistic(np.full(4, 0.3), right)(np.array([0.3]))
    # Platt's targets: (3 * 4/5 + 1/3) / 4.
    assert p[0] == pytest.approx((3 * 4 / 5 + 1 / 3) / 4, abs=1e-6)


def test_best_scores_are_those_of_a_loop(clouds, monkeypatch):
    monkeypatch.setattr("mindgap.downstream.calibration._ENTRIES", 130)
    x, y = (unit_rows(rows) for rows in clouds(60, 6))
    y[3] = y[7]
    best, right = best_scores(x, y)
    np.testing.assert_allclose(best, (x @ y.T).max(axis=1), atol=1e-15)
    items = np.arange(60)
    np.testing.assert_array_equal(right, match_ranks(x, y, items, items) == 0)
    assert not right[3] and not right[7]


def test_the_threshold_is_that_of_a_loop(outcomes):
    scores, right = (part[:200] for part in outcomes)
    p = fit_logistic(scores, right)
    for wanted in (0.6, 0.8, 0.95):
        found, low, high = find_threshold(scores, right, wanted, 0.95, 0)
        good = [t for t in scores if p(scores[scores >= t]).mean() >= wanted]
        assert found == min(good)
        assert low <= found <= high


def test_a_precision_out_of_reach_has_no_threshold(outcomes):
    scores = outcomes[0][:200]
    found, _, high = find_threshold(scores, np.arange(200) % 2 == 0, 0.9, 0.95, 0)
    assert np.isnan(found)
    assert np.isinf(high)


def test_calibration_error_in_closed_form():
    p = np.array([0.25, 0.25, 0.25, 0.25, 0.85, 1.0])
    right = np.array([1, 1, 0, 0, 1, 1], bool)
    # Bins: four of 0.25 with half of them right, one of 0.85, one of 1.
    assert calibration_error(p, right) == pytest.approx((4 * 0.25 + 0.15) / 6, abs=1e-15)
    rows = reliability(p, right, 0.95)
    assert [row["queries"] for row in rows] == [4, 1, 1]
    assert [row["observed"] for row in rows] == [0.5, 1.0, 1.0]
    assert calibration_error_of_chance(np.array([0.0, 1.0]), 0) == 0


def test_directions_are_those_of_exchanged_arguments(clouds):
    x, y = clouds(120, 6)
    one = mindgap.calibrate({"a": x, "b": y})
    two = mindgap.calibrate({"b": 3 * y, "a": 0.1 * x})
    for name in ("slope", "threshold", "achieved", "calibration_error"):
        for side in "ab":
            np.testing.assert_allclose(one.find(side)[name], two.find(side)[name], rtol=1e-6)


def test_wrong_partners_have_no_threshold(clouds):
    x, y = clouds(200, 16)
    found = mindgap.calibrate(x, np.roll(y, 1, axis=0))
    assert "no cosine is high enough for a precision of 90%" in str(found)
    assert (found.probability([0.0, 0.5], "image") < 0.5).all()


def test_two_calls_are_identical(clouds):
    x, y = clouds(60, 8)
    assert repr(mindgap.calibrate(x, y)) == repr(mindgap.calibrate(x, y))


@pytest.mark.parametrize(
    ("more", "words"),
    [({"precision": 1.0}, "between 0 and 1"), ({"calibration": 0.1}, "need 20 or more")],
)
def test_a_mistake_is_one_sentence(clouds, more, words):
    with pytest.raises(UserError, match=words):
        mindgap.calibrate(*clouds(60, 8), **more)


def test_an_unknown_direction_is_refused(clouds):
    with pytest.raises(UserError, match="unknown modality 'sound'"):
        mindgap.calibrate(*clouds(60, 8)).probability(0.3, "sound")


def test_the_command_says_the_same(clouds, tmp_path):
    x, y = clouds(60, 8)
    for name, rows in (("x", x), ("y", y)):
        np.save(tmp_path / f"{name}.npy", rows)
    given = ["calibrate", str(tmp_path / "x.npy"), str(tmp_path / "y.npy")]
    plain = CliRunner().invoke(app, given)
    assert plain.exit_code == 0
    found = mindgap.calibrate(x, y)
    assert plain.output == f"{found}\n"
    told = json.loads(CliRunner().invoke(app, [*given, "--json"]).output)
    assert told["directions"][0]["slope"] == found.rows[0]["slope"]
    assert len(told["reliability"]) == len(found.curves)
