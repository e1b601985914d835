"""Race: retrieval under 40 shifts from one product against one a shift; and the table of methods.

Usage: python benchmarks/downstream.py [pairs] [threads]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from mindgap.downstream.compare import Pairs, compare_methods
from mindgap.downstream.retrieval import shifted_ranks
from mindgap.gap.cosines import unit_rows
from mindgap.gap.retrieval import match_ranks
from mindgap.shift.moves import amounts, gap_direction

SHIFTS = np.arange(-5, 5, 0.25)
MEASURED = 3  # shifts of the plain way; it takes the same time for each


def seconds(run: Callable[[], object], repeats: int = 3) -> float:
    """Median wall-clock time of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(n: int, threads: int) -> None:
    """Print both times and their ratio."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 512))
    x, y = unit_rows(x + 1), unit_rows(x + rng.standard_normal((n, 512)))
    u, items = gap_direction(x, y), np.arange(n)

    def plain() -> None:
        for shift in SHIFTS[:MEASURED]:
            moved = unit_rows(x - shift / 2 * u), unit_rows(y + shift / 2 * u)
            match_ranks(*moved, items, items)

    def ours() -> None:
        shifted_ranks(x, y, items, items, u, amounts(SHIFTS, "both"))

    def table() -> None:
        options = {
            "drop": [1, 8, 64],
            "calibration": 0.5,
            "shares": [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1],
        }
        more = {"queries": 5000, "mixed_queries": 1000, "seed": 0, "threads": threads}
        list(compare_methods(Pairs(x, y), **options, **more))

    with threadpool_limits(threads):
        shifted_ranks(x[:50], y[:50], items[:50], items[:50], u, amounts(SHIFTS, "both"))
        fast, slow = seconds(ours), seconds(plain) * len(SHIFTS) / MEASURED
        print(f"{n:,} pairs, {len(SHIFTS)} shifts: {fast:.2f} s; plain {slow:.1f} s")
        print(f"table of ten methods, fit twice: {seconds(table, 1):.1f} s")
    print(f"ratio {slow / fast:.1f} x, one product a shift against one product for all")


if __name__ == "__main__":
    main(*(int(a) for a in (sys.argv[1:] + ["5000", "2"][len(sys.argv) - 1 :])))
