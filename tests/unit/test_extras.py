"""What needs an extra asks for it in one sentence, and the core needs none."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires

import numpy as np
import pytest
from packaging.requirements import Requirement

import mindgap
from mindgap.runtime.errors import UserError
from mindgap.runtime.extras import extra

PLOTS = {
    "measure": lambda x, y: mindgap.measure(x, y, bootstrap=100),
    "several": lambda x, y: mindgap.measure({"a": x, "b": y, "c": x + y}, bootstrap=100),
    "compare_fixes": mindgap.compare_fixes,
    "calibrate": mindgap.calibrate,
    "landscape": mindgap.landscape,
}


def test_an_absent_library_is_one_sentence():
    with pytest.raises(UserError) as refused, extra("plot", "plots need"):
        import no_such_library.of_any_name  # noqa: F401
    assert str(refused.value) == "plots need no_such_library: pip install 'mindgap[plot]'"


@pytest.mark.parametrize(
    "error", [ModuleNotFoundError(name="mindgap.gone"), ImportError(name="torch"), KeyError("a")]
)
def test_every_other_error_keeps_its_traceback(error):
    with pytest.raises(type(error)) as raised, extra("plot", "plots need"):
        raise error
    assert raised.value is error


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_without_the_extra(name, clouds, monkeypatch):
    found = PLOTS[name](*clouds(60, 6))
    for module in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=r"^plots need matplotlib: pip install 'mindgap\[plot\]'$"):
        found.plot()


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


#: Calls the command some times without some modules.
WITHOUT = """
import json, sys
modules, calls = map(json.loads, sys.argv[1:])

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in modules:
            raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, Absent())
from mindgap.cli import app
for words in calls:
    app(words, standalone_mode=False)
"""


def plain(name):
    return re.sub("[-_.]+", "-", name).lower()


def closure(names):
    """The distributions that some of them bring along, and themselves."""
    found, todo = set(), [plain(name) for name in names]
    while todo:
        if (name := todo.pop()) in found:
            continue
        found.add(name)
        needs = [Requirement(text) for text in requires(name) or ()]
        todo += [plain(n.name) for n in needs if not n.marker or n.marker.evaluate({"extra": ""})]
    return found


def test_the_workflow_includes_the_other_extras(project):
    extras = project["optional-dependencies"]
    assert set(extras) == {"plot", "models", "workflow", "docs", "test"}
    (own,) = [Requirement(text) for text in extras["workflow"] if text.startswith("mindgap")]
    assert own.extras == {"plot", "models"}


def test_the_core_runs_without_any_extra(project, clouds, tmp_path):
    core = closure(Requirement(text).name for text in project["dependencies"])
    extras = {
        plain(Requirement(text).name)
        for texts in project["optional-dependencies"].values()
        for text in texts
    }
    absent = extras - core - {"mindgap"}
    assert {"torch", "matplotlib", "snakemake", "pyyaml", "pyarrow"} <= absent
    modules = [
        module
        for module, owners in packages_distributions().items()
        if {plain(owner) for owner in owners} <= absent
    ]
    for name, rows in zip("xy", clouds(60, 8), strict=True):
        np.save(tmp_path / f"{name}.npy", rows)
    calls = [
        ["measure", "x.npy", "y.npy", "--bootstrap", "100"],
        ["compare", "x.npy", "y.npy"],
        ["fit", "procrustes", "x.npy", "y.npy"],
        ["apply", "map.safetensors", "x.npy", "moved.npy", "--modality", "image"],
        ["landscape", "x.npy", "y.npy", "--out", "grid.csv"],
        ["methods"],
    ]
    words = [sys.executable, "-c", WITHOUT, json.dumps(modules), json.dumps(calls)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "moved.npy").shape == (60, 8)
    assert (tmp_path / "grid.csv").read_text().count("\n") == 51 * 6 + 1
