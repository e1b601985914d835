"""Race: the loss landscape of `mindgap.shift.landscape` against the direct method.

    python benchmarks/landscape.py [--pairs 5000] [--threads 2] [--whole] [--large]

Direct, in PyTorch, float32: for each shift move and normalise both sets and take one matrix
product, for each temperature two cross-entropies. Both run in one process, warm, in turns; times
are medians. The full-batch direct method is timed on a few shifts, all temperatures each, and taken
times the number of shifts (`--whole`: every shift). Errors are those of every point against the
direct method in float64. `--large` adds 50,000 pairs, ours alone.
"""

import argparse
import statistics
import threading
import time

import numpy as np
import psutil
import torch
import torch.nn.functional as F

from mindgap.shift.landscape import landscape

SHIFTS = np.arange(-5, 5, 0.25)
SCALES = np.array([100.0, 50, 30, 20, 10, 1])
DIMENSION = 512


def make_pairs(n, d=DIMENSION, seed=0):
    """Clustered unit rows in two cones with a gap of about 0.82, row i matched with row i."""
    rng = np.random.default_rng(seed)

    def draw(rows):
        return rng.standard_normal((rows, d), np.float32) / np.sqrt(np.float32(d))

    cone, across = F.normalize(torch.from_numpy(draw(2))).numpy()
    item = draw(n // 20)[rng.integers(n // 20, size=n)] + draw(n)
    sets = [0.57 * cone + side * 0.41 * across + 0.27 * item + 0.59 * draw(n) for side in (1, -1)]
    return [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in sets]


class Direct:
    """The textbook way, on any device and in any precision."""

    def __init__(self, x, y, batch, dtype=torch.float32, device="cpu"):
        self.x, self.y = (torch.from_numpy(z).to(device, dtype) for z in (x, y))
        self.direction = F.normalize(self.x.mean(0) - self.y.mean(0), dim=0)
        self.batch, self.count = batch, len(x) // batch
        self.label = torch.arange(batch, device=device).repeat(self.count)

    def cosines(self, shift):
        x = F.normalize(self.x - shift / 2 * self.direction, dim=1)
        y = F.normalize(self.y + shift / 2 * self.direction, dim=1)
        x, y = (z.view(self.count, self.batch, -1) for z in (x, y))
        return torch.bmm(x, y.mT) if self.count > 1 else (x[0] @ y[0].T)[None]

    def point(self, cosines, scale):
        logits = scale * cosines
        return [
            F.cross_entropy(z.reshape(-1, self.batch), self.label).item()
            for z in (logits, logits.mT)
        ]

    def shift(self, shift):
        """Losses of one shift, (T, 2)."""
        cosines = self.cosines(shift)
        return [self.point(cosines, scale) for scale in SCALES.tolist()]


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def peak_memory(function):
    """Bytes by which the resident memory rises above its start while the function runs."""
    process, done, peak = psutil.Process(), threading.Event(), 0

    def watch():
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    start = process.memory_info().rss
    watcher = threading.Thread(target=watch)
    watcher.start()
    function()
    done.set()
    watcher.join()
    return peak - start


def ours(x, y, batch, threads):
    return landscape(x, y, SHIFTS, SCALES, batch=batch, threads=threads)


def largest_error(found, x, y, batch):
    exact, worst = Direct(x, y, batch, torch.float64), 0.0
    for k, shift in enumerate(SHIFTS):
        expected = np.array(exact.shift(shift))
        for direction, losses in enumerate((found.loss_ab, found.loss_ba)):
            worst = max(worst, np.abs(losses[k] - expected[:, direction]).max())
    return worst


def race(x, y, batch, threads, rounds, timed):
    """Medians of ours and of the direct method, and of its matrix product for one shift."""
    direct = Direct(x, y, batch)
    ours(x, y, batch, threads)
    direct.shift(0.0)
    fast, slow, product = [], [], []
    for _ in range(rounds):
        fast += [seconds(ours, x, y, batch, threads) for _ in range(3)]
        times = [seconds(direct.shift, s) for s in timed]
        slow.append(statistics.mean(times) * len(SHIFTS))
        product.append(seconds(direct.cosines, 0.0))
    return [statistics.median(times) for times in (fast, slow, product)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--whole", action="store_true", help="time the direct method on all shifts")
    parser.add_argument("--large", action="store_true", help="50,000 pairs as well")
    options = parser.parse_args()
    n, threads = options.pairs, options.threads
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    x, y = make_pairs(n)
    gap = np.linalg.norm(x.mean(0) - y.mean(0))
    points = len(SHIFTS) * len(SCALES)
    grid = f"{len(SHIFTS)} shifts x {len(SCALES)} temperatures"
    print(f"{n} pairs, d = {DIMENSION}, gap {gap:.4f}, {grid}, {threads} threads")

    ours(x[:300], y[:300], None, threads)  # compiles
    peak = peak_memory(lambda: ours(x, y, None, threads))
    print(f"peak memory above the inputs {peak / 1e6:.0f} MB")

    for batch in (50, n):
        full = batch == n
        timed = SHIFTS[2::16] if full and not options.whole else SHIFTS
        fast, slow, product = race(x, y, batch, threads, 3 if full else 7, timed)
        repeated = slow + product * len(SHIFTS) * (len(SCALES) - 1)
        error = largest_error(ours(x, y, batch, threads), x, y, batch)
        name = "full batch" if full else f"batches of {batch}"
        how = f"from {len(timed)} of {len(SHIFTS)} shifts" if len(timed) < len(SHIFTS) else "all"
        print(
            f"{name}: ours {fast:.3f} s, direct {slow:.2f} s ({how}), with a matrix product for"
            f" each of the {points} points {repeated:.2f} s ({repeated / fast:.0f} x)"
        )
        print(f"{name}: largest error against float64 at all {points} points {error:.1e}")
        if torch.cuda.is_available():
            direct = Direct(x, y, batch, device="cuda")
            times = [seconds(lambda d=direct: [d.shift(s) for s in SHIFTS]) for _ in range(3)]
            print(f"{name}: direct on {torch.cuda.get_device_name()} {min(times):.3f} s")
        if not full:
            print(
                f"ratio {slow / fast:.0f} x landscape (ours vs direct, {name}, {n} pairs, {grid})"
            )

    if options.large:
        x, y = make_pairs(50_000)
        start = time.perf_counter()
        more = peak_memory(lambda: ours(x, y, None, threads))
        print(f"50000 pairs: {time.perf_counter() - start:.1f} s, peak {more / 1e6:.0f} MB")

    print(
        f"ratio {slow / fast:.0f} x landscape (ours vs direct, full batch, {n} pairs, {grid},"
        f" {threads} threads)"
    )


if __name__ == "__main__":
    main()
