"""Race: statistics of all pairs in tiles against the whole matrix, and against the machine.

python benchmarks/cosines.py [--rows 50000]

1. 4,000 rows: mean, minimum, uniformity and histogram of all pairs from one n x n matrix with
   numpy, against the streamed statistics; the numbers must agree.
2. The rows asked for (50,000 by default, where the matrix would take 20 GB): time, share of the
   machine's own float64 matrix-product rate, and peak memory above the inputs.
"""

import argparse
import resource
import time

import numpy as np
from threadpoolctl import threadpool_limits

from mindgap.gap.cosines import mean_cosine, unit_rows, within_statistics

D, BINS, THREADS = 512, 200, 2


def cloud(n, seed=0):
    return unit_rows(np.random.default_rng(seed).standard_normal((n, D)) + 0.7)


def timed(call, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
    return float(np.median(times)), result


def matrix_statistics(x):
    cosines = (x @ x.T)[np.triu_indices(len(x), 1)]
    counts, _ = np.histogram(cosines, bins=np.linspace(-1, 1, BINS + 1))
    uniformity = np.log(np.exp(-2 * (2 - 2 * cosines)).mean())
    return cosines.mean(), cosines.min(), uniformity, counts


def streamed(x):
    found = within_statistics(x, BINS, threads=THREADS)
    return mean_cosine(x), found.minimum, found.uniformity, found.counts


def machine_rate():
    a = cloud(4096)
    with threadpool_limits(THREADS):
        seconds, _ = timed(lambda: a @ a.T, 5)
    return 2 * 4096**2 * D / seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000)
    rows = parser.parse_args().rows
    small = cloud(4000)
    streamed(small[:100])  # compile
    with threadpool_limits(THREADS):
        slow, expected = timed(lambda: matrix_statistics(small), 3)
    fast, found = timed(lambda: streamed(small), 5)
    for ours, theirs in zip(found[:3], expected[:3], strict=True):
        assert abs(ours - theirs) < 1e-10
    assert np.abs(found[3] - expected[3]).sum() <= 2, "a cosine on the edge of a bin"
    print(f"4,000 rows: matrix {slow:.2f} s, tiles {fast:.3f} s, same numbers")
    x = cloud(rows)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rate = machine_rate()
    seconds, _ = timed(lambda: streamed(x), 1)
    again = machine_rate()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reached = rows**2 * D / seconds  # half of the matrix, two operations an entry and dimension
    rate = (rate + again) / 2
    print(
        f"{rows:,} rows: {seconds:.1f} s, {reached / 1e9:.0f} of {rate / 1e9:.0f} GFLOP/s "
        f"({reached / rate:.0%} of the machine's float64 matrix product), "
        f"{(after - before) / 1024:.0f} MB above the inputs"
    )
    what = f"statistics of all pairs (tiles vs matrix, 4,000 x {D}, {THREADS} threads)"
    print(f"ratio {slow / fast:.1f} x {what}")


if __name__ == "__main__":
    main()
