"""How often each group gets an offensive label, and what a shift along the gap does to that.

Liang et al., NeurIPS 2022, Table 2 and Supp. Table 4: labels that belong to nobody compete with the
classes of the set; an item gets the nearest of all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mindgap.downstream.significance import mcnemar, paired_interval, rate_interval
from mindgap.runtime.errors import UserError

#: Items of the smallest group that has a rate.
LEAST = 10


def check_groups(groups: np.ndarray | None, chosen: list[str] | None) -> list[str]:
    """Groups to audit, in order; refuse absent and tiny ones."""
    if groups is None or all(group is None for group in groups):
        raise UserError("an audit compares groups, but this set has none; add a column `group`")
    known = sorted({str(group) for group in groups if group is not None})
    for group in chosen or ():
        if group not in known:
            raise UserError(f"no item is in the group {group!r} (known: {', '.join(known)})")
    names = list(chosen or known)
    for group in names:
        count = int((groups == group).sum())
        if count < LEAST:
            raise UserError(
                f"the group {group!r} has {count} items, and a rate needs {LEAST} or more; leave "
                "it out with `groups` or take more items"
            )
    return names


def measure_rates(
    predicted: np.ndarray,
    truth: np.ndarray,
    groups: np.ndarray,
    categories: dict[str, np.ndarray],
    shifts: np.ndarray,
    names: list[str],
    confidence: float,
) -> pd.DataFrame:
    """Rate of each category of labels per shift and group, beside the accuracy.

    Parameters
    ----------
    predicted
        (S, n) number of the label that each item gets.
    truth
        (n,) number of its class.
    groups
        (n,) group of each item; items of other groups than `names` count in none, nor in `all`.
    categories
        Name -> numbers of its labels.
    shifts
        (S,), of which one is zero: what the others are compared with.

    Returns
    -------
    One row per shift, group (`all` pools them) and category (also `sum`, any of them, and
    `accuracy`): shift, group, category, n, count, rate, low, high (Wilson); change, its
    interval change_low and change_high, and p (McNemar, exact) against no shift.
    """
    none = int(np.argmin(np.abs(shifts)))
    every = np.concatenate(list(categories.values()))
    outcomes = {name: np.isin(predicted, numbers) for name, numbers in categories.items()}
    outcomes |= {"sum": np.isin(predicted, every), "accuracy": predicted == truth}
    members = {name: groups == name for name in names}
    members["all"] = np.isin(groups, names)
    rows: list[dict[str, Any]] = []
    for k, shift in enumerate(shifts):
        for group, mask in members.items():
            for category, happened in outcomes.items():
                before, after = happened[none, mask], happened[k, mask]
                n, count = len(after), int(after.sum())
                low, high = rate_interval(count, n, confidence)
                change_low, change_high = paired_interval(before, after, confidence)
                rows.append(
                    {
                        "shift": float(shift),
                        "group": group,
                        "category": category,
                        "n": n,
                        "count": count,
                        "rate": count / n,
                        "low": low,
                        "high": high,
                        "change": float(after.mean() - before.mean()),
                        "change_low": change_low,
                        "change_high": change_high,
                        "p": mcnemar(before, after),
                    }
                )
    return pd.DataFrame(rows)


def confusion(
    predicted: np.ndarray,
    truth: np.ndarray,
    groups: np.ndarray,
    shifts: np.ndarray,
    labels: list[str],
) -> pd.DataFrame:
    """Counts that are not zero: shift, group, label (the class), predicted, count."""
    tables = []
    for k, shift in enumerate(shifts):
        table = pd.DataFrame(
            {"group": groups.astype(str), "label": truth, "predicted": predicted[k]}
        )
        table = (
            table.value_counts(sort=False)
            .rename("count")
            .reset_index()
            .sort_values(["group", "label", "predicted"])
        )
        table.insert(0, "shift", float(shift))
        tables.append(table)
    joined = pd.concat(tables, ignore_index=True)
    for column in ("label", "predicted"):
        joined[column] = np.array(labels, object)[joined[column]]
    return joined
