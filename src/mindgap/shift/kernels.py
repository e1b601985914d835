"""Compiled sums of exponentials over one tile, for many shifts and a group of scales at once.

Scales that are integer multiples of a common base form a group: one exponential serves them all,
since exp(m b c) is the m-th power of exp(b c). The powers follow an addition chain, one product
each. The source of a kernel is written out for its chain, so that every power stays in a register
and the loop over columns becomes vector instructions; numba compiles it once and keeps the result
on disk where it can.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit

LANES = 16  # columns of a tile come in whole vectors of this many float32
HIDDEN = np.float32(-1e20)  # stands for the logit of an entry that must not count
LOWEST = np.float32(-127.0)  # exp2_float32 of it is exactly zero
HIGHEST_MULTIPLE = 16  # a power multiplies the relative error of the exponential by its exponent
LARGEST_GROUP = 6  # scales of one kernel; more would not fit in the registers


@dataclass(frozen=True)
class ScaleGroup:
    """Scales that share a base: scale = multiple x base.

    Attributes
    ----------
    base
        Scale of the exponential that is computed.
    multiples
        Integers, ascending.
    columns
        Position of each member in the list of scales that was grouped.
    """

    base: float
    multiples: tuple[int, ...]
    columns: tuple[int, ...]

    @property
    def largest(self) -> float:
        """The largest scale."""
        return self.base * self.multiples[-1]


def group_scales(scales: np.ndarray) -> list[ScaleGroup]:
    """Split distinct ascending scales into few groups with a common base.

    Greedy: the base that covers most of the remaining scales, then the one with the shortest
    chain. A scale that shares no base with another one is a group of its own, the general path.
    """
    left, groups = dict(enumerate(map(float, scales))), []
    while left:
        bases = {s / q for s in left.values() for q in range(1, HIGHEST_MULTIPLE + 1)}
        groups.append(max((_cover(b, left) for b in bases), key=_merit))
        for column in groups[-1].columns:
            del left[column]
    return groups


def _cover(base: float, scales: dict[int, float]) -> ScaleGroup:
    members = {}  # one scale for each multiple, also where two scales differ by rounding alone
    for column, scale in scales.items():
        multiple = round(scale / base)
        near = abs(scale / base - multiple) <= 1e-9 * multiple
        if near and 1 <= multiple <= HIGHEST_MULTIPLE:
            members[multiple] = column
    multiples = tuple(sorted(members)[-LARGEST_GROUP:])
    return ScaleGroup(base, multiples, tuple(members[m] for m in multiples))


def _merit(group: ScaleGroup) -> tuple[int, int, float]:
    return len(group.columns), -len(addition_chain(group.multiples)), group.base


def addition_chain(multiples: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Steps (power, left, right) with power = left + right that reach every multiple from 1."""
    have, steps = [1], []

    def reach(power: int) -> None:
        if power in have:
            return
        pair = next(((a, power - a) for a in reversed(have) if power - a in have), None)
        if pair is None:
            half = power // 2
            pair = (half, half) if power % 2 == 0 else (power - 1, 1)
            reach(pair[0])
        have.append(power)
        steps.append((power, *pair))

    for multiple in multiples:
        reach(multiple)
    return steps


# Without `reassoc`: the compiler must not reorder the arithmetic of the exponential. With it in
# the kernel, because sums over columns are to be vectorised.
_STRICT = {"nnan", "ninf", "nsz", "contract"}
_LOOSE = {*_STRICT, "reassoc", "arcp"}


@njit(fastmath=_STRICT, error_model="numpy")
def exp2_float32(t):
    """2^t in float32, -127 <= t < 128; relative error below 2e-7, exactly zero at -127.

    t = n + f with |f| <= 1/2; a polynomial of degree 5 (minimax in the relative error, which
    is 1 at f = 0) gives 2^f, and n is added to the bits of its exponent.
    """
    n = np.rint(t)
    f = t - n
    p = np.float32(0.0013264727)
    p = p * f + np.float32(0.009671513)
    p = p * f + np.float32(0.055507336)
    p = p * f + np.float32(0.24022242)
    p = p * f + np.float32(0.69314700)
    p = p * f + np.float32(1.0)
    return np.int32(np.float32(p).view(np.int32) + (np.int32(n) << 23)).view(np.float32)


