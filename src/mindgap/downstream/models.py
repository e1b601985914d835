"""Does a smaller gap go with better downstream scores, over the models of a run?

Models that share data, a start or a seed are no independent draws: the p-values are about the order
of these models and about no population.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
from scipy import stats

from mindgap.gap.measures import correlated, relative_gap

SCORES = ("recall_at_1_ab", "recall_at_1_ba", "zero_shot_accuracy")
#: Below this number of models no ranking is far from chance: 3! orders have p = 1/3 at best.
LEAST = 4


def kendall(a: np.ndarray, b: np.ndarray, resamples: int, seed: int) -> tuple[float, float]:
    """Kendall's tau-b and the p-value of its permutation test, two-sided.

    The share of orders of `a` whose |tau| is no smaller: of all n! orders where they are no more
    than `resamples`, else of so many random ones and the one observed (Schrodi et al. 2025 test the
    tau of gap and accuracy in this way). NaN where a column does not vary.
    """
    tau = float(stats.kendalltau(a, b).statistic)
    if not np.isfinite(tau):
        return float("nan"), float("nan")
    signs_a, signs_b = (np.sign(z[:, None] - z[None, :]).astype(np.int8) for z in (a, b))
    n = len(a)
    exact = math.factorial(n) <= resamples
    if exact:
        orders = np.array(list(itertools.permutations(range(n))))
    else:
        orders = np.random.default_rng(seed).permuted(np.tile(np.arange(n), (resamples, 1)), axis=1)
    # tau-b is this sum over a constant, which no order changes.
    observed = abs((signs_a * signs_b).sum(dtype=np.int64))
    reached = 0
    for some in np.array_split(orders, max(1, orders.size * n // 10_000_000)):
        turned = signs_a[some[:, :, None], some[:, None, :]]
        sums = np.einsum("kij,ij->k", turned, signs_b, dtype=np.int64, casting="unsafe")
        reached += int((np.abs(sums) >= observed).sum())
    return tau, reached / len(orders) if exact else (reached + 1) / (len(orders) + 1)


def gather(
    gaps: pd.DataFrame, curves: pd.DataFrame | None, trainings: pd.DataFrame | None
) -> pd.DataFrame:
    """One row per model and set: `over`, model, gap measures, recall, accuracy of each task.

    Models are compared on one set of pairs (`gaps`, as gap.csv), with the accuracy that they have
    on each task at no shift (`curves`), on whatever set that is; the run's own trainings on the set
    that they are tested on (`trainings`, as trainings.csv). Models of three modalities or more,
    which have several gaps, are left out.
    """
    gaps = gaps.drop_duplicates(["model", "dataset"], keep=False)
    keep = [c for c in (*correlated(), *SCORES) if c in gaps]
    table = gaps[["dataset", "model", *keep]].rename(columns={"dataset": "over"})
    if curves is not None:
        untouched = curves[curves["shift"].abs() < 1e-9]
        wide = untouched.pivot(index="model", columns="task", values="accuracy")
        table = table.join(wide.add_prefix("accuracy_"), on="model")
    if trainings is not None:
        cosines = zip(*(trainings[f"cosine_{c}"] for c in ("matched", "a", "b")), strict=True)
        own = trainings.assign(
            over="trainings on " + trainings["test"],
            model=trainings["training"],
            relative_gap=[relative_gap(*row) for row in cosines],
        )
        keep = [c for c in (*correlated(), *SCORES) if c in own]
        table = pd.concat([table, own[["over", "model", *keep]]], ignore_index=True)
    return table


def correlate(table: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """One row per set, gap measure and score: models, tau, p.

    `table` has the columns `over` (the set of models that are compared), and measures and scores;
    sets of fewer than `LEAST` models have no row.
    """
    rows = []
    for over, part in table.groupby("over", sort=False):
        for measure in [m for m in correlated() if m in part]:
            for score in [s for s in part if s in SCORES or s.startswith("accuracy_")]:
                both = part[[measure, score]].dropna()
                if len(both) < LEAST:
                    continue
                tau, p = kendall(*both.to_numpy().T, resamples, seed)
                rows.append(
                    {
                        "over": over,
                        "measure": measure,
                        "score": score,
                        "models": len(both),
                        "tau": tau,
                        "p": p,
                    }
                )
    return pd.DataFrame(rows, columns=["over", "measure", "score", "models", "tau", "p"])
