"""Sums of the contrastive loss over the pairs of batches, for many shifts and scales.

Two ways: float32 tiles, where one product and one exponential serve a whole grid, for logits that
fit the range of float32; and float64 panels, each row with a maximum of its own, for all others.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from mindgap.shift.kernels import HIDDEN, LANES, ScaleGroup, tile_sums
from mindgap.shift.shifted import PairedRows, Terms, ThreadMap, one_by_one, slices

TILE = 256  # rows and columns of a tile: 256 kB of float32, in the second-level cache
BLOCK = 1024  # padded rows of small batches that a thread takes at a time
PANEL = 2**21  # entries of a panel: 16 MB of float64


@dataclass(frozen=True)
class TileJob:
    """A group of scales, the indices of the shifts to take, and an offset for each shift.

    The logits s c are summed as exp(s (c - offset)).
    """

    group: ScaleGroup
    picks: np.ndarray
    offset: np.ndarray


def tile_losses(
    pairs: PairedRows,
    terms: Terms,
    jobs: list[TileJob],
    batch: int,
    losses: np.ndarray,
    threaded: ThreadMap,
) -> None:
    """Write the losses (2, S, T), summed over all pairs in full batches, from float32 tiles."""
    if not jobs:
        return
    # Batches that fit a tile go to the threads a few at a time; a larger one keeps them all busy.
    few = max(1, BLOCK // _stride(batch)) * batch
    outer, inner = (threaded, one_by_one) if batch <= TILE else (one_by_one, threaded)
    blocks = slices(0, len(pairs.matched) // batch * batch, few)
    results = outer(lambda rows: _block(pairs, terms, jobs, rows, batch, inner), blocks)
    for job, *sums in zip(jobs, *results, strict=True):
        losses[:, job.picks[:, None], job.group.columns] = np.sum(sums, axis=0)


def _stride(batch: int) -> int:
    """Distance of two batches that are padded to whole vectors."""
    return -(-batch // LANES) * LANES


def _block(
    pairs: PairedRows,
    terms: Terms,
    jobs: list[TileJob],
    rows: slice,
    batch: int,
    threaded: ThreadMap,
) -> list[np.ndarray]:
    """Summed losses (2, picks, members of the group) of each job, for the batches in `rows`.

    With h the product of the centred rows, P_i = x_i . centre of y + px_i - centre . centre and
    Q_j = centre of x . y_j + py_j, the cosine is rx_i (ry_j h_ij + ry_j Q_j) + rx_i P_i ry_j. The
    means of ry_j Q_j and ry_j are taken out in float64, so that float32 holds differences alone.
    """
    stride = _stride(batch)

    def padded(values: np.ndarray, fill: float, dtype: type) -> np.ndarray:
        out = np.full((len(values), values.shape[1] // batch, stride), fill, dtype)
        out[:, :, :batch] = values.reshape(len(values), -1, batch)
        return out.reshape(len(values), -1)

    rx, ry, matched = (z[:, rows] for z in (terms.rx, terms.ry, terms.matched))
    centres = [side.centre for side in (pairs.x, pairs.y)]
    left = terms.px[:, rows] + pairs.x.across[rows]
    shared = left.mean(axis=1, keepdims=True)
    left = rx * (left - shared)
    shared -= centres[0].astype(np.float64) @ centres[1]
    right = ry * (terms.py[:, rows] + pairs.y.across[rows] + shared)
    mean_r, mean_v = (z.mean(axis=1, keepdims=True) for z in (ry, right))
    operands = (
        padded(rx, 0, np.float32),
        padded(left, 0, np.float32),
        padded(rx * mean_v + left * mean_r, HIDDEN, np.float64),
        padded(ry, 0, np.float32),
        padded(right - mean_v, HIDDEN, np.float32),
        padded(ry - mean_r, 0, np.float32),
    )
    size = operands[0].shape[1]
    calls, sums = [], []
    for job in jobs:
        sums.append(np.zeros((2, len(rx), len(job.group.columns), size)))
        base = np.float32(job.group.base * np.log2(np.e))
        arguments = (job.picks, base, job.offset, *operands, *sums[-1])
        calls.append((tile_sums(job.group.multiples), arguments))
    sets = [np.zeros((size, len(centre)), np.float32) for centre in centres]

    def centre(task: tuple[int, slice]) -> None:
        side, part = task
        batches, place = divmod(part.start - rows.start, batch)
        place += batches * stride
        rest = (pairs.x, pairs.y)[side].rows[part] - centres[side]
        sets[side][place : place + len(rest)] = rest

    parts = [part for z in slices(rows.start, rows.stop, batch) for part in slices(z.start, z.stop)]
    threaded(centre, [(side, part) for side in (0, 1) for part in parts])

    def work(task: tuple[int, int, int]) -> None:
        start, p, q = task
        height, width = min(TILE, -(-(batch - p) // 2) * 2), min(TILE, stride - q)
        i, j = start + p, start + q
        h = np.empty((max(height, width), width), np.float32)
        np.matmul(sets[0][i : i + height], sets[1][j : j + width].T, out=h[:height])
        if p == q:
            np.fill_diagonal(h, HIDDEN)
        for kernel, arguments in calls:
            kernel(h, height, width, i, j, *arguments)

    # The tiles of a turn share neither rows nor columns, and the turns have an order: so the sums
    # need no copy per thread and come out the same for any number of threads.
    panels = range(0, batch, TILE)
    for turn in range(len(panels)):
        opposite = [*panels[turn:], *panels[:turn]]
        starts = range(0, size, stride)
        threaded(work, [(s, p, q) for s in starts for p, q in zip(panels, opposite, strict=True)])

    matched = padded(matched, 1, np.float64)

    def finish(job: TileJob, sums: np.ndarray, t: int) -> list[np.ndarray]:
        scale = job.group.base * job.group.multiples[t]
        lift = np.exp(scale * (job.offset[job.picks, None] - matched[job.picks]))
        return [np.log1p(side[job.picks, t] * lift).sum(axis=1) for side in sums]

    results = []
    for job, both in zip(jobs, sums, strict=True):
        each = threaded(functools.partial(finish, job, both), range(len(job.group.columns)))
        results.append(np.stack(each, axis=-1))
    return results


def panel_losses(
    pairs: PairedRows,
    terms: Terms,
    jobs: list[tuple[ScaleGroup, int]],
    batch: int,
    losses: np.ndarray,
    threaded: ThreadMap,
) -> None:
    """Write the same for (group, index of a shift) in float64: slower, and right for any range."""
    if not jobs:
        return
    sets = ((pairs.x.rows, terms.rx, terms.px), (pairs.y.rows, terms.ry, terms.py))
    tasks = [
        (every, own)
        for every in slices(0, len(pairs.matched) // batch * batch, batch)
        for own in slices(every.start, every.stop, max(1, PANEL // batch))
    ]

    def work(side: int, every: slice, own: slice) -> list[np.ndarray]:
        (a, ra, pa), (b, rb, pb) = sets[side], sets[1 - side]
        wide = a[own].astype(np.float64)
        parts = slices(every.start, every.stop)
        g = np.concatenate([wide @ b[part].astype(np.float64).T for part in parts], axis=1)
        here = np.arange(len(wide))
        sums = []
        for group, k in jobs:
            c = (g + pa[k, own, None] + pb[k, every]) * ra[k, own, None] * rb[k, every]
            c[here, here + own.start - every.start] = -np.inf
            top = c.max(axis=1)
            c -= top[:, None]
            top -= terms.matched[k, own]
            scales = group.base * np.array(group.multiples)
            logits = [np.log(np.exp(s * c).sum(axis=1)) + s * top for s in scales]
            sums.append(np.logaddexp(0, logits).sum(axis=1))
        return sums

    for side in (0, 1):
        results = threaded(lambda task, side=side: work(side, *task), tasks)
        for (group, k), *sums in zip(jobs, *results, strict=True):
            losses[side, k, list(group.columns)] = np.sum(sums, axis=0)
