"""What a grid of shifts needs to know of two paired sets, for the cosines of `moves`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from mindgap.runtime.errors import UserError
from mindgap.shift.moves import reciprocal_root, unit_direction

SLICE = 512  # rows that are widened to float64 at a time
ThreadMap = Callable[[Callable, Iterable], list]  # an ordered map, over threads where there are any


def slices(start: int, stop: int, size: int = SLICE) -> list[slice]:
    """Cut a range into slices of at most `size`."""
    return [slice(i, min(i + size, stop)) for i in range(start, stop, size)]


def one_by_one(function: Callable, items: Iterable) -> list:
    """A map without threads."""
    return [function(item) for item in items]


@dataclass(frozen=True)
class RowSet:
    """One set of n rows.

    Attributes
    ----------
    rows
        (n, d), as given.
    mean
        (d,) mean of the rows.
    along, square, across
        x . u, |x|^2 and x . centre of the other set; (n,) float64.
    """

    rows: np.ndarray
    mean: np.ndarray
    along: np.ndarray
    square: np.ndarray
    across: np.ndarray

    @property
    def centre(self) -> np.ndarray:
        """The mean in float32, what products are centred on."""
        return self.mean.astype(np.float32)


@dataclass(frozen=True)
class PairedRows:
    """Two sets of matched unit rows.

    Attributes
    ----------
    x, y
        The sets.
    direction
        (d,) unit vector from the mean of y to the mean of x.
    matched
        (n,) x_i . y_i.
    """

    x: RowSet
    y: RowSet
    direction: np.ndarray
    matched: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, threaded: ThreadMap) -> PairedRows:
        """Measure both sets."""
        n = len(x)
        means = [
            sum(threaded(lambda part, z=z: z[part].sum(axis=0, dtype=np.float64), slices(0, n))) / n
            for z in (x, y)
        ]
        gap = means[0] - means[1]
        if not np.isfinite(gap).all():
            raise UserError("some values are not finite; remove those rows or embed them again")
        # Rounding of the rows moves a mean by less than their resolution.
        direction = unit_direction(gap, max(1e-12, *(float(np.finfo(z.dtype).eps) for z in (x, y))))
        along, square, across = np.empty((3, 2, n))
        matched = np.empty(n)
        axes = [np.stack([direction, mean.astype(np.float32)], axis=1) for mean in means[::-1]]

        def measure(part: slice) -> None:
            wide = [z[part].astype(np.float64) for z in (x, y)]
            matched[part] = np.einsum("ij,ij->i", *wide)
            for side, rows in enumerate(wide):
                square[side, part] = np.einsum("ij,ij->i", rows, rows)
                along[side, part], across[side, part] = (rows @ axes[side]).T

        threaded(measure, slices(0, n))
        if not (np.abs(square - 1) < 0.01).all():
            raise UserError("some rows are not unit vectors; normalise both modalities first")
        columns = zip((x, y), means, along, square, across, strict=True)
        return cls(*(RowSet(*column) for column in columns), direction, matched)


@dataclass(frozen=True)
class Terms:
    """What S shifts make of n pairs, in float64.

    Attributes
    ----------
    rx, ry, px, py
        (S, n); the cosine of two shifted rows is rx_i ry_j (x_i . y_j + px_i + py_j).
    matched
        (S, n) cosine of the shifted pairs.
    least, most
        (S,) bounds of all cosines of shifted rows.
    distance
        (S,) distance of the centres, with the sign of its part along u.
    """

    rx: np.ndarray
    ry: np.ndarray
    px: np.ndarray
    py: np.ndarray
    matched: np.ndarray
    least: np.ndarray
    most: np.ndarray
    distance: np.ndarray

    @classmethod
    def of(cls, pairs: PairedRows, a: np.ndarray, b: np.ndarray, threaded: ThreadMap) -> Terms:
        """Move x by -a u and y by b u, for each of (S,) `a` and `b`."""
        x, y, a, b = pairs.x, pairs.y, a[:, None], b[:, None]
        rx = reciprocal_root(x.square - 2 * a * x.along + a * a)
        ry = reciprocal_root(y.square + 2 * b * y.along + b * b)
        px, py = b * (x.along - a), -a * y.along
        matched = rx * ry * (pairs.matched + px + py)
        # The angles of two rows to u bound the angle between them.
        (low_x, high_x), (low_y, high_y) = (
            np.arccos(np.clip([along.max(axis=1), along.min(axis=1)], -1, 1))
            for along in ((x.along - a) * rx, (y.along + b) * ry)
        )
        most = np.cos(np.maximum(0, np.maximum(low_x - high_y, low_y - high_x)))
        widest = np.minimum(high_x + high_y, 2 * np.pi - low_x - low_y)
        least = np.cos(np.minimum(widest, np.pi))
        moved = _mean(x, rx, threaded) - _mean(y, ry, threaded)
        moved -= pairs.direction * (a * rx + b * ry).mean(axis=1, keepdims=True)
        sign = np.where(moved @ pairs.direction < 0, -1.0, 1.0)
        distance = sign * np.linalg.norm(moved, axis=1)
        return cls(rx, ry, px, py, matched, least, most, distance)


def _mean(side: RowSet, weights: np.ndarray, threaded: ThreadMap) -> np.ndarray:
    """Mean of the rows times each of (S, n) weights; (S, d) float64.

    A row near the origin has a large weight, so that float32 would lose digits of the mean. The
    weights are taken less their mean: what that leaves out is the mean of the rows.
    """
    constant = weights.mean(axis=1, keepdims=True)
    rest = weights - constant
    parts = slices(0, len(side.rows))
    sums = threaded(lambda p: rest[:, p] @ side.rows[p].astype(np.float64, copy=False), parts)
    return np.sum(sums, axis=0) / len(side.rows) + constant * side.mean
