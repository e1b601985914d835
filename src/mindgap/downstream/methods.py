"""Ways of changing the gap without training, each fit on calibration pairs and applied to others.

A method is a pair of maps, one a modality. `fit_*` takes the matched unit rows of a calibration
split, (n, d) float64 each, and returns the maps, which then know nothing of the rows that they
are given.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from mindgap.runtime.errors import UserError

Map = Callable[[np.ndarray], np.ndarray]
Maps = tuple[Map, Map]
Fit = Callable[[np.ndarray, np.ndarray], Maps]

TINY = 1e-12


def affine(
    centre: np.ndarray, turn: np.ndarray | float = 1.0, target: np.ndarray | float = 0.0
) -> Map:
    """Map z to (z - centre) turn + target; `turn` is a number, a (d,) scale or a (d, d) matrix."""

    def apply(rows: np.ndarray) -> np.ndarray:
        moved = rows - centre
        return (moved @ turn if np.ndim(turn) == 2 else moved * turn) + target

    return apply


def fit_none(x: np.ndarray, y: np.ndarray) -> Maps:
    """Leave both as they are: what every method is compared with."""
    return (lambda rows: rows), (lambda rows: rows)


def fit_shift(x: np.ndarray, y: np.ndarray) -> Maps:
    """Move each modality by half the gap towards the other (Liang et al. 2022, whole of the gap).

    x - D/2 and y + D/2 with D = mean x - mean y: both means become their midpoint.
    """
    half = (x.mean(axis=0) - y.mean(axis=0)) / 2
    return affine(half), affine(-half)


def fit_centring(x: np.ndarray, y: np.ndarray) -> Maps:
    """Subtract the mean of each modality (GR-CLIP)."""
    return affine(x.mean(axis=0)), affine(y.mean(axis=0))


def fit_standardising(x: np.ndarray, y: np.ndarray) -> Maps:
    """Subtract the mean and divide by the standard deviation of each coordinate (I0T).

    A coordinate that does not vary is left as it is.
    """

    def one(rows: np.ndarray) -> Map:
        spread = rows.std(axis=0)
        return affine(rows.mean(axis=0), 1 / np.where(spread > TINY, spread, 1.0))

    return one(x), one(y)


def fit_realign(x: np.ndarray, y: np.ndarray) -> Maps:
    """Move b onto a: centre, scale by the root of the trace ratio, add the mean of a (ReAlign).

    y -> (y - mean y) sqrt(tr Cov x / tr Cov y) + mean x; x stays.
    """
    trace_x, trace_y = x.var(axis=0).sum(), y.var(axis=0).sum()
    if trace_y < TINY:
        raise UserError(
            "all calibration rows of the second modality are equal, and ReAlign divides by their "
            "variance; check the embeddings"
        )
    scale = float(np.sqrt(trace_x / trace_y))
    return fit_none(x, y)[0], affine(y.mean(axis=0), scale, x.mean(axis=0))


def fit_procrustes(x: np.ndarray, y: np.ndarray) -> Maps:
    """Turn b onto a by the orthogonal W that minimises |X - Y W| (Schoenemann 1966).

    With the singular value decomposition Y' X = U S V', W = U V'; reflections are allowed.
    """
    left, _, right = np.linalg.svd(y.T @ x)
    return fit_none(x, y)[0], affine(np.zeros(x.shape[1]), left @ right)


def fit_dropping(x: np.ndarray, y: np.ndarray, dimensions: int) -> Maps:
    """Set the coordinates whose means differ most to zero (Schrodi et al., ICLR 2025)."""
    if dimensions >= x.shape[1]:
        raise UserError(
            f"dropping {dimensions} of {x.shape[1]} dimensions leaves none; choose fewer in "
            "downstream.methods.drop"
        )
    difference = np.abs(x.mean(axis=0) - y.mean(axis=0))
    keep = np.ones(x.shape[1])
    keep[np.argsort(-difference, kind="stable")[:dimensions]] = 0.0
    return affine(np.zeros(x.shape[1]), keep), affine(np.zeros(x.shape[1]), keep)


def fit_whitening(x: np.ndarray, y: np.ndarray) -> Maps:
    """Centre each modality and multiply by the inverse root of its covariance (ZCA whitening).

    Of all whitenings the symmetric one turns the axes least (Kessy et al. 2018). The covariance is
    shrunk towards a multiple of the identity as Ledoit and Wolf (2004) estimate it, because a
    calibration split may have fewer pairs than dimensions.
    """

    def one(rows: np.ndarray) -> Map:
        from sklearn.covariance import ledoit_wolf

        covariance, _ = ledoit_wolf(rows)
        values, vectors = np.linalg.eigh(covariance)
        if values.max() < TINY:
            raise UserError(
                "all calibration rows of a modality are equal, and whitening divides by their "
                "variance; check the embeddings"
            )
        root = 1 / np.sqrt(np.maximum(values, 1e-9 * values.max()))
        return affine(rows.mean(axis=0), (vectors * root) @ vectors.T)

    return one(x), one(y)


def all_methods(drop: list[int]) -> dict[str, Fit]:
    """Methods by name; one for each number of dimensions in `drop`."""
    return {
        "none": fit_none,
        "shift": fit_shift,
        "centring": fit_centring,
        "standardising": fit_standardising,
        "realign": fit_realign,
        "procrustes": fit_procrustes,
        **{f"drop_{k}": partial(fit_dropping, dimensions=k) for k in drop},
        "whitening": fit_whitening,
    }


#: Methods that need no matched pairs, so that class prompts alone can stand for the texts.
UNPAIRED = ("none", "shift", "centring")
