"""First and second moments of two paired clouds, and the statistics of all their pairs.

Both merge: sums of shards, added, are those of the whole set, exactly and in O(n d^2), one shard at
a time. Extremes and histograms of all pairs are counted in tiles, two shards at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from mindgap.gap.cosines import (
    PairStatistics,
    all_statistics,
    cross_statistics,
    mean_cosine,
    merge_statistics,
    within_statistics,
)


@dataclass(frozen=True)
class Moments:
    """What most measures are functions of.

    Attributes
    ----------
    n
        Number of pairs.
    mean_a, mean_b
        Means of the unit rows, (d,).
    cosine_a, cosine_b
        Mean cosine of all pairs of distinct rows of a modality.
    cosine, square, distance
        Means over matching rows of their cosine, squared distance and distance.
    spectrum_a, spectrum_b
        Eigenvalues of the scatter matrix of the centred rows of a modality; n d or n n of them.
    raw, centred
        Eigenvalues for both modalities stacked, without and with centring, largest first.
    """

    n: int
    mean_a: np.ndarray
    mean_b: np.ndarray
    cosine_a: float
    cosine_b: float
    cosine: float
    square: float
    distance: float
    spectrum_a: np.ndarray
    spectrum_b: np.ndarray
    raw: np.ndarray
    centred: np.ndarray

    @property
    def cosine_all(self) -> float:
        """Mean cosine of all pairs across, matching ones too."""
        return float(self.mean_a @ self.mean_b)

    @classmethod
    def of_rows(cls, x: np.ndarray, y: np.ndarray) -> Moments:
        """Moments of unit rows, each of shape (n, d)."""
        cosines = np.einsum("ij,ij->i", x, y)
        stack = np.concatenate([x, y])
        raw = np.linalg.eigvalsh(stack.T @ stack)[::-1]
        stack -= stack.mean(axis=0)
        return cls(
            len(x),
            x.mean(axis=0),
            y.mean(axis=0),
            mean_cosine(x),
            mean_cosine(y),
            float(cosines.mean()),
            float(np.square(x - y).sum(axis=1).mean()),
            float(np.sqrt(np.maximum(0, 2 - 2 * cosines)).mean()),
            spectrum(x),
            spectrum(y),
            raw,
            np.linalg.eigvalsh(stack.T @ stack)[::-1],
        )

    @classmethod
    def of_sums(cls, sums: PairSums) -> Moments:
        """Moments of a set whose rows were summed shard by shard."""
        n, both = sums.n, sums.square_a + sums.square_b
        mean_a, mean_b = sums.sum_a / n, sums.sum_b / n

        def cosine(total: np.ndarray, square: np.ndarray) -> float:
            return float((total @ total - np.trace(square)) / (n * (n - 1)))

        def scatter(square: np.ndarray, mean: np.ndarray, rows: int) -> np.ndarray:
            return np.linalg.eigvalsh(square - rows * np.outer(mean, mean))

        return cls(
            n,
            mean_a,
            mean_b,
            cosine(sums.sum_a, sums.square_a),
            cosine(sums.sum_b, sums.square_b),
            sums.matched / n,
            2 - 2 * sums.matched / n,
            sums.distance / n,
            scatter(sums.square_a, mean_a, n),
            scatter(sums.square_b, mean_b, n),
            np.linalg.eigvalsh(both)[::-1],
            scatter(both, (mean_a + mean_b) / 2, 2 * n)[::-1],
        )


def spectrum(x: np.ndarray) -> np.ndarray:
    """Eigenvalues of the scatter matrix of centred rows, from the smaller of the Gram matrices."""
    centred = x - x.mean(axis=0)
    gram = centred.T @ centred if len(x) > x.shape[1] else centred @ centred.T
    return np.linalg.eigvalsh(gram)


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
        return PairSums(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def pair_sums(x: np.ndarray, y: np.ndarray) -> PairSums:
    """Sums of one shard of unit rows, each of shape (n, d)."""
    cosines = np.einsum("ij,ij->i", x, y)
    distance = np.sqrt(np.maximum(0, 2 - 2 * cosines)).sum()
    squares = x.T @ x, y.T @ y
    matched = float(cosines.sum()), float(distance)
    return PairSums(len(x), x.sum(axis=0), y.sum(axis=0), *squares, *matched)


@dataclass(frozen=True)
class AllPairs:
    """Statistics of the cosines of all pairs: within each modality, and unmatched across."""

    a: PairStatistics
    b: PairStatistics
    unmatched: PairStatistics

    @classmethod
    def of_rows(cls, x: np.ndarray, y: np.ndarray, bins: int, threads: int = 1) -> AllPairs:
        """Statistics of unit rows, each of shape (n, d)."""
        within = (within_statistics(rows, bins, threads=threads) for rows in (x, y))
        return cls(*within, cross_statistics(x, y, bins, threads=threads))

    @classmethod
    def of_shards(
        cls,
        shards: Sequence[Callable[[], tuple[np.ndarray, np.ndarray]]],
        bins: int,
        threads: int = 1,
    ) -> AllPairs:
        """Statistics of a sharded set; each of `shards` returns the unit rows of one of them."""
        parts: dict[str, list[PairStatistics]] = {"a": [], "b": [], "unmatched": []}
        for i, load in enumerate(shards):
            x, y = load()
            if len(x) > 1:
                own = cls.of_rows(x, y, bins, threads)
                for name, some in parts.items():
                    some.append(getattr(own, name))
            for other in shards[i + 1 :]:
                u, v = other()
                across = [("a", x, u), ("b", y, v), ("unmatched", x, v), ("unmatched", u, y)]
                for name, *rows in across:
                    parts[name].append(all_statistics(*rows, bins, threads=threads))
        return cls(**{name: merge_statistics(some) for name, some in parts.items()})
