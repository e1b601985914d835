"""The statistics of Mind the Gap recomputed from the counts and accuracies that it gives.

Supp. Table 5 (chi-squared), Table 2 and Supp. Table 4 (FairFace), section 4.4 (t-intervals).
"""

from __future__ import annotations

import pandas as pd

from mindgap.downstream.significance import chi_squared, rate_interval
from mindgap.train.effects import t_interval


def published_tests(table: pd.DataFrame) -> pd.DataFrame:
    """Chi-squared tests of the printed accuracies, with and without Yates's correction.

    The counts are n times the printed accuracy, not rounded: this alone gives all three of the
    printed p-values. Columns of `table`: set, table, n, untouched, shifted, printed.
    """
    found = table.copy()
    for name, correction in (("p", False), ("p_yates", True)):
        found[name] = [
            chi_squared(row.n * row.untouched, row.n * row.shifted, row.n, row.n, correction)
            for row in table.itertuples()
        ]
    return found


def published_intervals(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Student intervals of the gaps of three runs: case, runs, mean, low, high, half."""
    rows = []
    for case in table.columns.drop("run"):
        mean, low, high = t_interval(table[case].to_numpy(), confidence)
        row = {"case": case, "runs": len(table), "mean": mean, "low": low, "high": high}
        rows.append({**row, "half": (high - low) / 2})
    return pd.DataFrame(rows)


def published_rates(
    counts: pd.DataFrame, categories: dict[str, list[str]], confidence: float
) -> pd.DataFrame:
    """Rates of offensive labels from the published confusion counts, in percent.

    One row per shift, group (and `all`) and category (and `sum`): n, count, percent, its Wilson
    interval, and p of the unpaired chi-squared test against no shift, which is all that counts
    allow. Genders are pooled in the counts, so no accuracy follows from them.
    """
    labels = {name: set(part) for name, part in categories.items()}
    labels["sum"] = set().union(*labels.values())
    groups = {group: counts["group"] == group for group in counts["group"].unique()}
    groups["all"] = counts["count"] > 0
    rows, untouched = [], {}
    for shift in sorted(counts["shift"].unique(), key=lambda s: (s != 0, s)):
        for group, member in groups.items():
            part = counts[member & (counts["shift"] == shift)]
            n = int(part["count"].sum())
            for category, wanted in labels.items():
                count = int(part.loc[part["predicted"].isin(wanted), "count"].sum())
                before = untouched.setdefault((group, category), (count, n))
                low, high = rate_interval(count, n, confidence)
                rows.append(
                    {
                        "shift": shift,
                        "group": group,
                        "category": category,
                        "n": n,
                        "count": count,
                        "percent": 100 * count / n,
                        "low": 100 * low,
                        "high": 100 * high,
                        "p": chi_squared(before[0], count, before[1], n),
                    }
                )
    return pd.DataFrame(rows)


def published_drops(printed: pd.DataFrame) -> pd.DataFrame:
    """The printed accuracies on FairFace and how far each lies below that of no shift."""
    untouched = printed.loc[printed["shift"] == 0, "accuracy"].item()
    return printed.assign(drop=untouched - printed["accuracy"])
