"""What happens when a run is killed, its files are damaged, or two runs meet.

`make test-faults` sets KILLS=20 and adds the tests of full disks; `make test` kills twice.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.workflow.test_runs import SMOKE, tables

KILLS = int(os.environ.get("KILLS", 2))


@pytest.fixture(scope="module")
def broken(root, tmp_path_factory):
    from tests.workflow.conftest import House

    return House(root, tmp_path_factory.mktemp("broken"))


def start(house):
    """Start the smoke run in the background."""
    env = {**os.environ, "PYTHONPATH": str(house.path / "src")}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    return subprocess.Popen(
        ["snakemake", "--configfile", SMOKE],
        cwd=house.path,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def strike(process, how, wait):
    """Kill -9 the workflow, a job of it, or everything, after `wait` seconds of work."""
    time.sleep(wait)
    if process.poll() is not None:
        return False
    family = psutil.Process(process.pid).children(recursive=True)
    if how == "all":
        os.killpg(process.pid, signal.SIGKILL)
    elif how == "workflow":  # its jobs go on
        process.kill()
    else:
        jobs = [p for p in family if "scripts" in " ".join(p.cmdline())]
        if jobs:
            jobs[-1].kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=600)
    return True


@pytest.mark.parametrize("number", range(KILLS))
def test_a_kill_at_any_moment_costs_no_table(smoke, broken, number):
    shutil.rmtree(broken.path / "results", ignore_errors=True)
    rng = random.Random(number)
    how = ("all", "workflow", "job")[number % 3]
    assert strike(start(broken), how, rng.uniform(4, 30))
    broken.snakemake(SMOKE, "--unlock")
    broken.snakemake(SMOKE)  # at once: jobs of a killed workflow may still be at it
    assert tables(broken) == tables(smoke)
    assert "Nothing to be done" in broken.snakemake(SMOKE, "-n").both
    left = [p for p in (broken.path / "results").rglob(".part-*")]
    assert not left


def test_a_second_run_on_the_same_results_is_refused(broken):
    shutil.rmtree(broken.path / "results", ignore_errors=True)
    first = start(broken)
    locks = broken.path / ".snakemake/locks"
    while not (locks.exists() and any(locks.iterdir())):
        assert first.poll() is None
        time.sleep(0.05)
    done = broken.snakemake(SMOKE, check=False)
    strike(first, "all", 0)
    broken.snakemake(SMOKE, "--unlock")
    assert done.returncode != 0
    assert "Directory cannot be locked" in done.both
    assert "Traceback" not in done.both


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("pairs/held_out.parquet", "is not a readable parquet file"),
        ("embeddings/tiny_random_s0/shapes.safetensors", "is not a readable safetensors file"),
        ("gap/parts/tiny_random_s0/shapes.gap.csv", "ends in the middle of a line"),
        ("train/parts/temperature_1_s0.final.csv", "ends in the middle of a line"),
        ("gap/projection.csv", "ends in the middle of a line"),
        ("cone/histograms.csv", "ends in the middle of a line"),
    ],
)
def test_a_file_that_was_cut_off_is_named_and_made_again(smoke, name, sentence):
    path = smoke.path / "results/smoke" / name
    before = tables(smoke)
    os.truncate(path, path.stat().st_size // 2)
    done = smoke.snakemake(SMOKE, check=False)
    assert done.returncode != 0
    said = [line for line in done.both.splitlines() if line.startswith("error: ")]
    assert any(name in line and sentence in line for line in said), done.both[-3000:]
    assert all("delete it and run again" in line for line in said)
    path.unlink()
    smoke.snakemake(SMOKE)
    # What failed jobs took away and no later file lacks is made when it is asked for.
    if missing := set(before) - set(tables(smoke)):
        smoke.snakemake(SMOKE, "--", *(f"results/smoke/{one}" for one in sorted(missing)))
    assert tables(smoke) == before
    assert "Nothing to be done" in smoke.snakemake(SMOKE, "-n").both


def test_results_of_an_older_version_are_made_again(smoke):
    """What an older schema wrote has another digest of code, so content decides."""
    path = smoke.path / "src/mindgap/report/record.py"
    old = path.read_text()
    assert "SCHEMA = 1\n" in old
    try:
        path.write_text(old.replace("SCHEMA = 1\n", "SCHEMA = 2\n"))
        assert smoke.plan(SMOKE) == {"record_run": 1}
        done = smoke.run(
            sys.executable, "-m", "mindgap.report.record", "results/smoke", check=False
        )
        assert done.returncode == 1
        assert "has the schema 1, this version writes 2" in done.both
    finally:
        path.write_text(old)


def test_the_record_finds_what_was_changed(smoke):
    check = (sys.executable, "-m", "mindgap.report.record", "results/smoke")
    assert "files as recorded" in smoke.run(*check).both
    table = smoke.path / "results/smoke/gap/gap.csv"
    keep, times = table.read_bytes(), table.stat()
    stray = table.with_name("stray.csv")
    try:
        table.write_bytes(keep.replace(b"0", b"1", 1))
        stray.write_text("a\n")
        done = smoke.run(*check, check=False)
        assert done.returncode == 1
        assert "gap/gap.csv: not the file of the record" in done.both
        assert "gap/stray.csv: the record does not know it" in done.both
        table.unlink()
        assert "gap/gap.csv: is missing" in smoke.run(*check, check=False).both
        stray.unlink()
        assert "1 not here" in smoke.run(*check, "--partial").both
    finally:
        stray.unlink(missing_ok=True)
        table.write_bytes(keep)
        os.utime(table, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_clock_that_was_set_back_hides_no_change(smoke):
    """Inputs that are newer by content and older by the clock are still new."""
    config = smoke.path / SMOKE
    old, times = config.read_text(), config.stat()
    try:
        config.write_text(old.replace("bootstrap: 100", "bootstrap: 101", 1))
        os.utime(config, (1, 1))
        assert smoke.plan(SMOKE)["measure_gap"] == 3
    finally:
        config.write_text(old)
        os.utime(config, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.skipif(KILLS < 20, reason="make test-faults runs it")
@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("megabytes", [1, 3, 6])
def test_a_full_disk_leaves_nothing_that_is_taken_for_done(smoke, broken, megabytes):
    results = broken.path / "results"
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(results)]
    subprocess.run(mount, check=True)
    try:
        done = broken.snakemake(SMOKE, check=False)
        assert done.returncode != 0
        assert "No space left" in done.both
        whole = tables(smoke)
        for name, checksum in tables(broken).items():
            assert checksum == whole[name], name
        kept = broken.path / "kept"
        shutil.copytree(results, kept)
    finally:
        subprocess.run(["umount", str(results)], check=True)
    # With room again, the run goes on from what is there.
    shutil.rmtree(results)
    kept.rename(results)
    broken.snakemake(SMOKE, "--unlock")
    broken.snakemake(SMOKE)
    assert tables(broken) == whole
