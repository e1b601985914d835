"""Differences between the trainings of a run, with their intervals."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mindgap.runtime.errors import UserError

POWER = 0.8  # of the test whose smallest detectable effect is given


def t_interval(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Mean of n values and its Student interval: mean -+ t(n - 1) s / sqrt(n), s with n - 1."""
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return mean, float("nan"), float("nan")
    half = _student(confidence, n - 1) * np.std(values, ddof=1) / np.sqrt(n)
    return mean, mean - float(half), mean + float(half)


def detectable(values: np.ndarray, confidence: float) -> float:
    """Smallest effect that n values with this scatter show with a power of 0.8.

    (t_{n-1}((1 + confidence) / 2) + t_{n-1}(0.8)) s / sqrt(n): the usual approximation of the
    minimum detectable effect of a two-sided t-test (Bloom 1995). NaN for a single value.
    """
    n = len(values)
    if n < 2:
        return float("nan")
    quantiles = _student(confidence, n - 1) + float(stats.t.ppf(POWER, n - 1))
    return quantiles * float(np.std(values, ddof=1)) / n**0.5


@cache
def _student(confidence: float, freedom: int) -> float:
    """Half the width of Student's interval, in standard errors."""
    return float(stats.t.ppf((1 + confidence) / 2, freedom))


def measure_effects(
    table: pd.DataFrame,
    experiments: dict[str, dict[str, Any]],
    confidence: float,
    trajectories: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """One row per effect: experiment, effect, estimate, low, high, seeds, interval.

    Parameters
    ----------
    table
        One row per training, as in `trainings.csv`.
    experiments
        Name -> {over, trainings, measure}: how a measure changes from the lowest to the highest
        value of an option; or name -> {plain, others, measure}: how it differs between two
        definitions, seed by seed.
    trajectories
        Measures over the steps, as in `trajectories.csv`: with them, how far each definition of
        the second kind moves from its first step to its last.
    """
    rows: list[dict[str, Any]] = []
    for name, one in experiments.items():
        if "over" in one:
            rows += _trend(table, name, one, confidence)
        else:
            rows += [_contrast(table, name, one, other, confidence) for other in one["others"]]
            if trajectories is not None and one["measure"] in trajectories:
                for definition in (one["plain"], *one["others"]):
                    rows.append(_drift(trajectories, name, one["measure"], definition, confidence))
    columns = ["experiment", "effect", "measure", "estimate", "low", "high", "seeds", "interval"]
    return pd.DataFrame(rows, columns=columns)


def _trend(
    table: pd.DataFrame, name: str, one: dict[str, Any], confidence: float
) -> list[dict[str, Any]]:
    measure, over = one["measure"], one["over"]
    chosen = table[table["definition"].isin(one["trainings"])].sort_values(["seed", over])
    if chosen[over].nunique() < 2:
        raise UserError(
            f"config: train.experiments.{name}: {over} has the same value in all trainings of the "
            "experiment; select trainings that vary it"
        )
    ends, ranks = [], []
    for _, group in chosen.groupby("seed"):
        ends.append(group[measure].iloc[-1] - group[measure].iloc[0])
        # The rank correlation of a constant measure is not defined; count it as none.
        constant = group[measure].nunique() == 1
        ranks.append(0.0 if constant else stats.kendalltau(group[over], group[measure]).statistic)
    values = chosen[over].unique()
    mean, low, high = t_interval(np.array(ends), confidence)
    interval = "t over seeds"
    if len(ends) == 1 and measure == "gap":
        # One seed: the widest interval that those over the held-out pairs allow.
        first, last = chosen.iloc[0], chosen.iloc[-1]
        low, high = last["gap_low"] - first["gap_high"], last["gap_high"] - first["gap_low"]
        interval = "bootstrap over pairs"
    common = {"experiment": name, "measure": measure, "seeds": len(ends)}
    change = f"{over} {min(values):g} to {max(values):g}"
    # A rank correlation of a few values is not normal: report its range, not a t-interval.
    kendall = (float(np.mean(ranks)), float(np.min(ranks)), float(np.max(ranks)))
    return [
        common | _row(change, mean, low, high, interval),
        common | _row(f"Kendall's tau with {over}", *kendall, "range over seeds"),
    ]


def _contrast(
    table: pd.DataFrame, name: str, one: dict[str, Any], other: str, confidence: float
) -> dict[str, Any]:
    measure = one["measure"]
    wide = table.pivot_table(index="seed", columns="definition", values=measure)
    missing = [d for d in (one["plain"], other) if d not in wide]
    if missing:
        raise UserError(
            f"config: train.experiments.{name}: this run has no training {missing[0]!r}; add it to "
            "select.trainings or take it out of the experiment"
        )
    differences = (wide[other] - wide[one["plain"]]).dropna().to_numpy()
    row = _row(
        f"{other} minus {one['plain']}", *t_interval(differences, confidence), "t over seeds"
    )
    return {"experiment": name, "measure": measure, "seeds": len(differences)} | row


def _drift(
    trajectories: pd.DataFrame, name: str, measure: str, definition: str, confidence: float
) -> dict[str, Any]:
    own = trajectories[trajectories["definition"] == definition].sort_values("step")
    ends = own.groupby("seed")[measure].agg(["first", "last"])
    moved = (ends["last"] - ends["first"]).to_numpy()
    row = _row(
        f"{definition} at its end minus its start", *t_interval(moved, confidence), "t over seeds"
    )
    return {"experiment": name, "measure": measure, "seeds": len(moved)} | row


def _row(effect: str, estimate: float, low: float, high: float, interval: str) -> dict[str, Any]:
    return {"effect": effect, "estimate": estimate, "low": low, "high": high, "interval": interval}
