"""The chapter `codebook` within the workflow: from clips and sounds to effects and figures."""

import numpy as np
import pandas as pd
import pytest

CONFIG = """
run: small
select:
  datasets: [digits]
  models: [tiny]
  landscapes: [full]
  chapters: [codebook]
  codebooks: [video_audio, own]
datasets:
  digits: {items: 40}
  clips: {items: 64, size: 16}
  clips_held: {items: 60, size: 16}
models:
  tiny: {kind: clip, label: tiny, architecture: tiny, weights: random, seeds: [0], captions: first, batch_size: 16}
gap: {bootstrap: 100, bins: 50, projection: {methods: [svd]}}
codebook:
  codes_shown: 2
  examples: 1
  defaults:
    inputs: {size: 16}
    width: 16
    dimension: 8
    codes: 8
    steps: 6
    batch: 16
    start: 2
    measure_items: 40
    set_items: 50
    seeds: [0, 1]
    variants: [continuous, matched]
  tasks:
    own:
      train: clips
      test: clips_held
      modalities: [text, other]
      arrays: {train: {other: own/train.npz}, test: {other: own/test.npz}}
      seeds: [0]
      variants: [matched]
"""
TABLES = "codebooks effects trajectories retrieval usage meaning concepts generalisation places"


@pytest.fixture(scope="module")
def trained(root, tmp_path_factory):
    from tests.workflow.conftest import House

    house = House(root, tmp_path_factory.mktemp("codebook"))
    (house.path / "small.yaml").write_text(CONFIG)
    (house.path / "own").mkdir()
    rng = np.random.default_rng(0)
    for role, n in (("train", 64), ("test", 60)):
        np.savez(house.path / f"own/{role}.npz", rows=rng.standard_normal((n, 6, 5)))
    house.snakemake("small.yaml")
    return house


def test_codebooks_end_in_tables_and_figures(trained):
    results = trained.path / "results/small"
    tables = {name: pd.read_csv(results / f"codebook/{name}.csv") for name in TABLES.split()}
    table = tables["codebooks"].set_index("codebook")
    names = [f"video_audio_{v}_s{s}" for v in ("continuous", "matched") for s in (0, 1)]
    assert sorted(table.index) == sorted([*names, "own_matched_s0"])
    assert table.loc["video_audio_continuous_s0", ["shared", "gap_pooled"]].isna().all()
    assert (
        table.loc["video_audio_matched_s0", ["shared", "gap_pooled", "recall_at_1"]].notna().all()
    )
    effects = tables["effects"].set_index(["task", "effect", "measure"])
    wide = table[table["task"] == "video_audio"].pivot(
        index="seed", columns="variant", values="gap"
    )
    found = effects.loc[("video_audio", "matched minus continuous", "gap")]
    assert found["estimate"] == pytest.approx((wide["matched"] - wide["continuous"]).mean())
    assert found["low"] <= found["estimate"] <= found["high"]
    steps = tables["trajectories"]
    assert set(steps["vector"]) == {"final", "continuous", "discrete", "pooled"}
    assert set(steps["step"]) == {0, 1, 2, 4, 6}
    assert tables["usage"].groupby(["task", "seed"]).size().eq(8).all()
    for name in ("codebooks", "codes/video_audio_matched_s0", "codes/own_matched_s0"):
        assert (results / f"figures/{name}.png").stat().st_size > 4_000
    assert (results / "checkpoints/video_audio_matched_s0/codebook.json").exists()
    assert not list((results / "checkpoints").glob(".*"))


@pytest.mark.parametrize(
    ("edit", "trained_anew", "measured", "read"),
    [
        (("modalities: [text, other]", "modalities: [text, other]\n      codes: 9"), 1, 1, 1),
        (("    set_items: 50", "    set_items: 40"), 0, 5, 0),
        (("    set_items: 50", "    set_items: 50\n    top: 2"), 0, 0, 3),
        (("    set_items: 50", "    set_items: 50\n    save_every: 7"), 0, 0, 0),
        (("  codes_shown: 2", "  codes_shown: 2\n  threads: 2"), 0, 0, 0),
    ],
)
def test_an_option_reruns_what_depends_on_it(trained, edit, trained_anew, measured, read):
    assert "Nothing to be done" in trained.snakemake("small.yaml", "-n").both
    config = trained.path / "small.yaml"
    old = config.read_text()
    assert edit[0] in old
    config.write_text(old.replace(*edit))
    plan = trained.plan("small.yaml")
    config.write_text(old)
    found = [plan.get(rule, 0) for rule in ("train_codebook", "measure_codebook", "read_codes")]
    assert found == [trained_anew, measured, read]
    assert "measure_gap" not in plan


def test_a_measure_trains_nothing(trained):
    """A way to read codes neither; a loss does."""
    for name, rule in (
        ("gap/retrieval", "measure_codebook"),
        ("codebook/usage", "measure_codebook"),
        ("codebook/meaning", "read_codes"),
        ("codebook/losses", "train_codebook"),
    ):
        path = trained.path / f"src/mindgap/{name}.py"
        old = path.read_text()
        path.write_text(old + "\n_EDITED = True\n")
        plan = trained.plan("small.yaml")
        path.write_text(old)
        assert rule in plan, name
        assert ("train_codebook" in plan) == (rule == "train_codebook"), name


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            ("codebooks: [video_audio, own]", "codebooks: [vidio_audio]"),
            "did you mean 'video_audio'?",
        ),
        (("variants: [matched]", "variants: [machted]"), "variants: 'machted' is not defined"),
        (("test: clips_held", "test: clips_hold"), "no data set is called 'clips_hold'"),
        (("modalities: [text, other]", "modalities: [text, smell]"), "'clips' has no smell"),
        (("codes: 8", "codes: 1"), "codebook.defaults.codes"),
    ],
)
def test_a_mistake_is_one_sentence(trained, edit, words):
    assert edit[0] in CONFIG
    (trained.path / "bad.yaml").write_text(CONFIG.replace(*edit))
    done = trained.snakemake("bad.yaml", "-n", check=False)
    assert done.returncode != 0
    assert words in done.both
    assert "Traceback" not in done.both
