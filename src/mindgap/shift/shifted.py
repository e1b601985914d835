"""Cosines of shifted rows in closed form: what a grid of shifts needs to know of two sets.

With x' = N(x - a u) and y' = N(y + b u), N the L2 normalisation and u the unit gap direction,

    x'_i . y'_j = rx_i ry_j (x_i . y_j + b x_i . u - a y_j . u - a b),
    rx_i = 1/|x_i - a u|,  |x_i - a u|^2 = |x_i|^2 - 2 a x_i . u + a^2,  and ry_j likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from mindgap.runtime.errors import UserError

SLICE = 512  # rows that are widened to float64 at a time
Spread = Callable[[Callable, Iterable], list]  # an ordered map, over threads where there are any


def slices(start: int, stop: int, size: int = SLICE) -> list[slice]:
    """Cut a range into slices of at most `size`."""
    return [slice(i, min(i + size, stop)) for i in range(start, stop, size)]


def one_by_one(function: Callable, items: Iterable) -> list:
    """A map without threads."""
    return [function(item) for item in items]


@dataclass(frozen=True)
class Side:
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
class Pairs:
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

    x: Side
    y: Side
    direction: np.ndarray
    matched: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, spread: Spread) -> Pairs:
        """Measure both sets."""
        n = len(x)
        means = [
            sum(spread(lambda part, z=z: z[part].sum(axis=0, dtype=np.float64), slices(0, n))) / n
            for z in (x, y)
        ]
        gap = means[0] - means[1]
        length = np.linalg.norm(gap)
        if not np.isfinite(length):
            raise UserError("some values are not finite numbers: mend the embeddings")
        # Rounding of the rows moves a mean by less than their resolution.
        if length <= max(1e-12, *(float(np.finfo(z.dtype).eps) for z in (x, y))):
            raise UserError(
                "the two modalities have equal means, so that no direction joins them: leave this"
                " pair of modalities out of the shift"
            )
        direction = gap / length
        along, square, across = np.empty((3, 2, n))
        matched = np.empty(n)
        axes = [np.stack([direction, mean.astype(np.float32)], axis=1) for mean in means[::-1]]

        def measure(part: slice) -> None:
            wide = [z[part].astype(np.float64) for z in (x, y)]
            matched[part] = np.einsum("ij,ij->i", *wide)
            for side, rows in enumerate(wide):
                square[side, part] = np.einsum("ij,ij->i", rows, rows)
                along[side, part], across[side, part] = (rows @ axes[side]).T

        spread(measure, slices(0, n))
        if not (np.abs(square - 1) < 0.01).all():
            raise UserError("some rows are not unit vectors: normalise both modalities first")
        columns = zip((x, y), means, along, square, across, strict=True)
        return cls(*(Side(*column) for column in columns), direction, matched)


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
    def of(cls, pairs: Pairs, a: np.ndarray, b: np.ndarray, spread: Spread) -> Terms:
        """Move x by -a u and y by b u, for each of (S,) `a` and `b`."""
        x, y, a, b = pairs.x, pairs.y, a[:, None], b[:, None]
        rx = _reciprocal(x.square - 2 * a * x.along + a * a)
        ry = _reciprocal(y.square + 2 * b * y.along + b * b)
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
        moved = _mean(x, rx, spread) - _mean(y, ry, spread)
        moved -= pairs.direction * (a * rx + b * ry).mean(axis=1, keepdims=True)
        sign = np.where(moved @ pairs.direction < 0, -1.0, 1.0)
        distance = sign * np.linalg.norm(moved, axis=1)
        return cls(rx, ry, px, py, matched, least, most, distance)


def _reciprocal(squares: np.ndarray) -> np.ndarray:
    if not (squares > 1e-8).all():
        raise UserError(
            "a shift moves a row onto the origin, where it has no direction: leave this shift out"
            " or change it a little"
        )
    return 1 / np.sqrt(squares)


def _mean(side: Side, weights: np.ndarray, spread: Spread) -> np.ndarray:
    """Mean of the rows times each of (S, n) weights; (S, d) float64.

    A row near the origin has a large weight, so that float32 would lose digits of the mean. The
    weights are taken less their mean: what that leaves out is the mean of the rows.
    """
    constant = weights.mean(axis=1, keepdims=True)
    rest = weights - constant
    parts = slices(0, len(side.rows))
    sums = spread(lambda p: rest[:, p] @ side.rows[p].astype(np.float64, copy=False), parts)
    return np.sum(sums, axis=0) / len(side.rows) + constant * side.mean
