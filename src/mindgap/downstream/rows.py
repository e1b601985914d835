"""Unit rows of an array that may not fit into memory, and the moments that methods are fit on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from mindgap.gap.cosines import unit_rows

BLOCK = 1 << 14  # rows normalised at a time: 64 MB of float64 at 512 dimensions


class UnitRows:
    """L2-normalised rows of an array, in blocks, with their moments.

    Parameters
    ----------
    rows
        Array of shape (n, d), of any norm and any real type; it may be memory-mapped. Rows are
        finite and not zero, see `mindgap.inputs.as_rows`.
    unit
        Whether the rows are unit rows in float64 already.
    """

    def __init__(self, rows: np.ndarray, unit: bool = False) -> None:
        self.rows, self.unit = rows, unit
        self.shape = rows.shape

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the unit rows in float64, `BLOCK` at a time."""
        for start in range(0, len(self), BLOCK):
            block = self.rows[start : start + BLOCK]
            yield block if self.unit else unit_rows(block)

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean row, (d,)."""
        return sum(block.sum(axis=0) for block in self.blocks()) / len(self)

    @cached_property
    def variance(self) -> np.ndarray:
        """Variance of each coordinate, (d,), with the divisor n."""
        squares = (np.square(block - self.mean).sum(axis=0) for block in self.blocks())
        return sum(squares) / len(self)

    @cached_property
    def covariance(self) -> np.ndarray:
        """Covariance (d, d), shrunk towards a multiple of the identity (Ledoit and Wolf 2004).

        S* = (1 - b/e) S + (b/e) m I with the empirical covariance S, m = tr S / d,
        e = |S - m I|^2 / d and b = min(e, (sum_i |z_i|^4 / n - |S|^2) / (n d)), where z_i are the
        centred rows.
        """
        n, d = self.shape
        scatter, fourth = np.zeros((d, d)), 0.0
        for block in self.blocks():
            block = block - self.mean
            scatter += block.T @ block
            fourth += float(np.square(np.einsum("ij,ij->i", block, block)).sum())
        scatter /= n
        middle = np.trace(scatter) / d
        square = float(np.square(scatter).sum())
        distance = square / d - middle**2
        noise = min(distance, (fourth / n - square) / (n * d))
        share = noise / distance if distance > 0 else 0.0
        shrunk = (1 - share) * scatter
        shrunk[np.diag_indices(d)] += share * middle
        return shrunk


def cross_moment(x: UnitRows, y: UnitRows) -> np.ndarray:
    """Sum over the pairs of the outer product x_i' y_i: X' Y, of shape (d, d)."""
    return sum(a.T @ b for a, b in zip(x.blocks(), y.blocks(), strict=True))
