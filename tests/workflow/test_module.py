"""Another workflow takes this one as a module, with a config of its own, in a folder of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

#: An overlay, as small as a run can be.
CONFIG = """\
run: mine
select: {models: [mine], landscapes: [full], chapters: []}
models:
  mine: {kind: arrays, modalities: {image: image.npy, text: text.npy}}
gap: {bootstrap: 100, projection: {methods: [svd]}}
"""


@pytest.fixture(scope="module")
def outer(root, tmp_path_factory):
    """The workflow of docs/how-to/other-workflow.md, in a folder that is no clone."""
    folder = tmp_path_factory.mktemp("outer")
    page = (root / "docs/how-to/other-workflow.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    (folder / "Snakefile").write_text(code.replace("path/to/mindgap", str(root)))
    (folder / "config").mkdir()
    (folder / "config/mindgap.yaml").write_text(CONFIG)
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((60, 8))
    np.save(folder / "image.npy", shared + 1)
    np.save(folder / "text.npy", shared - 1)
    return folder


def snakemake(folder, *words):
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["snakemake", "--cores", "1", *words], cwd=folder, env=env, text=True, capture_output=True
    )
    done.both = done.stdout + done.stderr
    return done


def test_a_rule_of_the_outer_workflow_gets_a_table(outer):
    done = snakemake(outer, "summary")
    assert done.returncode == 0, done.both[-4000:]
    assert (outer / "summary.txt").read_text().split() == ["2", "results/mine/gap/gap.csv"]
    again = snakemake(outer, "-n", "summary")
    assert "Nothing to be done" in again.both


def test_the_whole_run_can_be_planned_from_outside(outer):
    done = snakemake(outer, "-n", "--forceall", "mindgap_all")
    assert done.returncode == 0, done.both[-4000:]
    jobs = set(re.findall(r"^(mindgap_\w+) +\d+$", done.both, re.MULTILINE))
    assert {"mindgap_measure_gap", "mindgap_score_claims", "mindgap_record_run"} <= jobs


def test_shipped_features_are_found_beside_the_snakefile(outer):
    config = outer / "config/clip.yaml"
    config.write_text("run: features\nselect: {models: [clip], landscapes: [full], chapters: []}\n")
    code = (outer / "Snakefile").read_text().replace("mindgap.yaml", "clip.yaml")
    (outer / "Clip").write_text(code.replace("results/mine", "results/features"))
    done = snakemake(outer, "-n", "-s", "Clip", "mindgap_all")
    assert done.returncode == 0, done.both[-4000:]
    assert "mindgap_fetch_source" not in done.both
    assert "resources/mind-the-gap-features/features_clip.npy" in done.both


def test_the_snakefile_of_the_catalog_hands_over(make_house, tmp_path):
    house = make_house(tmp_path / "clone")
    direct = house.plan("config/smoke.yaml")
    handed = house.plan("config/smoke.yaml", "-s", "workflow/Snakefile")
    assert direct == handed and len(direct) > 20
