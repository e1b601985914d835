"""How fast a device computes: probed here, or after a GPU's data sheet."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from mindgap.runtime.errors import UserError

#: Dense bfloat16 or float16 operations per second of the data sheet.
GPUS = {
    "T4": 65e12,
    "V100": 125e12,
    "L4": 121e12,
    "A100": 312e12,
    "H100": 989e12,
    "RTX 3090": 71e12,
    "RTX 4090": 165e12,
}
#: Share of such a number that networks reach: the least, the usual, the most.
_GPU_SHARE = (0.1, 0.25, 0.5)
#: The same for a processor, of a plain product of large matrices.
_CPU_SHARE = (0.15, 0.3, 0.6)
_SIDE = 384


@dataclass(frozen=True)
class Rate:
    """Operations per second: the least, the usual and the most that networks reach.

    `step` is what a step or batch costs besides, in seconds; `here` says whether earlier jobs of
    this machine tell more.
    """

    low: float
    usual: float
    high: float
    words: str
    step: float
    here: bool


def gpu_rate(name: str) -> Rate:
    """Rate of a named GPU."""
    if name not in GPUS:
        raise UserError(f"no rate is known for the GPU {name!r} (known: {', '.join(GPUS)})")
    low, usual, high = (GPUS[name] * share for share in _GPU_SHARE)
    words = (
        f"{name}: {GPUS[name] / 1e12:.0f} TFLOP/s after its data sheet, of which networks reach "
        f"{_GPU_SHARE[1]:.0%} ({_GPU_SHARE[0]:.0%} to {_GPU_SHARE[2]:.0%})"
    )
    return Rate(low, usual, high, words, 0.02, False)


def probe(seconds: float = 0.5) -> Rate:
    """Rate of this machine's cores: the best of many small products of matrices in float32.

    One core is tried, with products too short to be interrupted, so that other work on the machine
    does not count.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((_SIDE, _SIDE), np.float32) for _ in range(2))
    best, end = 0.0, time.monotonic() + seconds
    with threadpool_limits(1):
        while time.monotonic() < end or not best:
            start = time.perf_counter()
            a @ b
            best = max(best, 2 * _SIDE**3 / (time.perf_counter() - start))
    cores = os.cpu_count() or 1
    low, usual, high = (cores * best * share for share in _CPU_SHARE)
    words = (
        f"this machine: {cores} cores of {best / 1e9:.0f} GFLOP/s in products of matrices, of "
        f"which networks reach {_CPU_SHARE[1]:.0%} ({_CPU_SHARE[0]:.0%} to {_CPU_SHARE[2]:.0%})"
    )
    return Rate(low, usual, high, words, 0.01, True)
