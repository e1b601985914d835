"""Statistics of all pairs of rows: closed forms where there are any, tiles where there are none.

No function here holds an n x n matrix. Rows are unit vectors in float64; a pair of a row with
itself is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

TILE = 1024  # rows and columns of a tile: 8 MB of float64


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Return the L2-normalised rows in float64; shape (n, d)."""
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def mean_cosine(x: np.ndarray) -> float:
    """Mean cosine of all pairs of distinct rows of unit rows `x`, in O(nd).

    |sum_i x_i|^2 = n + sum_{i != j} x_i . x_j, so the mean is (|sum_i x_i|^2 - n) / (n (n - 1)).
    """
    n = len(x)
    total = x.sum(axis=0)
    return float((total @ total - np.einsum("ij,ij->", x, x)) / (n * (n - 1)))


def mean_cross_cosine(x: np.ndarray, y: np.ndarray) -> float:
    """Mean cosine of all pairs of a row of `x` with a row of `y`: the dot product of the means."""
    return float(x.mean(axis=0) @ y.mean(axis=0))


@dataclass(frozen=True)
class PairStatistics:
    """Statistics of the cosines of many pairs.

    Attributes
    ----------
    pairs
        Number of pairs.
    minimum, maximum
        Extreme cosines.
    uniformity
        log mean exp(-2 |x_i - x_j|^2), Wang and Isola, ICML 2020, with t = 2.
    counts
        Histogram over equal bins between -1 and 1, int64.
    """

    pairs: int
    minimum: float
    maximum: float
    uniformity: float
    counts: np.ndarray


def within_statistics(x: np.ndarray, bins: int, tile: int = TILE) -> PairStatistics:
    """Statistics over the pairs i < j of unit rows `x`."""
    return _collect(_within_tiles(x, tile), bins)


def cross_statistics(x: np.ndarray, y: np.ndarray, bins: int, tile: int = TILE) -> PairStatistics:
    """Statistics over the pairs i != j of unit rows x_i and y_j: the unmatched pairs."""
    return _collect(_cross_tiles(x, y, tile), bins)


def histogram(cosines: np.ndarray, bins: int) -> np.ndarray:
    """Count cosines in equal bins between -1 and 1; rounding beyond the ends falls inside."""
    index = ((cosines.ravel() + 1.0) * (bins / 2)).astype(np.int32)
    np.clip(index, 0, bins - 1, out=index)
    return np.bincount(index, minlength=bins)


def _within_tiles(x: np.ndarray, tile: int) -> Iterator[np.ndarray]:
    for i in range(0, len(x), tile):
        block = x[i : i + tile]
        square = block @ block.T
        yield square[np.triu_indices(len(block), 1)]
        for j in range(i + tile, len(x), tile):
            yield block @ x[j : j + tile].T


def _cross_tiles(x: np.ndarray, y: np.ndarray, tile: int) -> Iterator[np.ndarray]:
    for i in range(0, len(x), tile):
        for j in range(0, len(y), tile):
            square = x[i : i + tile] @ y[j : j + tile].T
            yield square[~np.eye(*square.shape, dtype=bool)] if i == j else square


def _collect(tiles: Iterator[np.ndarray], bins: int) -> PairStatistics:
    pairs, low, high, potential = 0, np.inf, -np.inf, 0.0
    counts = np.zeros(bins, np.int64)
    for cosines in tiles:
        if cosines.size == 0:
            continue
        pairs += cosines.size
        low, high = min(low, cosines.min()), max(high, cosines.max())
        counts += histogram(cosines, bins)
        potential += np.exp(4.0 * (cosines - 1.0)).sum()  # |x - y|^2 = 2 - 2 cos
    return PairStatistics(pairs, float(low), float(high), float(np.log(potential / pairs)), counts)
