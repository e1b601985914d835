"""The wheel in a fresh environment, with the core's own dependencies, in an empty folder."""

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

#: What no command of the core may need or load.
EXTRAS = (
    "torch transformers matplotlib seaborn snakemake dvc pyarrow yaml jsonschema requests PIL bokeh"
)
HEAVY = f"import sys; print([m for m in {EXTRAS.split()} if m in sys.modules])"


class Installed:
    """A virtual environment without the extras, and the folder in which its commands are called."""

    def __init__(self, folder, root):
        self.bin, self.empty, dist = folder / "venv/bin", folder / "empty", folder / "dist"
        self.lock = root / "requirements.lock"
        self.env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        self.empty.mkdir()
        wheel = "pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir".split()
        subprocess.run([sys.executable, "-m", *wheel, dist, root], check=True)
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        (self.wheel,) = dist.iterdir()
        self.seconds = self.install(self.wheel)
        files = (path for path in (folder / "venv").rglob("*") if path.is_file())
        self.megabytes = sum(path.stat().st_size for path in files) / 1e6

    def install(self, what):
        """Install with the versions of the lock; return the seconds."""
        start = time.monotonic()
        words = ("install", "--quiet", "--disable-pip-version-check", "-c", self.lock, what)
        assert self.run("pip", *words, check=False).returncode == 0
        return time.monotonic() - start

    def run(self, command, *words, check=True, cwd=None):
        start = time.monotonic()
        done = subprocess.run(
            [self.bin / command, *words],
            cwd=cwd or self.empty,
            env=self.env,
            text=True,
            capture_output=True,
        )
        done.seconds = time.monotonic() - start
        assert not check or done.returncode == 0, done.stderr[-3000:]
        return done

    def python(self, code):
        return self.run("python", "-c", code)

    def measure(self, *files):
        """Rows of gap.csv as the command prints them."""
        return json.loads(self.run("mindgap", "measure", *files, "--json").stdout)

    def refused(self, *words, cwd=None):
        """The one sentence of a command that ends with status 1."""
        done = self.run("mindgap", *words, check=False, cwd=cwd)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
        return done.stderr


@pytest.fixture(scope="module")
def installed(root):
    with tempfile.TemporaryDirectory() as folder:
        yield Installed(Path(folder), root)


@pytest.fixture(scope="module")
def pairs(installed):
    """x.npy and y.npy, and copies that are rotated and whose rows have any length."""
    rng = np.random.default_rng(0)
    shared, turn = rng.standard_normal((300, 24)), np.linalg.qr(rng.standard_normal((24, 24)))[0]
    for name in "xy":
        noise = 0.8 * rng.standard_normal(shared.shape)
        rows = (shared + noise + rng.standard_normal(24)).astype(np.float32)
        np.save(installed.empty / f"{name}.npy", rows)
        turned = rng.uniform(0.1, 10, (len(rows), 1)) * rows @ turn
        np.save(installed.empty / f"{name}_turned.npy", turned)
    return "x.npy", "y.npy"


@pytest.fixture
def say(capsys):
    def print_it(text):
        with capsys.disabled():
            print(f"\n{text}")

    return print_it


def test_the_wheel_holds_every_module(installed, root):
    src = root / "src"
    modules = {path.relative_to(src).as_posix() for path in src.rglob("*.py")}
    found = {name for name in zipfile.ZipFile(installed.wheel).namelist() if name.endswith(".py")}
    assert found == modules
    assert {name.partition("/")[0] for name in found} == {
        "mindgap",
        "snakemake_logger_plugin_mindgap",
    }


def test_the_core_is_complete_and_brings_no_extra(installed, say):
    say(f"core: {installed.megabytes:.0f} MB, installed in {installed.seconds:.0f} s")
    assert "No broken requirements" in installed.run("pip", "check").stdout
    code = (
        f"from importlib.util import find_spec as f; print([m for m in {EXTRAS.split()} if f(m)])"
    )
    assert installed.python(code).stdout.strip() == "[]"


