"""Unit tests, golden tests and the run `smoke` under other orders of summation.

    python -m tests.numerics.run [--only NAME ...] [--keep]

Another CPU adds in another order, because numpy, torch and numba choose their kernels by what it
can do. Environment variables make them choose as if they were on that CPU. Everything must pass
there too, and each claim must get the verdict that it gets without the variables.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.workflow.conftest import House

ROOT = Path(__file__).resolve().parents[2]

#: Name -> number of threads and variables. The first one is what the others are compared with.
ENVIRONMENTS = {
    "plain": (1, {}),
    "threads": (2, {}),
    "haswell": (
        1,
        {
            "OPENBLAS_CORETYPE": "Haswell",
            "ATEN_CPU_CAPABILITY": "avx2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "NPY_DISABLE_CPU_FEATURES": "X86_V4,AVX512_ICL,AVX512_SPR",
            "NUMBA_CPU_NAME": "haswell",
        },
    ),
    "oldest": (
        2,
        {
            "OPENBLAS_CORETYPE": "Prescott",
            "ATEN_CPU_CAPABILITY": "default",
            "MKL_CBWR": "COMPATIBLE",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "NPY_DISABLE_CPU_FEATURES": "X86_V3,X86_V4,AVX512_ICL,AVX512_SPR",
            "NUMBA_CPU_NAME": "x86-64-v2",
        },
    ),
}

KERNELS = """
import numpy, torch
from threadpoolctl import threadpool_info
blas = {d["architecture"] for d in threadpool_info() if d["user_api"] == "blas"}
print("numpy", *sorted(blas) + ["and torch"], torch.backends.cpu.get_cpu_capability())
"""


def settings(name):
    """Variables of an environment, its number of threads included."""
    threads, variables = ENVIRONMENTS[name]
    return {**variables, "OMP_NUM_THREADS": str(threads)}


def run_tests(name, folder):
    """Run unit and golden tests; return pytest's last line, and whether all passed."""
    house = make_house(folder / f"tests-{name}")
    done = house.run(
        *(sys.executable, "-m", "pytest", "-q", "tests/unit", "tests/golden"),
        env=settings(name),
        check=False,
    )
    (folder / f"tests-{name}.log").write_text(done.both)
    lines = done.stdout.splitlines() or done.both.splitlines()
    tell(f"{name}: {lines[-1].strip('= ')}")
    for line in lines:
        if line.startswith(("FAILED", "ERROR")):
            tell(f"  {line}")
    return lines[-1].strip("= "), done.returncode == 0


def run_smoke(name, folder):
    """Run `smoke`; return scores by claim, checksums by table, and seconds, or None on failure."""
    house = make_house(folder / f"smoke-{name}")
    threads = ENVIRONMENTS[name][0]
    start = time.monotonic()
    done = house.snakemake(
        "config/smoke.yaml", "--config", f"threads={threads}", env=settings(name), check=False
    )
    (folder / f"smoke-{name}.log").write_text(done.both)
    seconds = time.monotonic() - start
    if done.returncode:
        tell(f"{name}: smoke FAILED after {seconds:.0f} s; the end of {folder}/smoke-{name}.log:")
        tell("\n".join(f"  {line}" for line in done.both.splitlines()[-8:]))
        return None
    tell(f"{name}: smoke finished in {seconds:.0f} s")
    results = house.path / "results/smoke"
    scores = {s["id"]: s for s in json.loads((results / "scorecard.json").read_text())}
    sums = {
        path.relative_to(results).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in results.rglob("*.csv")
        if path.name != "scorecard.csv"
    }
    return scores, sums, seconds


def make_house(folder):
    folder.mkdir()
    return House(ROOT, folder)


def tell(line):
    print(line, file=sys.stderr, flush=True)


def compare(first, other):
    """Return a phrase about a run beside the first one, and whether their verdicts are equal."""
    scores, sums, seconds = other
    changed = [
        f"{name} {theirs['verdict']} ({theirs['measured']}), was {ours['verdict']} ({ours['measured']})"
        for name, ours in first[0].items()
        if (theirs := scores.get(name, {"verdict": "absent", "measured": None}))["verdict"]
        != ours["verdict"]
    ]
    differing = sum(sums.get(table) != digest for table, digest in first[1].items())
    phrase = f"smoke {seconds:.0f} s, {differing} of {len(first[1])} tables in other bytes, "
    if changed or len(scores) != len(first[0]):
        return phrase + f"OTHER VERDICTS: {'; '.join(changed)}", False, differing
    return phrase + f"all {len(scores)} verdicts equal", True, differing


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(ENVIRONMENTS), default=list(ENVIRONMENTS))
    parser.add_argument("--keep", action="store_true", help="keep copies, runs and logs")
    options = parser.parse_args()
    if platform.machine() != "x86_64":
        sys.exit("error: the kernels are chosen by names of x86-64; run this on such a machine")
    names = list(dict.fromkeys(["plain", *options.only]))
    folder = Path(tempfile.mkdtemp(prefix="mindgap-numerics-"))
    with ThreadPoolExecutor(2) as pool:
        tests = dict(zip(names, pool.map(lambda name: run_tests(name, folder), names), strict=True))
    runs = {name: run_smoke(name, folder) for name in names}
    good, moved, lines = True, 0, []
    for name in names:
        last, passed = tests[name]
        kernels = subprocess.run(
            [sys.executable, "-c", KERNELS],
            env={**os.environ, **settings(name)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        if runs[name] is None or runs["plain"] is None:
            phrase, equal, differing = "no smoke run to compare", False, 0
        else:
            phrase, equal, differing = compare(runs["plain"], runs[name])
        threads = ENVIRONMENTS[name][0]
        lines.append(f"{name:8} ({kernels}, threads: {threads}): {last}; {phrase}")
        good, moved = good and passed and equal, moved + differing
    print(*lines, sep="\n")
    if len(names) > 1 and not moved:
        good = False
        print("error: no table changed a byte, so the libraries do not heed these variables")
    if good and not options.keep:
        shutil.rmtree(folder)
    else:
        print(f"copies, runs and logs are in {folder}")
    sys.exit(not good)


if __name__ == "__main__":
    main()
