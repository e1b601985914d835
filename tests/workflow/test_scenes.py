"""Spoken scenes within the workflow: from pictures and recordings to units, claims and figures."""

import numpy as np
import pandas as pd
import pytest

from mindgap.data.digits import WORDS
from tests.unit.test_spoken_scenes import digit_files

CONFIG = """
run: small
select:
  datasets: [digits]
  models: [tiny]
  landscapes: [full]
  chapters: [codebook]
  codebooks: [scenes, named]
datasets:
  digits: {items: 40}
  spoken_scenes: &scenes
    {kind: spoken_scenes, split: train, scenes: 80, scene_seed: 0, validation_speaker: lucas, test_speaker: theo, files: FILES}
  spoken_scenes_held: {<<: *scenes, split: test, scenes: 60}
models:
  tiny: {kind: clip, label: tiny, architecture: tiny, weights: random, seeds: [0], captions: first, batch_size: 16}
gap: {bootstrap: 100, bins: 50, projection: {methods: [svd]}}
codebook:
  codes_shown: 2
  examples: 1
  defaults:
    inputs: {size: 48, hop: 160, seconds: 5}
    classes: true
    width: 16
    dimension: 8
    codes: 12
    steps: 6
    batch: 16
    start: 2
    measure_items: 40
    set_items: 50
    seeds: [0]
    variants: [continuous, matched]
  tasks:
    scenes: {train: spoken_scenes, test: spoken_scenes_held, modalities: [image, audio]}
    named: {train: spoken_scenes, test: spoken_scenes_held, modalities: [audio, text], variants: [matched]}
"""


@pytest.fixture(scope="module")
def trained(root, tmp_path_factory):
    from tests.workflow.conftest import House

    house = House(root, tmp_path_factory.mktemp("scenes"))
    files = digit_files(tmp_path_factory.mktemp("digits"))
    (house.path / "small.yaml").write_text(CONFIG.replace("FILES", str(files)))
    house.snakemake("small.yaml")
    return house


def test_units_end_in_tables_and_a_figure(trained):
    results = trained.path / "results/small"
    units, crossings, queries, table = (
        pd.read_csv(results / f"codebook/{name}.csv")
        for name in ("units", "crossings", "queries", "codebooks")
    )
    keys = ["task", "variant", "modality"]
    with_codes = [("named", "matched"), ("scenes", "matched")]
    assert sorted(set(units[keys[:2]].itertuples(index=False, name=None))) == with_codes
    assert units.groupby(keys).size().eq(1).all()
    assert units["pnmi"].between(0, 1).all()
    assert units.loc[units["kind"] == "audio", "codes_per_second"].eq(25).all()
    assert units[["pnmi_null", "label_purity_null", "iou_null"]].notna().all().all()
    assert set(crossings["word"]) == set(WORDS)
    assert set(queries["task"]) == {"scenes"}
    own = table.set_index("codebook")
    assert np.isnan(own.loc["scenes_continuous_s0", "own_codes"])
    assert (
        own.loc["scenes_matched_s0", ["pnmi_above_a", "pnmi_above_b", "query_above"]].notna().all()
    )
    counted = crossings[(crossings["task"] == "scenes") & (crossings["chosen_on"] == "both")]
    assert own.loc["scenes_matched_s0", "own_codes"] == counted["own"].sum()
    for name in ("scenes_matched_s0", "named_matched_s0"):
        assert (results / f"figures/units/{name}.png").stat().st_size > 4_000
    assert "Nothing to be done" in trained.snakemake("small.yaml", "-n").both


def test_a_measure_of_units_trains_nothing(trained):
    path = trained.path / "src/mindgap/codebook/units.py"
    old = path.read_text()
    path.write_text(old + "\n_EDITED = True\n")
    plan = trained.plan("small.yaml")
    path.write_text(old)
    assert plan["read_units"] == 2
    assert "train_codebook" not in plan
    assert "read_codes" not in plan
