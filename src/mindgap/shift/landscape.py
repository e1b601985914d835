"""The contrastive loss over shift x temperature.

Both modalities are moved along the unit gap direction u = (mean x - mean y)/|mean x - mean y|
(`moves`), and the loss is the cross-entropy of the matched pair among the logits s x'_i . y'_j,
s = 1/tau (Liang et al., NeurIPS 2022, section 4.2 and Figure 3). A shift is a correction of rank
one, so one product of the two sets, taken tile by tile, serves all shifts, and one exponential
serves rows, columns and all scales with a common base (`kernels`).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
from threadpoolctl import threadpool_limits

from mindgap.runtime.errors import UserError
from mindgap.shift.kernels import ScaleGroup, group_scales
from mindgap.shift.moves import SHARES
from mindgap.shift.shifted import PairedRows, Terms, ThreadMap, one_by_one
from mindgap.shift.sums import TileJob, panel_losses, tile_losses

BUDGET = 256e6  # bytes of sums and terms; more shifts than fit go in several passes

# Powers of two between which the logits of a tile must lie, so that float32 sums do not overflow
# and nothing that counts beside a matched logit underflows.
UPPER, LOWER, LEAST = 115.0, -75.0, -124.0
STEEPEST = 8.0  # reciprocal norms whose product is larger need float64
FARTHEST, SMALLEST, LARGEST = 1e4, 1e-8, 1e9  # of a shift; of a logit scale


@dataclass(frozen=True)
class Landscape:
    """Contrastive loss over a grid of shifts and logit scales.

    Attributes
    ----------
    shifts
        (S,) delta, a length along the unit gap direction; positive closes the gap.
    scales
        (T,) logit scales 1/tau.
    distance
        (S,) distance of the centres after the shift, with the sign of its part along u.
    loss_ab, loss_ba
        (S, T) mean cross-entropy over rows (image to text) and over columns (text to image).
    """

    shifts: np.ndarray
    scales: np.ndarray
    distance: np.ndarray
    loss_ab: np.ndarray
    loss_ba: np.ndarray

    @property
    def loss(self) -> np.ndarray:
        """Mean of both directions, (S, T): the loss that CLIP is trained with."""
        return (self.loss_ab + self.loss_ba) / 2


def landscape(
    x: np.ndarray,
    y: np.ndarray,
    shifts: np.ndarray,
    scales: np.ndarray,
    *,
    sides: Literal["both", "a", "b"] = "both",
    batch: int | None = None,
    threads: int = 1,
) -> Landscape:
    """Contrastive loss and distance of the centres over shifts x scales.

    Every value is within 1e-5 of the same computed in float64, as a rule within 1e-6, and does
    not depend on `threads`. No n x n matrix is held.

    Parameters
    ----------
    x, y
        Matched unit rows, (n, d), of any float type.
    shifts
        Lengths delta along the unit gap direction.
    scales
        Logit scales 1/tau; the more of them are multiples of one base, the faster.
    sides
        `both` moves each set by delta/2 towards the other one, `a` moves x alone by delta, `b`
        moves y alone.
    batch
        Pairs that share a loss: consecutive ones in the order given; the result is the mean over
        batches. A last incomplete batch has no part in the loss, though all pairs have a part in
        the direction and the distance. None: all pairs are one batch. Published: 100 batches of
        50.
    threads
        Threads to use.
    """
    x, y = _check_rows(x), _check_rows(y)
    if x.shape != y.shape:
        raise UserError(f"x and y must have the same shape, got {x.shape} and {y.shape}")
    batch = len(x) if batch is None else batch
    if not 2 <= batch <= len(x):
        raise UserError(f"batch must be between 2 and the {len(x)} pairs, got {batch}")
    shifts, scales = _check_shifts(shifts), _check_scales(scales)
    if sides not in SHARES:
        raise UserError(f"sides must be one of {', '.join(SHARES)}, got {sides!r}")
    share_a, share_b = SHARES[sides]
    distinct, position = np.unique(np.maximum(scales, SMALLEST), return_inverse=True)
    groups = group_scales(distinct)
    with _workers(threads) as threaded:
        pairs = PairedRows.of(x, y, threaded)
        need = (16 * len(distinct) * batch + 150 * len(x)) * len(shifts)
        parts = np.array_split(shifts, min(len(shifts), -(-need // int(BUDGET))))
        results = [_pass(pairs, d * share_a, d * share_b, groups, batch, threaded) for d in parts]
    distance, ab, ba = (np.concatenate(z) for z in zip(*results, strict=True))
    return Landscape(shifts, scales, distance, ab[:, position], ba[:, position])


def _check_rows(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows)
    if rows.ndim != 2 or len(rows) < 2:
        raise UserError(f"embeddings must have the shape (n, d), n > 1, got {rows.shape}")
    return rows if np.issubdtype(rows.dtype, np.floating) else rows.astype(np.float64)


def _check_shifts(shifts: np.ndarray) -> np.ndarray:
    shifts = np.asarray(shifts, np.float64).reshape(-1)
    if len(shifts) == 0:
        raise UserError("the list of shifts is empty; give at least one, such as 0")
    if (outside := ~(np.abs(shifts) <= FARTHEST)).any():
        raise UserError(
            f"shifts must be between -{FARTHEST:g} and {FARTHEST:g}, got {shifts[outside][0]:g}"
        )
    return shifts


def _check_scales(scales: np.ndarray) -> np.ndarray:
    scales = np.asarray(scales, np.float64).reshape(-1)
    if len(scales) == 0:
        raise UserError("the list of inverse temperatures is empty; give at least one, such as 100")
    if (outside := ~((scales > 0) & (scales <= LARGEST))).any():
        raise UserError(
            f"inverse temperatures must be above 0 and at most {LARGEST:g}, got "
            f"{scales[outside][0]:g}"
        )
    return scales


@contextmanager
def _workers(threads: int) -> Iterator[ThreadMap]:
    """Yield an ordered map over threads, each of which runs BLAS on its own."""
    with threadpool_limits(1, "blas"):
        if threads <= 1:
            yield one_by_one
            return
        with ThreadPoolExecutor(threads) as pool:
            yield lambda function, items: list(pool.map(function, items))


def _pass(
    pairs: PairedRows,
    a: np.ndarray,
    b: np.ndarray,
    groups: list[ScaleGroup],
    batch: int,
    threaded: ThreadMap,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance (S,) and both losses (S, T) for shifts that move x by -a u and y by b u."""
    terms = Terms.of(pairs, a, b, threaded)
    used = len(pairs.matched) // batch * batch
    matched = terms.matched[:, :used]
    steep = terms.rx.max(axis=1) * terms.ry.max(axis=1) > STEEPEST
    losses = np.empty((2, len(a), sum(len(group.columns) for group in groups)))
    fast, slow = [], []
    for group in groups:
        step = group.largest * np.log2(np.e)
        floor = terms.most - UPPER / step
        ceiling = matched.min(axis=1) - LOWER / step
        fits = (floor <= ceiling) & ~steep
        # Exponents are the more exact the smaller they are where it matters: at the matched pairs.
        offset = np.minimum(matched.mean(axis=1), terms.least - LEAST / step)
        offset = np.maximum(floor, np.minimum(offset, ceiling))
        if fits.any():
            fast.append(TileJob(group, np.flatnonzero(fits), offset))
        slow += [(group, k) for k in np.flatnonzero(~fits)]
    tile_losses(pairs, terms, fast, batch, losses, threaded)
    panel_losses(pairs, terms, slow, batch, losses, threaded)
    return terms.distance, *(losses / used)
