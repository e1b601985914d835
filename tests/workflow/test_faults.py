"""What happens when a run is killed, its files are damaged, or two runs meet.

`make test-faults` sets KILLS=20 and adds the tests of full disks; `make test` kills twice.
"""

import hashlib
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
#: So many kills strike one run, one after another.
IN_A_ROW = 4
#: What a run writes about itself differs between runs that agree in all results.
OWN = ("logs", "benchmarks", "record.json", "record.html", "report.html")


@pytest.fixture(scope="module")
def broken(root, tmp_path_factory):
    from tests.workflow.conftest import House

    return House(root, tmp_path_factory.mktemp("broken"))


def walk(house):
    """Every file of the results, also while jobs that outlived their workflow go on."""
    for place, _, names in os.walk(house.path / "results/smoke"):
        yield from (Path(place, name) for name in names)


def finished(house):
    """Checksum of every file that bears its final name: tables, tensors, figures, checkpoints."""
    found = {}
    for path in walk(house):
        name = path.relative_to(house.path / "results/smoke")
        # Hidden ones are unfinished or a training's last state; parts become one file later on.
        hidden = any(part.startswith(".") or part.endswith(".parts") for part in name.parts)
        if hidden or name.parts[0] in OWN:
            continue
        try:
            found[name.as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:  # a job that goes on has replaced it
            continue
    return found


def leftovers(house):
    """Files that only a job at work has."""
    names = (".part-", ".state", ".lock", ".safetensors.parts")
    return [p for p in walk(house) if any(name in str(p) for name in names)]


def recorded(house):
    """How many outputs Snakemake has recorded as made: how far a run is."""
    return sum(len(names) for _, _, names in os.walk(house.path / ".snakemake/metadata"))


def clear(house):
    for name in ("results", ".snakemake"):
        shutil.rmtree(house.path / name, ignore_errors=True)


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


def strike(process, how):
    """Kill -9 the workflow, one job of it, or everything; False if it has ended before."""
    job = None
    while how == "job" and job is None and process.poll() is None:
        family = psutil.Process(process.pid).children(recursive=True)
        job = next((p for p in reversed(family) if _is_script(p)), None)
        time.sleep(0.02)
    if process.poll() is not None:
        return False
    if how == "job":
        job.kill()
    elif how == "workflow":  # its jobs go on
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=600)
    return True


def _is_script(process):
    try:
        return any("scripts" in word for word in process.cmdline())
    except psutil.Error:
        return False


