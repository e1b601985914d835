"""Measures of the modality gap between two paired sets of embeddings.

Conventions: rows are L2-normalised first and then averaged; means are not normalised again; all
in float64; a pair of a row with itself is left out.

A new measure is one function with the decorator `measure`: it becomes a column of gap.csv, of the
tables of sharded sets if it needs no rows, and of the correlations if it `tells` something.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from mindgap.embed.store import Embeddings, check_pairs
from mindgap.gap.bootstrap import bootstrap_means, distance_interval, percentile_interval
from mindgap.gap.cosines import histogram, unit_rows
from mindgap.gap.estimators import effective_rank, mmd, modality_gap, relative_gap, separability
from mindgap.gap.registry import (
    DISTANCE,
    DRAWS,
    MEASURES,
    MOMENTS,
    PAIRS,
    ROWS,
    SAMPLE,
    SPREAD,
    compute,
    measure,
)
from mindgap.gap.retrieval import match_ranks, recall
from mindgap.gap.sums import AllPairs, Moments

RECALL_AT = (1, 5, 10)
FINE = 100  # parts of a histogram's bin, for quantiles to within 2 / (FINE * bins)
_ENTRIES = 1 << 21  # distances held at a time: 16 MB


@measure(MOMENTS, "n", "d")
def size(m: Moments) -> tuple[int, int]:
    """Number of pairs and of dimensions."""
    return m.n, len(m.mean_a)


@measure(MOMENTS, tells=DISTANCE)
def gap(m: Moments) -> float:
    """The gap, as `modality_gap`."""
    return float(np.linalg.norm(m.mean_a - m.mean_b))


@measure(MOMENTS)
def gap_unbiased(m: Moments) -> float:
    """Gap without the share that a finite sample adds to it.

    E|mean(x - y)|^2 exceeds the population's squared gap by tr(Cov(x - y))/n; this subtracts its
    estimate (mean |x_i - y_i|^2 - gap^2)/(n - 1), and is zero where that is more than all.
    """
    square = gap(m) ** 2
    return float(np.sqrt(max(0.0, square - (m.square - square) / (m.n - 1))))


@measure(MOMENTS, "norm_a", "norm_b", "centroid_cosine")
def centroids(m: Moments) -> tuple[float, ...]:
    """Norms and cosine of the means."""
    norms = float(np.linalg.norm(m.mean_a)), float(np.linalg.norm(m.mean_b))
    return *norms, m.cosine_all / (norms[0] * norms[1])


@measure(ROWS, *(f"along_gap_{end}_{side}" for side in "ab" for end in ("min", "max")))
def along_gap(x: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    """Reach of each modality along the gap direction."""
    difference = x.mean(axis=0) - y.mean(axis=0)
    length = np.linalg.norm(difference)
    direction = difference / length if length > 0 else difference
    return tuple(float(end(rows @ direction)) for rows in (x, y) for end in (np.min, np.max))


for side in "ab":
    measure(MOMENTS, f"cosine_{side}")(attrgetter(f"cosine_{side}"))
    measure(PAIRS, f"cosine_min_{side}")(attrgetter(f"{side}.minimum"))


@measure(PAIRS, *(f"cosine_q{share}_{side}" for side in "ab" for share in (25, 50, 75)))
def quartiles(pairs: AllPairs) -> tuple[float, ...]:
    """Quartiles of the cosines within each modality, to within 2 / (FINE * bins)."""
    return tuple(s.quantile(share) for s in (pairs.a, pairs.b) for share in (0.25, 0.5, 0.75))


measure(MOMENTS, "cosine_matched")(attrgetter("cosine"))


@measure(MOMENTS)
def cosine_unmatched(m: Moments) -> float:
    """Mean cosine of rows of two modalities and two items."""
    return float((m.cosine_all * m.n - m.cosine) / (m.n - 1))


measure(PAIRS, "cosine_max_unmatched")(attrgetter("unmatched.maximum"))
measure(MOMENTS, "cosine_all")(attrgetter("cosine_all"))
measure(MOMENTS, "relative_gap", tells=DISTANCE)(
    lambda m: relative_gap(m.cosine, m.cosine_a, m.cosine_b)
)
measure(MOMENTS, "distance_matched", tells=DISTANCE)(attrgetter("distance"))
measure(MOMENTS, "alignment")(lambda m: 2 - 2 * m.cosine)
measure(PAIRS, "uniformity_a", "uniformity_b")(attrgetter("a.uniformity", "b.uniformity"))
measure(MOMENTS, "effective_rank_a", "effective_rank_b", tells=SPREAD)(
    lambda m: tuple(effective_rank(values, m.n) for values in (m.spectrum_a, m.spectrum_b))
)


measure(SAMPLE, tells=DISTANCE)(mmd)
measure(DRAWS, "separability")(lambda d: separability(*d.sample, d.folds, d.seed))


@measure(MOMENTS, "pc1_share", "singular_1", "singular_2")
def joint_spectrum(m: Moments) -> tuple[float, float, float]:
    """Spectrum of both modalities stacked into (2n, d).

    `pc1_share`: share of variance of the first principal component (centred); `singular_1`,
    `singular_2`: the first singular values without centring, the axes of the SVD picture.
    """
    first, second = np.sqrt(m.raw[:2].clip(min=0))
    return float(m.centred[0] / m.centred.clip(min=0).sum()), float(first), float(second)


@measure(ROWS, "distinct_a", "recall_ceiling_ba", "distinct_b", "recall_ceiling_ab")
def repeats(x: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    """Number of distinct rows of each modality, and the R@1 of a perfect model.

    A row with a twin in another item ties with it, and a tie is a miss, so no model that retrieves
    among these rows can have more than the share of rows without a twin.
    """
    counts = [np.unique(rows, axis=0, return_counts=True)[1] for rows in (x, y)]
    return tuple(v for c in counts for v in (len(c), float((c == 1).sum() / len(x))))


@dataclass(frozen=True)
class Draws:
    """The source of measures that draw: the options of `measure_gap`, and what they draw from.

    `x`, `y` and `sample` are unit rows of items; `every` has all rows and the item of each, where
    an item may have several.
    """

    x: np.ndarray
    y: np.ndarray
    sample: tuple[np.ndarray, np.ndarray]
    every: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    folds: int
    bootstrap: int
    confidence: float
    seed: int


@measure(DRAWS)
def retrieval(draws: Draws) -> dict[str, float]:
    """Recall both ways, and the intervals of all means over pairs, from one bootstrap.

    `gap_low` and `gap_high` bound the population's gap, which `gap` overestimates.
    """
    row, (x, y), (a, b) = {}, (draws.x, draws.y), draws.every
    columns, names = [x - y, np.einsum("ij,ij->i", x, y)[:, None]], ["cosine_matched"]
    for way, (asked, gallery) in {"ab": (a, b), "ba": (b, a)}.items():
        ranks = match_ranks(asked[0], gallery[0], asked[1], gallery[1])
        for k in RECALL_AT:
            names.append(f"recall_at_{k}_{way}")
            row[names[-1]] = recall(ranks, k)
            columns.append(_per_item(ranks < k, asked[1])[:, None])
    means = bootstrap_means(np.concatenate(columns, axis=1), draws.bootstrap, draws.seed)
    squares = np.square(means[:, : x.shape[1]]).sum(axis=1)
    ends = [distance_interval(squares, modality_gap(x, y), draws.confidence)]
    ends += [percentile_interval(values, draws.confidence) for values in means.T[x.shape[1] :]]
    for name, (low, high) in zip(["gap", *names], ends, strict=True):
        row |= {f"{name}_low": low, f"{name}_high": high}
    return row


def _per_item(hits: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Mean hit rate of each item's queries."""
    _, index = np.unique(items, return_inverse=True)
    return np.bincount(index, weights=hits) / np.bincount(index)


