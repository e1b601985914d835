"""Ways of changing the gap without training, each fit on calibration pairs and applied to others.

A method is a pair of maps, one for each modality. `fit_*` takes the matched unit rows of a
calibration split and returns the maps, which then know nothing of the rows that they are given.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from mindgap.downstream.rows import UnitRows, cross_moment
from mindgap.runtime.errors import UserError

TINY = 1e-12


@dataclass(frozen=True)
class Affine:
    """The map z -> (z - centre) turn + target of rows (n, d).

    Attributes
    ----------
    centre, target
        (d,) rows, or 0.
    turn
        A number, a (d,) factor for each coordinate or a (d, d) matrix.
    """

    centre: np.ndarray | float = 0.0
    turn: np.ndarray | float = 1.0
    target: np.ndarray | float = 0.0

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Map the rows."""
        moved = rows - self.centre
        return (moved @ self.turn if np.ndim(self.turn) == 2 else moved * self.turn) + self.target

    def parts(self) -> dict[str, np.ndarray | float]:
        """Name -> value of what the map does not leave at its default."""
        usual = {"centre": 0.0, "turn": 1.0, "target": 0.0}
        given = {name: getattr(self, name) for name in usual}
        return {n: v for n, v in given.items() if np.ndim(v) or v != usual[n]}

    @classmethod
    def of(cls, parts: dict[str, np.ndarray]) -> Affine:
        """Make a map from `parts`; an array of one entry stands for a number."""
        return cls(**{n: v if v.size > 1 else float(v[0]) for n, v in parts.items()})


Maps = tuple[Affine, Affine]
Fit = Callable[[UnitRows, UnitRows], Maps]


def fit_none(x: UnitRows, y: UnitRows) -> Maps:
    """Leave both as they are: what every method is compared with."""
    return Affine(), Affine()


def fit_shift(x: UnitRows, y: UnitRows) -> Maps:
    """Move each modality by half the gap towards the other (Liang et al. 2022, whole of the gap).

    x - D/2 and y + D/2 with D = mean x - mean y: both means become their midpoint.
    """
    half = (x.mean - y.mean) / 2
    return Affine(half), Affine(-half)


def fit_centring(x: UnitRows, y: UnitRows) -> Maps:
    """Subtract the mean of each modality (GR-CLIP)."""
    return Affine(x.mean), Affine(y.mean)


def fit_standardising(x: UnitRows, y: UnitRows) -> Maps:
    """Subtract the mean and divide by the standard deviation of each coordinate (I0T).

    A coordinate that does not vary is left as it is.
    """

    def one(rows: UnitRows) -> Affine:
        spread = np.sqrt(rows.variance)
        return Affine(rows.mean, 1 / np.where(spread > TINY, spread, 1.0))

    return one(x), one(y)


def fit_realign(x: UnitRows, y: UnitRows) -> Maps:
    """Move b onto a: centre, scale by the root of the trace ratio, add the mean of a (ReAlign).

    y -> (y - mean y) sqrt(tr Cov x / tr Cov y) + mean x; x stays.
    """
    trace_x, trace_y = x.variance.sum(), y.variance.sum()
    if trace_y < TINY:
        raise UserError(
            "ReAlign needs rows that differ, but all rows of the second modality are equal"
        )
    return Affine(), Affine(y.mean, float(np.sqrt(trace_x / trace_y)), x.mean)


def fit_procrustes(x: UnitRows, y: UnitRows) -> Maps:
    """Turn b onto a by the orthogonal W that minimises |X - Y W| (Schoenemann 1966).

    With the singular value decomposition Y' X = U S V', W = U V'; reflections are allowed.
    """
    left, _, right = np.linalg.svd(cross_moment(y, x))
    return Affine(), Affine(turn=left @ right)


def fit_dropping(x: UnitRows, y: UnitRows, dimensions: int) -> Maps:
    """Set the coordinates whose means differ most to zero (Schrodi et al., ICLR 2025)."""
    keep = np.ones(x.shape[1])
    keep[np.argsort(-np.abs(x.mean - y.mean), kind="stable")[:dimensions]] = 0.0
    return Affine(turn=keep), Affine(turn=keep)


def fit_whitening(x: UnitRows, y: UnitRows) -> Maps:
    """Centre each modality and multiply by the inverse root of its covariance (ZCA whitening).

    Of all whitenings the symmetric one turns the axes least (Kessy et al. 2018). The covariance is
    shrunk, because a calibration split may have fewer pairs than dimensions.
    """

    def one(rows: UnitRows) -> Affine:
        values, vectors = np.linalg.eigh(rows.covariance)
        if values.max() < TINY:
            raise UserError(
                "whitening needs rows that differ, but all rows of one modality are equal"
            )
        root = 1 / np.sqrt(np.maximum(values, 1e-9 * values.max()))
        return Affine(rows.mean, (vectors * root) @ vectors.T)

    return one(x), one(y)


#: Method -> its fit; `drop_8` and the like set eight dimensions to zero.
METHODS: dict[str, Fit] = {
    "none": fit_none,
    "shift": fit_shift,
    "centring": fit_centring,
    "standardising": fit_standardising,
    "realign": fit_realign,
    "procrustes": fit_procrustes,
    "whitening": fit_whitening,
}


def find_method(name: str, dimension: int) -> Fit:
    """Return the fit of a method by its name, for rows of some dimension."""
    if name in METHODS:
        return METHODS[name]
    count = name.removeprefix("drop_")
    if not name.startswith("drop_") or not count.isdecimal():
        near = difflib.get_close_matches(name, METHODS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"unknown method {name!r}{hint} (known: {', '.join(METHODS)}, drop_K)")
    if not 0 < int(count) < dimension:
        raise UserError(f"{name}: of {dimension} dimensions 1 to {dimension - 1} can be dropped")
    return partial(fit_dropping, dimensions=int(count))


def all_methods(drop: list[int], dimension: int) -> dict[str, Fit]:
    """Methods by name, and one for each number of dimensions in `drop` that leaves some."""
    dropping = [f"drop_{k}" for k in drop if k < dimension]
    return METHODS | {name: find_method(name, dimension) for name in dropping}


#: Methods that need no matched pairs, so that class prompts alone can stand for the texts.
UNPAIRED = ("none", "shift", "centring")
