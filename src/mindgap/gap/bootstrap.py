"""Bootstrap intervals over pairs, with all resamples of a block in one matrix product."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_ENTRIES = 1 << 23  # weights held at a time: 64 MB


def resample_weights(n: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield blocks of shape (b, n): how often each of `n` items is drawn, divided by n."""
    rng = np.random.default_rng(seed)
    block = max(1, min(resamples, _ENTRIES // n))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        draws = rng.integers(n, size=(rows, n))
        draws += np.arange(rows)[:, None] * n
        yield np.bincount(draws.ravel(), minlength=rows * n).reshape(rows, n) / n


def bootstrap_means(columns: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Means of the columns of an (n, c) array under each resample: shape (resamples, c).

    Items are drawn with replacement; every column sees the same draws.
    """
    weights = resample_weights(len(columns), resamples, seed)
    return np.concatenate([block @ columns for block in weights])


def percentile_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Equal-tailed percentile interval of bootstrap values (Efron 1979)."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def distance_interval(
    squares: np.ndarray, estimate: float, confidence: float
) -> tuple[float, float]:
    """Interval of a distance from bootstrap values of its square, reflected at the estimate.

    The squared norm of a mean of n noisy differences is too large by tr(Cov)/n, and each resample
    adds the same again; the reflected ("basic") interval 2 g^2 - q takes that back (Davison and
    Hinkley 1997, section 5.2). Negative squares are cut at zero.
    """
    low, high = percentile_interval(squares, confidence)
    square = estimate**2
    return float(np.sqrt(max(0.0, 2 * square - high))), float(np.sqrt(max(0.0, 2 * square - low)))
