"""Measures of the modality gap between two paired sets of embeddings.

Conventions: rows are L2-normalised first and then averaged; means are not normalised again; all
in float64; a pair of a row with itself is left out.
"""

from __future__ import annotations

import numpy as np

from mindgap.embed.store import Embeddings, check_pairs
from mindgap.gap.bootstrap import bootstrap_means, distance_interval, percentile_interval
from mindgap.gap.cosines import (
    PairStatistics,
    cross_statistics,
    histogram,
    mean_cosine,
    mean_cross_cosine,
    unit_rows,
    within_statistics,
)
from mindgap.gap.retrieval import match_ranks, recall

RECALL_AT = (1, 5, 10)
FINE = 100  # parts of a histogram's bin, for quantiles to within 2 / (FINE * bins)


def modality_gap(x: np.ndarray, y: np.ndarray) -> float:
    """Euclidean distance of the means of unit rows (Liang et al. 2022, section 4.1)."""
    return float(np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)))


def unbiased_gap(x: np.ndarray, y: np.ndarray) -> float:
    """Gap without the share that a finite sample adds to it.

    E|mean(x - y)|^2 exceeds the population's squared gap by tr(Cov(x - y))/n; this subtracts its
    estimate (mean |x_i - y_i|^2 - gap^2)/(n - 1), and returns zero where that is more than all.
    """
    square = modality_gap(x, y) ** 2
    matched = np.square(x - y).sum(axis=1).mean()
    return float(np.sqrt(max(0.0, square - (matched - square) / (len(x) - 1))))


def relative_gap(matched: float, within_a: float, within_b: float) -> float:
    """Relative modality gap (Schrodi et al., ICLR 2025), from mean cosines.

    With d = (1 - cos)/2: matched / (matched + (within_a + within_b)/2). 0 means that partners
    coincide, 1 that each modality is a point.
    """
    matched, within_a, within_b = ((1 - cosine) / 2 for cosine in (matched, within_a, within_b))
    total = matched + (within_a + within_b) / 2
    return float(matched / total) if total > 0 else float("nan")


def effective_rank(x: np.ndarray) -> float:
    """Exponential of the entropy of the normalised squared singular values of centred rows.

    Roy and Vetterli, EUSIPCO 2007, on the spectrum of the covariance; between 1 and min(n - 1, d),
    so it depends on n. NaN where all rows are equal.
    """
    centred = x - x.mean(axis=0)
    gram = centred.T @ centred if len(x) > x.shape[1] else centred @ centred.T
    values = np.linalg.eigvalsh(gram).clip(min=0)
    if values.sum() <= 1e-12 * len(x):  # rounding, where unit rows are all equal
        return float("nan")
    share = values / values.sum()
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


