"""The measures of a set that no memory holds: sums of its shards, added, are those of the whole.

What is a function of means and second moments merges exactly and in O(n d^2), one shard at a time.
Extremes and histograms of all pairs need the pairs: they are counted in tiles, shard by shard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mindgap.gap.cosines import (
    PairStatistics,
    all_statistics,
    cross_statistics,
    merge_statistics,
    within_statistics,
)
from mindgap.gap.measures import relative_gap


@dataclass(frozen=True)
class PairSums:
    """Sums over the pairs (x_i, y_i) of unit rows, float64.

    Attributes
    ----------
    n
        Number of pairs.
    sum_a, sum_b
        Sums of the rows, (d,).
    square_a, square_b
        Sums of the outer products, (d, d).
    matched, distance
        Sums of the cosines and of the distances of matching rows.
    """

    n: int
    sum_a: np.ndarray
    sum_b: np.ndarray
    square_a: np.ndarray
    square_b: np.ndarray
    matched: float
    distance: float

    def __add__(self, other: PairSums) -> PairSums:
        return PairSums(*(a + b for a, b in zip(_values(self), _values(other), strict=True)))


def pair_sums(x: np.ndarray, y: np.ndarray) -> PairSums:
    """Sums of one shard of unit rows, each of shape (n, d)."""
    cosines = np.einsum("ij,ij->i", x, y)
    distance = np.sqrt(np.maximum(0, 2 - 2 * cosines)).sum()
    return PairSums(
        len(x),
        x.sum(axis=0),
        y.sum(axis=0),
        x.T @ x,
        y.T @ y,
        float(cosines.sum()),
        float(distance),
    )


def measures_of_sums(sums: PairSums) -> dict[str, float]:
    """The measures of `gap.measures` that sums determine, under the same names."""
    n = sums.n
    mean_a, mean_b = sums.sum_a / n, sums.sum_b / n
    gap, matched = float(np.linalg.norm(mean_a - mean_b)), sums.matched / n
    norm_a, norm_b = (float(np.linalg.norm(m)) for m in (mean_a, mean_b))
    cosine_a, cosine_b = (
        float((total @ total - np.trace(square)) / (n * (n - 1)))
        for total, square in ((sums.sum_a, sums.square_a), (sums.sum_b, sums.square_b))
    )
    everything = float(mean_a @ mean_b)
    noise = (2 - 2 * matched - gap**2) / (n - 1)
    both = np.linalg.eigvalsh(sums.square_a + sums.square_b)[::-1]
    mean = (sums.sum_a + sums.sum_b) / (2 * n)
    joint = sums.square_a + sums.square_b - 2 * n * np.outer(mean, mean)
    centred = np.linalg.eigvalsh(joint).clip(min=0)[::-1]
    return {
        "n": n,
        "d": len(mean_a),
        "gap": gap,
        "gap_unbiased": float(np.sqrt(max(0.0, gap**2 - noise))),
        "norm_a": norm_a,
        "norm_b": norm_b,
        "centroid_cosine": everything / (norm_a * norm_b),
        "cosine_a": cosine_a,
        "cosine_b": cosine_b,
        "cosine_matched": matched,
        "cosine_unmatched": float((everything * n - matched) / (n - 1)),
        "cosine_all": everything,
        "relative_gap": relative_gap(matched, cosine_a, cosine_b),
        "distance_matched": sums.distance / n,
        "alignment": 2 - 2 * matched,
        "effective_rank_a": _rank(sums.square_a, mean_a, n),
        "effective_rank_b": _rank(sums.square_b, mean_b, n),
        "pc1_share": float(centred[0] / centred.sum()),
        "singular_1": float(np.sqrt(both[0])),
        "singular_2": float(np.sqrt(max(0.0, both[1]))),
    }


def tiled_statistics(
    shards: Sequence[Callable[[], tuple[np.ndarray, np.ndarray]]], bins: int, threads: int = 1
) -> dict[str, PairStatistics]:
    """Statistics of all pairs of a sharded set, two shards in memory at a time.

    Parameters
    ----------
    shards
        A function for each shard that returns its unit rows of both modalities.
    bins
        Bins of the histograms between -1 and 1.

    Returns
    -------
    The pairs `a` and `b` (distinct rows of one modality) and `unmatched` (i != j across).
    """
    parts: dict[str, list[PairStatistics]] = {"a": [], "b": [], "unmatched": []}
    for i, load in enumerate(shards):
        x, y = load()
        if len(x) > 1:
            parts["a"].append(within_statistics(x, bins, threads=threads))
            parts["b"].append(within_statistics(y, bins, threads=threads))
            parts["unmatched"].append(cross_statistics(x, y, bins, threads=threads))
        for other in shards[i + 1 :]:
            u, v = other()
            parts["a"].append(all_statistics(x, u, bins, threads=threads))
            parts["b"].append(all_statistics(y, v, bins, threads=threads))
            parts["unmatched"].append(all_statistics(x, v, bins, threads=threads))
            parts["unmatched"].append(all_statistics(u, y, bins, threads=threads))
    return {name: merge_statistics(some) for name, some in parts.items()}


def _values(sums: PairSums) -> list:
    return [getattr(sums, name) for name in PairSums.__dataclass_fields__]


def _rank(square: np.ndarray, mean: np.ndarray, n: int) -> float:
    """Exponential of the entropy of the covariance's spectrum, as `gap.measures.effective_rank`."""
    values = np.linalg.eigvalsh(square - n * np.outer(mean, mean)).clip(min=0)
    if values.sum() <= 1e-12 * n:
        return float("nan")
    share = values / values.sum()
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))