def test_the_import_costs_nothing(installed, say):
    installed.python("import mindgap")
    done = installed.python(f"import mindgap; {HEAVY}; print('numpy' in sys.modules)")
    assert done.stdout.split("\n")[:2] == ["[]", "False"]
    say(f"import mindgap: {done.seconds:.2f} s, with the start of Python")
    every = f"import mindgap; [getattr(mindgap, name) for name in mindgap.__all__]; {HEAVY}"
    assert installed.python(every).stdout.strip() == "[]"


def test_the_command_alone_teaches(installed):
    done = installed.run("mindgap", check=False)
    assert "mindgap measure image.npy text.npy" in done.stdout
    for name in ("measure", "compare", "calibrate", "fit", "apply", "explore", "plan", "check"):
        assert f" {name} " in done.stdout


def test_numbers_know_neither_rotation_nor_length(installed, pairs):
    (plain,), (turned,) = (
        installed.measure(f"x{kind}.npy", f"y{kind}.npy") for kind in ("", "_turned")
    )
    assert plain["gap"] > 0.5 and 0.1 < plain["recall_at_1_ab"] < 0.9
    numbers = {k: v for k, v in plain.items() if not isinstance(v, str)}
    assert {k: turned[k] for k in numbers} == pytest.approx(numbers, rel=1e-9, abs=1e-12)


def test_from_two_files_to_rows_without_a_gap(installed, pairs):
    assert "mixed corpus" in installed.run("mindgap", "compare", *pairs).stdout
    assert "P(match)" in installed.run("mindgap", "calibrate", *pairs).stdout
    installed.run("mindgap", "fit", "centring", *pairs, "--out", "map.safetensors")
    for file, modality in zip(pairs, ("image", "text"), strict=True):
        words = ("map.safetensors", file, f"moved_{file}", "--modality", modality)
        installed.run("mindgap", "apply", *words)
    (before,), (after,) = (installed.measure(*(p + f for f in pairs)) for p in ("", "moved_"))
    assert after["gap"] < 0.2 * before["gap"]
    assert "lowest loss" in installed.run("mindgap", "landscape", *pairs).stdout
    assert "procrustes" in installed.run("mindgap", "methods").stdout


def test_the_garments(installed, mirror, say):
    files = [str(mirror / f"clip-pairs-fashion/shop1126_{m}.npy") for m in ("image", "text")]
    if not Path(files[0]).exists():
        pytest.skip("the mirror has no clip-pairs-fashion")
    (row,) = installed.measure(*files)
    found = [round(row[name], 4) for name in ("gap", "recall_at_1_ab", "recall_at_1_ba")]
    assert found == [0.8768, 0.7948, 0.8046]
    done = installed.run("mindgap", "measure", *files)
    say(f"mindgap measure, 1,126 garments, second call: {done.seconds:.1f} s")


def test_a_run_is_for_a_checkout(installed, root):
    for words in (("plan", "c.yaml"), ("check", "c.yaml"), ("audit", "c.yaml"), ("scorecard",)):
        assert "is no checkout of mindgap" in installed.refused(*words)
    assert not list(installed.empty.glob("results*"))
    said = installed.refused("plan", "config/smoke.yaml", cwd=root)
    assert said == "error: runs need yaml: pip install 'mindgap[workflow]'\n"


PLOT = """
import mindgap, numpy
x = numpy.random.default_rng(0).standard_normal((40, 8))
for draw in (
    mindgap.measure(x + 1, x, bootstrap=100).plot,
    mindgap.compare_fixes(x + 1, x).plot,
    mindgap.landscape(x + 1, x).plot,
):
    try:
        print(draw().get_xlabel())
    except Exception as error:
        print(error)
"""


def test_plots_ask_for_their_extra_and_the_command_that_they_name_brings_it(installed):
    words = "mindgap[plot]"
    sentence = f"plots need matplotlib: pip install '{words}'"
    assert installed.python(PLOT).stdout.splitlines() == [sentence] * 3
    installed.install(words)
    assert installed.python(PLOT).stdout.splitlines() == [
        "cosine",
        "mixed corpus: NDCG@10, held out",
        "signed distance of the means",
    ]
