"""The chapter `embed` as a workflow: any encoder, shards, kills, no network."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mindgap.embed.store import load_embeddings
from tests.bounds import NETWORK
from tests.checkpoints import make_checkpoint

OPTIONS = (
    "gap: {bootstrap: 100, max_pairs: 20, bins: 20, projection: {methods: [svd]}}\n"
    "datasets: {shapes: {items: 30, size: 32, frames: 4}}\n"
)
#: Imported by every Python of the workflow: no connection leaves the machine.
NO_NETWORK = """
import socket
def refuse(self, address, *rest):
    if self.family != getattr(socket, "AF_UNIX", None):
        raise OSError("network is forbidden in this test")
    return connect(self, address, *rest)
connect = socket.socket.connect
socket.socket.connect = refuse
"""


@pytest.fixture(scope="module")
def house(root, tmp_path_factory):
    from tests.workflow.conftest import House

    house = House(root, tmp_path_factory.mktemp("embed"))
    for family in ("clip", "clap", "resnet"):
        make_checkpoint(family, house.path / "own" / family)
    mirror = house.path / "mirror/models/some-org--tiny-clip/main"
    shutil.copytree(house.path / "own/clip", mirror)
    return house


@pytest.fixture(scope="module")
def run(house):
    """A finished run: a checkpoint from a mirror and a single tower, two shards of each."""
    (house.path / "many.yaml").write_text(
        "run: many\n"
        "select: {datasets: [shapes], models: [fetched, tower], landscapes: [full], chapters: []}\n"
        "embed: {shards: {shapes: 2}, part_items: 4}\n" + OPTIONS + "models:\n"
        "  fetched: {kind: encoder, checkpoint: some-org/tiny-clip, captions: all}\n"
        "  tower: {kind: encoder, folder: own/resnet, modalities: [image], weights: random, seeds: [0]}\n"
    )
    (house.path / "guard").mkdir()
    (house.path / "guard/sitecustomize.py").write_text(NO_NETWORK)
    env = {"MINDGAP_MIRROR": "mirror", "PYTHONPATH": f"{house.path / 'guard'}:{house.path / 'src'}"}
    house.snakemake("many.yaml", env=env)
    return house.path / "results/many"


def test_without_network_everything_is_made(run):
    gaps = pd.read_csv(run / "gap/gap.csv")
    assert gaps["model"].tolist() == ["fetched"], "a tower has no gap"
    assert (run / "figures/figure1_svd.png").exists()
    tower = load_embeddings(run / "embeddings/tower_s0/shapes.safetensors")
    assert list(tower.rows) == ["image"]
    assert tower.rows["image"].shape == (30, 16)


def test_the_header_tells_the_history(run):
    about = load_embeddings(run / "embeddings/fetched/shapes.safetensors").about
    assert about["encoder"]["activation_text"] == "quick_gelu"
    assert about["encoder"]["image_processor"]["class"] == "CLIPImageProcessorPil"
    assert about["checkpoint"]["checkpoint"] == "some-org/tiny-clip"
    weights = run.parents[1] / "own/clip/model.safetensors"
    recorded = about["checkpoint"]["files"]["model.safetensors"]["sha256"]
    assert recorded == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert (about["precision"], about["shards"], about["rows"]) == ("float32", 2, [0, 30])
    assert {"mindgap", "python", "torch", "transformers"} == set(about["versions"])


def test_merged_sums_are_the_measures_of_the_joined_file(run):
    whole = pd.read_csv(run / "gap/gap.csv").set_index("model")
    for model in ("fetched",):
        (merged,) = pd.read_csv(run / f"gap/parts/{model}/shapes.sharded.csv").to_dict("records")
        assert merged["shards"] == 2
        names = [n for n in merged if n in whole and n not in ("model", "dataset")]
        assert len(names) >= 25
        for name in names:
            assert merged[name] == pytest.approx(whole.loc[model, name], rel=1e-9, abs=1e-12), name
        tiles = pd.read_csv(run / f"gap/parts/{model}/shapes.sharded.cosines.csv")
        assert tiles.groupby("pairs")["count"].sum().to_dict() == {
            "a": 435,
            "b": 435,
            "unmatched": 870,
        }


def test_a_second_run_does_nothing(run, house):
    assert house.plan("many.yaml") == {}


def test_nothing_but_the_wanted_files_stays(run):
    names = {p.name for p in (run / "embeddings/fetched").iterdir()}
    assert names == {
        f"shapes{shard}.{kind}"
        for shard in ("", ".0-of-2", ".1-of-2")
        for kind in ("safetensors", "failures.csv")
    }


def test_shards_and_whole_agree(run, house):
    (house.path / "whole.yaml").write_text(
        "run: whole\nselect: {datasets: [shapes], models: [fetched], landscapes: [full], chapters: []}\n"
        + OPTIONS
        + "models:\n"
        "  fetched: {kind: encoder, checkpoint: some-org/tiny-clip, captions: all}\n"
    )
    target = "results/whole/embeddings/fetched/shapes.safetensors"
    assert "fetch_checkpoint" not in house.plan("whole.yaml"), "fetched once for all runs"
    house.snakemake("whole.yaml", "--", target)
    one = load_embeddings(house.path / target)
    joined = load_embeddings(run / "embeddings/fetched/shapes.safetensors")
    for modality in ("image", "text"):
        np.testing.assert_allclose(one.rows[modality], joined.rows[modality], atol=NETWORK)
        np.testing.assert_array_equal(one.index(modality), joined.index(modality))


def test_a_changed_checkpoint_embeds_again(run, house):
    config = house.path / "own/resnet/config.json"
    old = config.read_text()
    try:
        config.write_text(json.dumps({**json.loads(old), "remark": 1}))
        plan = house.plan("many.yaml")
        assert plan == {"embed_pairs": 2, "join_shards": 1, "record_run": 1, "check_scorecard": 1}
    finally:
        config.write_text(old)


def test_killed_and_started_again_it_ends_in_the_same_bytes(run, house):
    """Kill -9 of the workflow and its job while parts are being written."""
    (house.path / "killed.yaml").write_text(
        "run: killed\nselect: {datasets: [shapes], models: [sound], chapters: []}\nembed: {part_items: 2}\n"
        "gap: {bootstrap: 100}\ndatasets: {shapes: {items: 400, size: 32, frames: 4}}\nmodels:\n"
        "  sound: {kind: encoder, folder: own/clap, modalities: [audio, text], batch_size: 2}\n"
    )
    target = "results/killed/embeddings/sound/shapes.safetensors"
    parts = house.path / f"{target}.parts"
    started = subprocess.Popen(
        ["bash", "-c", f"exec snakemake --configfile killed.yaml -- {target}"],
        cwd=house.path,
        env={**house_env(house)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list(parts.glob("00003.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    done = len(list(parts.glob("0*.safetensors")))
    assert 3 < done < 200
    assert not (house.path / target).exists()
    house.snakemake("killed.yaml", "--unlock")
    house.snakemake("killed.yaml", "--", target)
    log = (house.path / "results/killed/logs/embed_pairs/sound/shapes.log").read_text()
    assert "of 200 parts are there already" in log
    assert not parts.exists()
    resumed = (house.path / target).read_bytes()
    house.snakemake("killed.yaml", "--force", "--", target)
    assert (house.path / target).read_bytes() == resumed


def house_env(house):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(house.path / "src")}


def test_a_folder_that_is_none_is_refused_before_anything_runs(house):
    (house.path / "none.yaml").write_text(
        "run: none\nselect: {models: [mine], chapters: []}\nmodels: {mine: {kind: encoder, folder: not/there}}\n"
    )
    done = house.snakemake("none.yaml", "-n", check=False)
    assert done.returncode != 0
    assert "error: config: models.mine.folder: not/there/config.json does not exist" in done.both
    assert "Traceback" not in done.both
