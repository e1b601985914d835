"""Statistics of all pairs of rows: closed forms where there are any, tiles where there are none.

No function here holds an n x n matrix. Rows are unit vectors in float64; a pair of a row with
itself is left out. A tile is one matrix product and one pass over its entries, and every thread
works on tiles of its own; results are added in the order of the tiles, so they do not depend on
the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numba as nb
import numpy as np
from threadpoolctl import threadpool_limits

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
        Histogram over equal bins of `span`, int64.
    span
        Ends of the histogram.
    """

    pairs: int
    minimum: float
    maximum: float
    uniformity: float
    counts: np.ndarray
    span: tuple[float, float] = (-1.0, 1.0)

    def quantile(self, share: float) -> float:
        """Cosine below which a share of the pairs lies, to within one bin.

        Read off the histogram, linear within a bin and cut at the extremes: with b bins the error
        is below 2/b (or the width of `span` over b).
        """
        edges = np.linspace(*self.span, len(self.counts) + 1)
        below = np.concatenate([[0], np.cumsum(self.counts)]) / self.pairs
        value = np.interp(share, below, edges)
        return float(np.clip(value, self.minimum, self.maximum))


def within_statistics(
    x: np.ndarray,
    bins: int,
    tile: int = TILE,
    threads: int = 1,
    span: tuple[float, float] = (-1.0, 1.0),
) -> PairStatistics:
    """Statistics over the pairs i < j of unit rows `x`; `span` ends the histogram's bins.

    What lies outside `span` counts in its first or last bin.
    """
    starts = range(0, len(x), tile)
    jobs = ((i, j, 1 if i == j else 0) for i in starts for j in starts if j >= i)
    return _collect(x, x, jobs, bins, tile, threads, span)


def cross_statistics(
    x: np.ndarray, y: np.ndarray, bins: int, tile: int = TILE, threads: int = 1
) -> PairStatistics:
    """Statistics over the pairs i != j of unit rows x_i and y_j: the unmatched pairs."""
    starts = range(0, len(x), tile)
    jobs = ((i, j, 2 if i == j else 0) for i in starts for j in starts)
    return _collect(x, y, jobs, bins, tile, threads)


def all_statistics(
    x: np.ndarray, y: np.ndarray, bins: int, tile: int = TILE, threads: int = 1
) -> PairStatistics:
    """Statistics over all pairs of a row of `x` with a row of `y`, say of two shards."""
    jobs = ((i, j, 0) for i in range(0, len(x), tile) for j in range(0, len(y), tile))
    return _collect(x, y, jobs, bins, tile, threads)


def merge_statistics(parts: list[PairStatistics]) -> PairStatistics:
    """Statistics of all pairs of several disjoint sets of pairs."""
    pairs = sum(part.pairs for part in parts)
    potential = sum(part.pairs * np.exp(part.uniformity) for part in parts)
    return PairStatistics(
        pairs,
        min(part.minimum for part in parts),
        max(part.maximum for part in parts),
        float(np.log(potential / pairs)),
        np.sum([part.counts for part in parts], axis=0),
    )


def histogram(cosines: np.ndarray, bins: int) -> np.ndarray:
    """Count cosines in equal bins between -1 and 1; rounding beyond the ends falls inside."""
    square = np.ascontiguousarray(cosines, np.float64).reshape(1, -1)
    return _pass(square, 0, bins, -1.0, 1.0)[-1]


def _collect(
    x: np.ndarray,
    y: np.ndarray,
    jobs: Iterator[tuple[int, int, int]],
    bins: int,
    tile: int,
    threads: int,
    span: tuple[float, float] = (-1.0, 1.0),
) -> PairStatistics:
    def work(job: tuple[int, int, int]) -> tuple:
        i, j, skip = job
        return _pass(x[i : i + tile] @ y[j : j + tile].T, skip, bins, *map(float, span))

    pairs, low, high, potential = 0, np.inf, -np.inf, 0.0
    counts = np.zeros(bins, np.int64)
    # Threads take whole tiles, so the products inside them run on one thread each.
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        while some := list(islice(jobs, 64)):
            for n, least, most, part, bars in pool.map(work, some):
                pairs, potential = pairs + n, potential + part
                low, high = min(low, least), max(high, most)
                counts += bars
    uniformity = float(np.log(potential / pairs))
    return PairStatistics(pairs, float(low), float(high), uniformity, counts, span)


@nb.njit(nogil=True, cache=True)
def _pass(cosines: np.ndarray, skip: int, bins: int, start: float, stop: float) -> tuple:
    """One pass over a tile: pairs, minimum, maximum, sum exp(-2 |x - y|^2), histogram.

    `start` and `stop` end the histogram. `skip` leaves out nothing (0), the diagonal and what is
    below it (1), or the diagonal (2).
    """
    counts = np.zeros(bins, np.int64)
    low, high, potential, pairs = np.inf, -np.inf, 0.0, 0
    scale = bins / (stop - start)
    for i in range(cosines.shape[0]):
        for j in range(i + 1 if skip == 1 else 0, cosines.shape[1]):
            if skip == 2 and i == j:
                continue
            cosine = cosines[i, j]
            low, high = min(low, cosine), max(high, cosine)
            potential += np.exp(4.0 * (cosine - 1.0))  # |x - y|^2 = 2 - 2 cos
            counts[min(max(int((cosine - start) * scale), 0), bins - 1)] += 1
            pairs += 1
    return pairs, low, high, potential, counts