def joint_spectrum(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Spectrum of both modalities stacked into (2n, d).

    `pc1_share`: share of variance of the first principal component (centred); `singular_1`,
    `singular_2`: the first singular values without centring, the axes of the SVD picture.
    """
    stack = np.concatenate([x, y])
    raw = np.linalg.eigvalsh(stack.T @ stack)[::-1]
    stack -= stack.mean(axis=0)
    centred = np.linalg.eigvalsh(stack.T @ stack)[::-1]
    first, second = np.sqrt(raw[:2].clip(min=0))
    return {
        "pc1_share": float(centred[0] / centred.clip(min=0).sum()),
        "singular_1": float(first),
        "singular_2": float(second),
    }


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy, Gaussian kernel of median width.

    Gretton et al., JMLR 2012, equation 4: k = exp(-|a - b|^2 / (2 s^2)), s the median distance of
    all pairs of the pooled rows. It sums over i != j everywhere: a matched pair is not two
    independent draws. Can be negative. Holds a (2n, 2n) matrix.
    """
    n = len(x)
    pooled = np.concatenate([x, y])
    squares = np.maximum(0.0, 2.0 - 2.0 * (pooled @ pooled.T))
    width = np.median(squares[np.triu_indices(2 * n, 1)])
    if width <= 0:
        return 0.0
    kernel = np.exp(squares / (-2.0 * width), out=squares)
    np.fill_diagonal(kernel, 0.0)
    within = kernel[:n, :n].sum() + kernel[n:, n:].sum()
    across = kernel[:n, n:].sum() - np.trace(kernel[:n, n:])
    return float((within - 2.0 * across) / (n * (n - 1)))


def mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Maximum mean discrepancy: the root of `squared_mmd`, zero where that is negative."""
    return float(np.sqrt(max(0.0, squared_mmd(x, y))))


def separability(x: np.ndarray, y: np.ndarray, folds: int, seed: int) -> float:
    """Held-out accuracy of a linear classifier that tells the modalities apart.

    Logistic regression on standardised coordinates, `folds`-fold; both rows of a pair are in the
    same fold. 0.5 is chance, 1 complete linear separation.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = min(folds, len(x))
    right = 0
    for train, test in KFold(folds, shuffle=True, random_state=seed).split(x):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(np.concatenate([x[train], y[train]]), np.repeat([0, 1], len(train)))
        guess = model.predict(np.concatenate([x[test], y[test]]))
        right += (guess == np.repeat([0, 1], len(test))).sum()
    return float(right / (2 * len(x)))


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
        Folds of `separability`; it and `mmd` use a sample of at most `max_pairs` pairs.
    bins
        Bins of the histograms.
    seed
        Seed of the bootstrap, the sample and the folds.
    threads
        Threads for the statistics of all pairs.

    Returns
    -------
    One row of measures, and the histograms of the cosines `within a`, `within b`, `matched` and
    `unmatched` (int64 counts over equal bins between -1 and 1). `gap_low` and `gap_high` bound the
    population's gap, which `gap` overestimates and `gap_unbiased` does not.
    """
    check_pairs(embeddings, f"{embeddings.about.get('model', 'embeddings')}")
    x, y = (unit_rows(embeddings.first(m)) for m in (a, b))
    n = len(x)
    in_a, in_b = (within_statistics(rows, bins * FINE, threads=threads) for rows in (x, y))
    across = cross_statistics(x, y, bins * FINE, threads=threads)
    matched = np.einsum("ij,ij->i", x, y)
    sample = np.sort(np.random.default_rng(seed).permutation(n)[:max_pairs])
    gap = modality_gap(x, y)
    row = {
        "n": n,
        "d": x.shape[1],
        "gap": gap,
        "gap_unbiased": unbiased_gap(x, y),
        **_centroids(x, y),
        **_cosines(x, y, in_a, in_b, across, matched),
        "distance_matched": float(np.sqrt(np.maximum(0, 2 - 2 * matched)).mean()),
        "alignment": float(2 - 2 * matched.mean()),
        "uniformity_a": in_a.uniformity,
        "uniformity_b": in_b.uniformity,
        "effective_rank_a": effective_rank(x),
        "effective_rank_b": effective_rank(y),
        "mmd": mmd(x[sample], y[sample]),
        "separability": separability(x[sample], y[sample], folds, seed),
        **joint_spectrum(x, y),
        **_repeats(x, "a", "ba"),
        **_repeats(y, "b", "ab"),
    }
    columns, names = [x - y, matched[:, None]], ["cosine_matched"]
    for direction, (q, g) in {"ab": (a, b), "ba": (b, a)}.items():
        items = embeddings.index(q)
        ranks = match_ranks(
            unit_rows(embeddings.rows[q]), unit_rows(embeddings.rows[g]), items, embeddings.index(g)
        )
        for k in RECALL_AT:
            row[f"recall_at_{k}_{direction}"] = recall(ranks, k)
            names.append(f"recall_at_{k}_{direction}")
            columns.append(_per_item(ranks < k, items)[:, None])
    draws = bootstrap_means(np.concatenate(columns, axis=1), bootstrap, seed)
    squares = np.square(draws[:, : x.shape[1]]).sum(axis=1)
    row["gap_low"], row["gap_high"] = distance_interval(squares, gap, confidence)
    for name, values in zip(names, draws[:, x.shape[1] :].T, strict=True):
        row[f"{name}_low"], row[f"{name}_high"] = percentile_interval(values, confidence)
    histograms = {
        f"within {a}": in_a.counts,
        f"within {b}": in_b.counts,
        "matched": histogram(matched, bins * FINE),
        "unmatched": across.counts,
    }
    return row, {
        kind: counts.reshape(bins, FINE).sum(axis=1) for kind, counts in histograms.items()
    }


def _centroids(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Norms and cosine of the means, and the reach of each modality along the gap direction."""
    mean_a, mean_b = x.mean(axis=0), y.mean(axis=0)
    norm_a, norm_b = np.linalg.norm(mean_a), np.linalg.norm(mean_b)
    difference = mean_a - mean_b
    length = np.linalg.norm(difference)
    direction = difference / length if length > 0 else difference
    along_a, along_b = x @ direction, y @ direction
    return {
        "norm_a": float(norm_a),
        "norm_b": float(norm_b),
        "centroid_cosine": float(mean_a @ mean_b / (norm_a * norm_b)),
        "along_gap_min_a": float(along_a.min()),
        "along_gap_max_a": float(along_a.max()),
        "along_gap_min_b": float(along_b.min()),
        "along_gap_max_b": float(along_b.max()),
    }


def _cosines(
    x: np.ndarray,
    y: np.ndarray,
    in_a: PairStatistics,
    in_b: PairStatistics,
    across: PairStatistics,
    matched: np.ndarray,
) -> dict[str, float]:
    n, everything = len(x), mean_cross_cosine(x, y)
    mean_a, mean_b = mean_cosine(x), mean_cosine(y)
    quartiles = {
        f"cosine_q{share}_{side}": found.quantile(share / 100)
        for side, found in (("a", in_a), ("b", in_b))
        for share in (25, 50, 75)
    }
    return {
        "cosine_a": mean_a,
        "cosine_min_a": in_a.minimum,
        "cosine_b": mean_b,
        "cosine_min_b": in_b.minimum,
        **quartiles,
        "cosine_matched": float(matched.mean()),
        "cosine_unmatched": float((everything * n - matched.mean()) / (n - 1)),
        "cosine_max_unmatched": across.maximum,
        "cosine_all": everything,
        "relative_gap": relative_gap(float(matched.mean()), mean_a, mean_b),
    }


def _repeats(x: np.ndarray, side: str, direction: str) -> dict[str, float]:
    """Number of distinct rows, and the R@1 of a perfect model.

    A row with a twin in another item ties with it, and a tie is a miss, so no model that retrieves
    among these rows can have more than the share of rows without a twin.
    """
    _, counts = np.unique(x, axis=0, return_counts=True)
    return {
        f"distinct_{side}": len(counts),
        f"recall_ceiling_{direction}": float((counts == 1).sum() / len(x)),
    }


def _per_item(hits: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Mean hit rate of each item's queries."""
    _, index = np.unique(items, return_inverse=True)
    return np.bincount(index, weights=hits) / np.bincount(index)