@pytest.mark.parametrize("chain", range(-(-KILLS // IN_A_ROW)))
def test_kills_at_any_moment_cost_no_file(smoke, broken, chain, capsys):
    """A run is struck several times, at moments all along its length, and still ends the same.

    Its files are those of another run of the same seeds, made elsewhere.
    """
    whole, length = finished(smoke), recorded(smoke)
    rng = random.Random(chain)
    kills, struck = min(IN_A_ROW, KILLS - chain * IN_A_ROW), []
    kinds = rng.sample(["all", "workflow", "job"] * 2, kills)
    while len(struck) < kills:  # a run that ended before it was struck is begun again
        clear(broken)
        missing = kills - len(struck)
        for k in range(missing):
            goal, delay = length * rng.uniform(k, k + 0.97) / missing, rng.uniform(0, 3)
            how, process = kinds[len(struck)], start(broken)
            while recorded(broken) < goal and process.poll() is None:
                time.sleep(0.05)
            time.sleep(delay)
            if not strike(process, how):
                break
            struck.append(f"{how} at {recorded(broken) / length:.0%}")
            found = finished(broken)
            assert set(found) <= set(whole), struck
            assert not {name for name in found if found[name] != whole[name]}, struck
            broken.snakemake(SMOKE, "--unlock")
        # At once: jobs of a killed workflow may still be at it.
        broken.snakemake(SMOKE)
        assert finished(broken) == whole
        assert "Nothing to be done" in broken.snakemake(SMOKE, "-n").both
        assert not leftovers(broken)
    with capsys.disabled():
        print(f"\n{len(struck)} kills struck: {', '.join(struck)}")


def test_a_second_run_on_the_same_results_is_refused(broken):
    shutil.rmtree(broken.path / "results", ignore_errors=True)
    first = start(broken)
    locks = broken.path / ".snakemake/locks"
    while not (locks.exists() and any(locks.iterdir())):
        assert first.poll() is None
        time.sleep(0.05)
    done = broken.snakemake(SMOKE, check=False)
    strike(first, "all")
    broken.snakemake(SMOKE, "--unlock")
    assert done.returncode != 0
    assert "Directory cannot be locked" in done.both
    assert "Traceback" not in done.both


#: Files that lose their second half at once; none is made from another of its line.
CUT_OFF = [
    ["pairs/held_out.parquet"],
    [
        "embeddings/tiny_random_s0/shapes.safetensors",
        "train/parts/temperature_1_s0.final.csv",
        "cone/histograms.csv",
    ],
    ["gap/parts/tiny_random_s0/shapes.gap.csv", "gap/parts/encoders.projection.csv"],
]
SAID = {
    ".parquet": "is not a readable parquet file",
    ".safetensors": "is not a readable safetensors file",
    ".csv": "ends in the middle of a line",
}


@pytest.mark.parametrize("names", CUT_OFF)
def test_files_that_were_cut_off_are_named_and_made_again(smoke, names):
    before = tables(smoke)
    paths = [smoke.path / "results/smoke" / name for name in names]
    for path in paths:
        os.truncate(path, path.stat().st_size // 2)
    done = smoke.snakemake(SMOKE, "--keep-going", check=False)
    assert done.returncode != 0
    said = [line for line in done.both.splitlines() if line.startswith("error: ")]
    for name, path in zip(names, paths, strict=True):
        sentence = SAID[path.suffix]
        assert any(name in line and sentence in line for line in said), done.both[-3000:]
    assert all("delete it and run again" in line for line in said)
    for path in paths:
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
        assert smoke.plan(SMOKE) == {"record_run": 1, "check_scorecard": 1}
        done = smoke.run("mindgap", "check", SMOKE, check=False)
        assert done.returncode == 1
        assert "has the schema 1, this version writes 2" in done.both
    finally:
        path.write_text(old)


def test_the_record_finds_what_was_changed(smoke):
    check = ("mindgap", "check", SMOKE)
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
        assert smoke.plan(SMOKE)["measure_gap"] == 4
    finally:
        config.write_text(old)
        os.utime(config, ns=(times.st_atime_ns, times.st_mtime_ns))


big = pytest.mark.skipif(KILLS < 20, reason="make test-faults runs it")
as_root = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def small_disk(broken):
    """Put the results of a house on a disk of a given size."""
    folder = broken.path / "results"

    def mount(size):
        clear(broken)
        folder.mkdir()
        options = f"size={size // 4096 * 4096}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)

    yield mount
    subprocess.run(["umount", str(folder)], check=False, stderr=subprocess.DEVNULL)


def full_disk_sentences(done):
    """What a failed call said about the disk, after checks that it said nothing else."""
    assert done.returncode != 0
    assert "Traceback" not in done.both, done.both[-6000:]
    said = {line for line in done.both.splitlines() if line.startswith("error: ")}
    assert said, done.both[-6000:]
    assert all("No space left on device" in line for line in said), said
    assert all("make room and run again" in line for line in said), said
    return said


@big
@as_root
@pytest.mark.parametrize("share", [0.1, 0.4, 0.7])
def test_a_full_disk_leaves_nothing_that_is_taken_for_done(smoke, broken, small_disk, share):
    whole, results = finished(smoke), broken.path / "results"
    used = sum(path.stat().st_blocks * 512 for path in walk(smoke))
    small_disk(int(share * used))
    full_disk_sentences(broken.snakemake(SMOKE, check=False))
    found = finished(broken)
    assert not {name for name in found if found[name] != whole.get(name)}
    kept = broken.path / "kept"
    shutil.copytree(results, kept)
    subprocess.run(["umount", str(results)], check=True)
    # With room again, the run goes on from what is there.
    shutil.rmtree(results)
    kept.rename(results)
    broken.snakemake(SMOKE)
    assert finished(broken) == whole
    assert not leftovers(broken)


@big
@as_root
@pytest.mark.parametrize(
    ("target", "made"),
    [
        ("pairs/shapes.parquet", ["pairs/shapes.*"]),
        ("embeddings/tiny_random_s0/shapes.1-of-2.safetensors", ["embeddings/*/shapes.1-of-2.*"]),
        (
            "checkpoints/clip_small_s0/model.safetensors",
            ["checkpoints/*clip_small_s0*", "train/rows/clip_small_s0.*"],
        ),
        (
            "codebook/parts/video_audio_matched_s0.final.csv",
            ["checkpoints/*video_audio_matched_s0*", "codebook/*/video_audio_matched_s0.*"],
        ),
        ("gap/parts/tiny_random_s0/shapes.gap.csv", ["gap/parts/tiny_random_s0/shapes.*"]),
        ("figures/cone/theorems.png", ["figures/cone/theorems.*"]),
    ],
)
def test_a_disk_that_fills_while_a_file_is_written(broken, small_disk, target, made):
    """Pairs, a shard, states and checkpoints, a table, a figure: no room, and half of what it takes."""
    text = (broken.path / SMOKE).read_text() + "embed: {shards: {shapes: 2}}\n"
    for steps in ("  defaults: {steps: 12,", "  defaults:\n"):
        assert steps in text
    text = text.replace("{steps: 12,", "{save_every: 0, steps: 12,")
    text = text.replace("  defaults:\n", "  defaults:\n    save_every: 0\n")
    (broken.path / "full.yaml").write_text(text)
    small_disk(64 << 20)
    results = broken.path / "results/smoke"
    broken.snakemake("full.yaml", "--", f"results/smoke/{target}")
    whole = finished(broken)
    assert target in whole
    for share in (0, 0.5):
        files = [p for path in made for one in results.glob(path) for p in (one, *one.rglob("*"))]
        need = sum(p.stat().st_blocks * 512 for p in files)
        for path in (*files, results / "logs", results / "benchmarks"):
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
        filler, disk = broken.path / "results/filler", os.statvfs(results)
        with open(filler, "wb") as stream:
            room = int(need * share) // disk.f_frsize
            os.posix_fallocate(stream.fileno(), 0, (disk.f_bavail - room) * disk.f_frsize)
        done = broken.snakemake("full.yaml", "--", f"results/smoke/{target}", check=False)
        for line in full_disk_sentences(done):
            assert any(Path(path).name.strip("*.") in line for path in made), line
        found = finished(broken)
        assert not {name for name in found if found[name] != whole[name]}
        assert target not in found
        assert not [path for path in leftovers(broken) if ".part-" in str(path)]
        filler.unlink()
        broken.snakemake("full.yaml", "--", f"results/smoke/{target}")
        assert finished(broken) == whole
        assert not leftovers(broken)
