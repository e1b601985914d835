"""Tests and intervals of rates: those that were published, and those that fit paired outcomes."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats


def chi_squared(
    before: float, after: float, n_before: float, n_after: float, correction: bool = False
) -> float:
    """P-value of Pearson's chi-squared test on two counts out of `n_before` and `n_after` items.

    The counts may be fractions, where they come from rounded rates. It takes the two arms for
    independent samples (Liang et al. 2022, Supp. Table 5); where the same items are in both it is
    the wrong test, see `mcnemar`. `correction` is Yates's. NaN where an outcome never happens.
    """
    table = np.array([[before, n_before - before], [after, n_after - after]])
    if not table.sum(axis=0).all():
        return float("nan")
    return float(stats.chi2_contingency(table, correction=correction).pvalue)


def mcnemar(before: np.ndarray, after: np.ndarray) -> float:
    """P-value of McNemar's exact test on paired outcomes, two boolean arrays of shape (n,).

    Of the items whose outcome changed, as many should go one way as the other: a two-sided binomial
    test with probability 1/2 (McNemar 1947). 1 where no outcome changed.
    """
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    return float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def paired_interval(
    before: np.ndarray, after: np.ndarray, confidence: float
) -> tuple[float, float]:
    """Interval of the difference of two paired rates: Agresti and Min, Stat. Med. 2005.

    Wald's interval after half an item is added to each cell of the 2 x 2 table:
    (b - c)/N -+ z sqrt(b + c - (b - c)^2/N)/N, with b, c the changed items and N = n + 2.
    """
    gained, lost = (after & ~before).sum() + 0.5, (before & ~after).sum() + 0.5
    n = len(before) + 2
    middle = (gained - lost) / n
    half = stats.norm.ppf((1 + confidence) / 2)
    half *= np.sqrt(gained + lost - (gained - lost) ** 2 / n) / n
    return float(middle - half), float(middle + half)


def rate_interval(count: int, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's interval of a rate (Wilson 1927), which stays sensible for no and few cases."""
    found = stats.binomtest(int(count), int(n)).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


def best_shift(accuracy: np.ndarray, shifts: np.ndarray) -> int:
    """Position of the most accurate shift; of several equal ones the shortest, then the first."""
    best = np.flatnonzero(accuracy >= accuracy.max() - 1e-12)
    return int(best[np.argmin(np.abs(shifts[best]))])


def judge_shifts(
    correct: np.ndarray, shifts: np.ndarray, confidence: float, seed: int
) -> list[dict[str, Any]]:
    """Test whether some shift is more accurate than none, in the published way and in honest ones.

    Parameters
    ----------
    correct
        (S, n) boolean: whether item i is classified correctly under shift s.
    shifts
        (S,), of which one is zero.
    confidence, seed
        Coverage of the intervals; seed of the halves.

    Returns
    -------
    One row per `procedure`:

    * `published` (Liang et al. 2022, Supp. Table 5): the best shift on the evaluation set itself,
      chi-squared of the two accuracies as if they were of two independent samples, uncorrected.
    * `paired`: the same choice, McNemar's exact test.
    * `corrected`: its p-value times the number of shifts that were tried (Bonferroni).
    * `held_out_1`, `held_out_2`: the shift chosen on one half of the items and tested on the other
      one, McNemar's exact test; nothing is to be corrected.

    `low` and `high` bound the paired difference; where the shift was chosen on the same items
    (`chosen_on` is `evaluation`) the interval, too, is too good.
    """
    n, none = correct.shape[1], int(np.argmin(np.abs(shifts)))
    tried = len(shifts) - 1

    def row(procedure: str, best: int, use: np.ndarray, p: float) -> dict[str, Any]:
        before, after = correct[none, use], correct[best, use]
        low, high = paired_interval(before, after, confidence)
        return {
            "procedure": procedure,
            "chosen_on": "calibration" if procedure.startswith("held") else "evaluation",
            "n": len(before),
            "tried": tried,
            "shift": float(shifts[best]),
            "untouched": float(before.mean()),
            "shifted": float(after.mean()),
            "difference": float(after.mean() - before.mean()),
            "low": low,
            "high": high,
            "p": p,
        }

    every = np.arange(n)
    best = best_shift(correct.mean(axis=1), shifts)
    before, after = correct[none], correct[best]
    paired = mcnemar(before, after)
    rows = [
        row("published", best, every, chi_squared(before.sum(), after.sum(), n, n)),
        row("paired", best, every, paired),
        row("corrected", best, every, min(1.0, tried * paired)),
    ]
    order = np.random.default_rng(seed).permutation(n)
    halves = order[: n // 2], order[n // 2 :]
    for name, (fit, use) in (("held_out_1", halves), ("held_out_2", halves[::-1])):
        chosen = best_shift(correct[:, fit].mean(axis=1), shifts)
        rows.append(row(name, chosen, use, mcnemar(correct[none, use], correct[chosen, use])))
    return rows