@measure(SAMPLE, tells=DISTANCE)
def energy_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Energy distance 2 E|x - y| - E|x - x'| - E|y - y'| of unit rows (Szekely and Rizzo 2013).

    Zero for equal distributions and positive for all others. The estimate is unbiased, hence
    can be negative: as in `squared_mmd` it sums over i != j everywhere.
    """
    return 2 * _mean_distance(x, y) - _mean_distance(x, x) - _mean_distance(y, y)


def _mean_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Mean Euclidean distance of unit rows x_i and y_j over i != j, in blocks of rows."""
    n, total = len(x), 0.0
    step = max(1, _ENTRIES // n)
    for i in range(0, n, step):
        distances = np.sqrt(np.maximum(0.0, 2.0 - 2.0 * (x[i : i + step] @ y.T)))
        total += distances.sum() - np.trace(distances[:, i:])
    return float(total / (n * (n - 1)))


def measure_gap(
    embeddings: Embeddings,
    a: str,
    b: str,
    *,
    bootstrap: int,
    confidence: float,
    folds: int,
    max_pairs: int,
    bins: int,
    seed: int,
    threads: int = 1,
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Measure the gap between two modalities.

    Parameters
    ----------
    embeddings
        Embeddings with the modalities `a` and `b`. Where an item has several rows, its first one
        counts, except in retrieval, where every row is a query and any right row is a hit.
    bootstrap, confidence
        Resamples of pairs and coverage of the intervals (`*_low`, `*_high`). For recall the
        queries are resampled and the gallery stays.
    folds, max_pairs
        Folds of `separability`; it, `mmd` and `energy_distance` use at most `max_pairs` pairs.
    bins
        Bins of the histograms.
    seed
        Seed of the bootstrap, the sample and the folds.
    threads
        Threads for the statistics of all pairs.

    Returns
    -------
    One row of measures, and the histograms of the cosines `within a`, `within b`, `matched` and
    `unmatched` (int64 counts over equal bins between -1 and 1).
    """
    check_pairs(embeddings, f"{embeddings.about.get('model', 'embeddings')}")
    x, y = (unit_rows(embeddings.first(m)) for m in (a, b))
    pairs = AllPairs.of_rows(x, y, bins * FINE, threads)
    some = np.sort(np.random.default_rng(seed).permutation(len(x))[:max_pairs])
    sample = x[some], y[some]
    every = tuple((unit_rows(embeddings.rows[m]), embeddings.index(m)) for m in (a, b))
    draws = Draws(x, y, sample, every, folds, bootstrap, confidence, seed)
    row = compute(
        moments=(Moments.of_rows(x, y),), pairs=(pairs,), rows=(x, y), sample=sample, draws=(draws,)
    )
    histograms = {
        f"within {a}": pairs.a.counts,
        f"within {b}": pairs.b.counts,
        "matched": histogram(np.einsum("ij,ij->i", x, y), bins * FINE),
        "unmatched": pairs.unmatched.counts,
    }
    return row, {kind: coarse(counts) for kind, counts in histograms.items()}


def coarse(counts: np.ndarray) -> np.ndarray:
    """Histogram of the wanted bins from that of their `FINE` parts."""
    return counts.reshape(-1, FINE).sum(axis=1)


def correlated() -> tuple[str, ...]:
    """Columns that are correlated with downstream scores: distances first."""
    return tuple(c for t in (DISTANCE, SPREAD) for m in MEASURES if m.tells == t for c in m.columns)
