"""Two sets of any sizes under a shift along one direction.

x' = N(x - a u) and y' = N(y + b u), N the L2 normalisation and u a unit vector, so that a positive
shift brings the sets together (Liang et al., NeurIPS 2022, section 4.2). What is asked here are
ranks, for which the norm of the query plays no part.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mindgap.embed.store import load_embeddings
from mindgap.gap.cosines import unit_rows
from mindgap.runtime.errors import UserError
from mindgap.shift.tables import shift_grid

SHARES = {"both": (0.5, 0.5), "a": (1.0, 0.0), "b": (0.0, 1.0)}
ROWS = 4096  # rows of a block: of the scores of many classes no more is held


def gap_direction(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Unit vector from the mean of the unit rows `y` to the mean of `x`; (d,)."""
    gap = x.mean(axis=0) - y.mean(axis=0)
    length = np.linalg.norm(gap)
    if length < 1e-9:
        raise UserError(
            "the means of the two modalities coincide, so no direction joins them: take the "
            "direction from another set"
        )
    return gap / length


def direction_of(pairs: str | Path | None, x: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Direction of a task: from its class prompts to its items, or between the pairs of a file.

    The paper takes it per task from the class prompts (Table 1; each class counts once), and for
    Table 2 from the pairs of MSCOCO.
    """
    return gap_direction(*(_pairs(pairs) if pairs else (x, classes)))


def pair_distance(
    pairs: str | Path | None,
    x: np.ndarray,
    classes: np.ndarray,
    direction: np.ndarray,
    shifts: np.ndarray,
    sides: str,
) -> np.ndarray:
    """Distance of the centres under each shift of the rows that the direction comes from; (S,)."""
    rows = _pairs(pairs) if pairs else (x, classes)
    return shifted_distance(*rows, direction, shifts, sides)


def _pairs(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    embeddings = load_embeddings(path)
    a, b = embeddings.rows
    return unit_rows(embeddings.first(a)), unit_rows(embeddings.first(b))


def shift_axis(options: dict[str, float]) -> np.ndarray:
    """Grid of shifts; no shift is always in it, because all others are compared with that."""
    return np.union1d(shift_grid(**options), [0.0])


def amounts(shifts: np.ndarray, sides: str) -> list[tuple[float, float]]:
    """How far each shift moves the two sets: (a, b)."""
    share_a, share_b = SHARES[sides]
    return [(float(d) * share_a, float(d) * share_b) for d in shifts]


def reciprocal_norms(along: np.ndarray, by: float) -> np.ndarray:
    """1/|z + by u| of unit rows with z . u = `along`; (n,)."""
    squares = 1 + 2 * by * along + by * by
    if not (squares > 1e-8).all():
        raise UserError(
            "a shift moves a row onto the origin, where it has no direction: leave this shift out "
            "or change it a little"
        )
    return 1 / np.sqrt(squares)


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
    """Yield (rows of x, number of the shift, |x' before N| times the cosines with all of y').

    One product of the two sets serves every shift: (x - a u) . (y + b u) is x . y with three
    corrections of rank one.
    """
    along_y = y @ direction
    steps = [(a, b, reciprocal_norms(along_y, b)) for a, b in amounts(shifts, sides)]
    for start in range(0, len(x), ROWS):
        rows = slice(start, min(start + ROWS, len(x)))
        products, along_x = x[rows] @ y.T, x[rows] @ direction
        for k, (a, b, scale) in enumerate(steps):
            yield rows, k, (products + b * along_x[:, None] - (a * along_y + a * b)) * scale