_SIGNATURE = (
    "void(float32[:,::1], int64, int64, int64, int64, int64[::1], float32, float64[::1],"
    " float32[:,::1], float32[:,::1], float64[:,::1],"
    " float32[:,::1], float32[:,::1], float32[:,::1], float64[:,:,::1], float64[:,:,::1])"
)

_HEAD = """
def {name}(h, height, width, i0, j0, picks, base, offset, rx, ux, cx, ry, vy, ey, rows, cols):
    total = np.empty(({count}, width), np.float32)
    for k in picks:
        r, v, e = ry[k, j0 : j0 + width], vy[k, j0 : j0 + width], ey[k, j0 : j0 + width]
        total[:] = np.float32(0.0)
        for i in range(0, height, 2):
            ha, hb = h[i], h[i + 1]
            ra, rb = base * rx[k, i0 + i], base * rx[k, i0 + i + 1]
            ua, ub = base * ux[k, i0 + i], base * ux[k, i0 + i + 1]
            ca = np.float32(base * (cx[k, i0 + i] - offset[k]))
            cb = np.float32(base * (cx[k, i0 + i + 1] - offset[k]))
            {zeros} = np.float32(0.0)
            for j in range(width):
                a1 = exp2(max(ra * (r[j] * ha[j] + v[j]) + (ua * e[j] + ca), lowest))
                b1 = exp2(max(rb * (r[j] * hb[j] + v[j]) + (ub * e[j] + cb), lowest))
"""


def _source(name: str, multiples: tuple[int, ...]) -> str:
    zeros = " = ".join(f"s{row}{m}" for m in multiples for row in "ab")
    lines = [_HEAD.format(name=name, count=len(multiples), zeros=zeros).strip("\n")]
    inner, outer = 16 * " ", 12 * " "
    for power, left, right in addition_chain(multiples):
        lines += [f"{inner}{row}{power} = {row}{left} * {row}{right}" for row in "ab"]
    for t, m in enumerate(multiples):
        lines += [f"{inner}s{row}{m} += {row}{m}" for row in "ab"]
        lines += [f"{inner}total[{t}, j] += a{m} + b{m}"]
    for t, m in enumerate(multiples):
        lines += [f"{outer}rows[k, {t}, i0 + i] += sa{m}"]
        lines += [f"{outer}rows[k, {t}, i0 + i + 1] += sb{m}"]
    lines += [f"        for t in range({len(multiples)}):", f"{outer}for j in range(width):"]
    lines += [f"{inner}cols[k, t, j0 + j] += total[t, j]"]
    return "\n".join(lines)


@functools.cache
def tile_sums(multiples: tuple[int, ...]) -> Callable:
    """Compile the sums of one tile for a group of scales.

    The kernel is called with `h` (float32, of which `height` rows and `width` columns count, an
    even number and a multiple of LANES), the first row and column `i0`, `j0` of the tile, the
    indices `picks` of the shifts, the base of the group times log2(e), the `offset` of each shift,
    and for each shift the terms `rx`, `ux`, `cx` of rows and `ry`, `vy`, `ey` of columns. With

        c_ij = rx_i (ry_j h_ij + vy_j) + ux_i ey_j + cx_i

    it adds sum_j 2^(m base (c_ij - offset)) to `rows[k, t, i]` and the sum over i to
    `cols[k, t, j]`, m being the t-th multiple. Sums run in float32 inside the tile and in float64
    across tiles.
    """
    name = "_".join(["tile_sums", *map(str, multiples)])
    space = {"__name__": __name__, "np": np, "exp2": exp2_float32, "lowest": LOWEST}
    # The name of this file lets numba keep the compiled code beside it, as for a plain function.
    exec(compile(_source(name, multiples), __file__, "exec"), space)
    options = {"nogil": True, "fastmath": _LOOSE, "error_model": "numpy"}
    try:
        return njit(_SIGNATURE, cache=True, **options)(space[name])
    except Exception:  # a folder that cannot be written to or read from must not stop a run
        return njit(_SIGNATURE, **options)(space[name])
