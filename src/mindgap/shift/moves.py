"""Moving two sets of unit rows along one direction: the mathematics that every shift shares.

x' = N(x - a u) and y' = N(y + b u), N the L2 normalisation and u a unit vector from y to x, so that
a positive shift brings the sets together (Liang et al., NeurIPS 2022, section 4.2). Then

    x'_i . y'_j = rx_i ry_j (x_i . y_j + b x_i . u - a y_j . u - a b),
    rx_i = 1/|x_i - a u|,  |x_i - a u|^2 = |x_i|^2 - 2 a x_i . u + a^2,  and ry_j likewise,

so one product of the two sets serves every shift.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mindgap.runtime.errors import UserError
from mindgap.shift.tables import shift_grid

if TYPE_CHECKING:
    from mindgap.config.downstream import Shifts

#: Which share of a shift each set takes.
SHARES = {"both": (0.5, 0.5), "a": (1.0, 0.0), "b": (0.0, 1.0)}
ROWS = 4096  # rows of a block: of the scores of many classes no more is held


def unit_direction(gap: np.ndarray, least: float = 1e-9) -> np.ndarray:
    """The gap vector at unit length; one no longer than `least` has no direction."""
    length = np.linalg.norm(gap)
    if length <= least:
        raise UserError(
            "the two modalities have equal means, so no direction joins them; leave these "
            "embeddings out of the shifts, or take the direction from another set"
        )
    return gap / length


def gap_direction(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Unit vector from the mean of the unit rows `y` to the mean of `x`; (d,)."""
    return unit_direction(x.mean(axis=0) - y.mean(axis=0))


def shift_axis(shifts: Shifts) -> np.ndarray:
    """Grid of shifts; no shift is always in it, because all others are compared with that."""
    return np.union1d(shift_grid(shifts.start, shifts.stop, shifts.step), [0.0])


def amounts(shifts: np.ndarray, sides: str) -> list[tuple[float, float]]:
    """How far each shift moves the two sets: (a, b)."""
    share_a, share_b = SHARES[sides]
    return [(float(d) * share_a, float(d) * share_b) for d in shifts]


def reciprocal_root(squares: np.ndarray) -> np.ndarray:
    """1/sqrt of the squared norms of shifted rows, none of which may be at the origin."""
    if not (squares > 1e-8).all():
        raise UserError(
            "a shift moves a row onto the origin, where it has no direction; leave this shift out "
            "or change it a little"
        )
    return 1 / np.sqrt(squares)


def reciprocal_norms(along: np.ndarray, by: float) -> np.ndarray:
    """1/|z + by u| of unit rows with z . u = `along`; (n,)."""
    return reciprocal_root(1 + 2 * by * along + by * by)


def shifted_distance(
    x: np.ndarray, y: np.ndarray, direction: np.ndarray, shifts: np.ndarray, sides: str
) -> np.ndarray:
    """Distance of the centres after each shift, with the sign of its part along u; (S,)."""
    distances = []
    for a, b in amounts(shifts, sides):
        centres = []
        for rows, by in ((x, -a), (y, b)):
            scale = reciprocal_norms(rows @ direction, by)
            centres.append((scale @ rows + by * scale.sum() * direction) / len(rows))
        moved = centres[0] - centres[1]
        distances.append(np.linalg.norm(moved) * (-1.0 if moved @ direction < 0 else 1.0))
    return np.array(distances)


def shifted_scores(
    x: np.ndarray, y: np.ndarray, direction: np.ndarray, shifts: np.ndarray, sides: str
) -> Iterator[tuple[slice, int, np.ndarray]]:
    """Yield (rows of x, number of the shift, |x' before N| times the cosines with all of y')."""
    along_y = y @ direction
    steps = [(a, b, reciprocal_norms(along_y, b)) for a, b in amounts(shifts, sides)]
    for start in range(0, len(x), ROWS):
        rows = slice(start, min(start + ROWS, len(x)))
        products, along_x = x[rows] @ y.T, x[rows] @ direction
        for k, (a, b, scale) in enumerate(steps):
            yield rows, k, (products + b * along_x[:, None] - (a * along_y + a * b)) * scale
