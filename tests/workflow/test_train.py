"""The chapter `train` within the workflow: from pairs to effects, and the trained model beyond."""

import shutil

import pandas as pd
import pytest

from tests.bounds import UNIT

CONFIG = """
run: small
select:
  datasets: []
  models: [clip_small]
  landscapes: [full]
  chapters: [train]
  trainings: [clip_small, temperature, plain, amended]
  experiments: [temperature, initialisation]
  tasks: []
  audits: []
datasets:
  scenes: {items: 64, size: 16}
  held_out: {items: 40, size: 16}
  singles: {items: 16, size: 16}
gap: {bootstrap: 100, bins: 50, projection: {methods: [svd]}}
train:
  models: {small: {width: 16, layers: 1, heads: 2, image_size: 16, dimension: 16}}
  defaults: {steps: 6, batch: 16, warmup: 2, bootstrap: 100}
  trainings:
    temperature: {steps: 3, warmup: 1, vary: {inverse_temperature: [1, 100]}}
    plain: {steps: 3, seeds: [0, 1]}
    amended: {steps: 3, seeds: [0, 1]}
  experiments: {initialisation: {others: [amended]}}
"""
TUNED = "  trainings:\n    tuned: {start: mine, steps: 2}"


@pytest.fixture(scope="module")
def trained(root, tmp_path_factory):
    from tests.workflow.conftest import House

    house = House(root, tmp_path_factory.mktemp("train"))
    (house.path / "small.yaml").write_text(CONFIG)
    house.snakemake("small.yaml")
    return house


def test_trainings_end_in_tables_figures_and_a_model(trained):
    results = trained.path / "results/small"
    table = pd.read_csv(results / "train/trainings.csv").set_index("training")
    names = ["clip_small_s0", "temperature_1_s0", "temperature_100_s0"]
    names += [f"{name}_s{seed}" for name in ("plain", "amended") for seed in (0, 1)]
    assert sorted(table.index) == sorted(names)
    effects = pd.read_csv(results / "train/effects.csv")
    assert list(effects["effect"]) == [
        "inverse_temperature 1 to 100",
        "Kendall's tau with inverse_temperature",
        "amended minus plain",
        "plain at its end minus its start",
        "amended at its end minus its start",
    ]
    plain, amended = (
        table.loc[[f"{n}_s0", f"{n}_s1"], "gap"].to_numpy() for n in ("plain", "amended")
    )
    assert effects["estimate"].iloc[2] == pytest.approx((amended - plain).mean())
    steps = pd.read_csv(results / "train/trajectories.csv")
    start = steps[steps["training"] == "temperature_100_s0"].iloc[0]
    assert start["gap"] == pytest.approx(table.loc["clip_small_s0", "gap"], abs=UNIT)
    # The trained checkpoint is embedded and measured like any other model, to the same gap.
    gap = pd.read_csv(results / "gap/gap.csv").set_index("dataset")
    assert gap.loc["held_out", "gap"] == pytest.approx(table.loc["clip_small_s0", "gap"], abs=UNIT)
    for name in ("trajectories", "trainings"):
        assert (results / f"figures/{name}.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (("plain: {steps: 3", "plain: {steps: 4"), {"train_model": 2, "measure_training": 2}),
        (("warmup: 2, bootstrap: 100", "warmup: 2, bootstrap: 120"), {"measure_training": 7}),
        (("warmup: 2,", "warmup: 2, save_every: 7,"), {}),
        (("train:\n", "train:\n  threads: 2\n"), {}),
    ],
)
def test_an_option_reruns_what_depends_on_it(trained, edit, expected):
    assert "Nothing to be done" in trained.snakemake("small.yaml", "-n").both
    config = trained.path / "small.yaml"
    old = config.read_text()
    assert edit[0] in old
    config.write_text(old.replace(*edit))
    plan = trained.plan("small.yaml")
    config.write_text(old)
    if expected:
        expected = expected | {"compare_trainings": 1, "plot_trainings": 1}
    about = {"save_config", "record_run", "check_scorecard", "score_claims", "write_index"}
    about |= {"compare_models", "plot_downstream"}  # which set all models side by side
    assert {rule: n for rule, n in plan.items() if rule not in about} == expected


def test_a_measure_trains_nothing(trained):
    """Nor does the downloader; a loss does."""
    for name, trains in (
        ("gap/retrieval", False),
        ("gap/measures", False),
        ("train/measure", False),
        ("data/download", False),
        ("train/losses", True),
    ):
        path = trained.path / f"src/mindgap/{name}.py"
        old = path.read_text()
        path.write_text(old + "\n_EDITED = True\n")
        plan = trained.plan("small.yaml")
        path.write_text(old)
        assert ("train_model" in plan) == trains, name
        assert plan.get("measure_training", 0) == (0 if name == "data/download" else 7), name


def test_a_training_goes_on_from_a_folder_of_ones_own(trained):
    mine = trained.path / "mine"
    shutil.copytree(trained.path / "results/small/checkpoints/clip_small_s0", mine)
    (trained.path / "on.yaml").write_text(
        "run: again\nselect: {datasets: [], models: [further], chapters: [train],\n"
        "  landscapes: [full], trainings: [tuned], experiments: [], tasks: [], audits: []}\n"
        "models:\n  mine: {kind: encoder, folder: mine}\n"
        "  further: {kind: trained, training: tuned_s0, datasets: [held_out]}\n"
        + CONFIG[CONFIG.index("datasets:\n  scenes") :].replace("  trainings:\n", f"{TUNED}\n")
    )
    plan = trained.plan("on.yaml")
    assert plan["train_model"] == 1
    trained.snakemake("on.yaml", "--", "results/again/train/parts/tuned_s0.final.csv")
    steps = pd.read_csv(trained.path / "results/again/train/parts/tuned_s0.trajectory.csv")
    table = pd.read_csv(trained.path / "results/small/train/trainings.csv").set_index("training")
    gap = table.loc["clip_small_s0", "gap"]
    assert steps["gap"].iloc[0] == pytest.approx(gap, abs=UNIT)
    (mine / "config.json").unlink()
    done = trained.snakemake("on.yaml", "-n", "--forceall", check=False)
    assert "error: " in done.both
    assert "tuned.start.folder: mine/config.json does not exist" in done.both


def test_a_model_without_its_training_is_refused(trained):
    (trained.path / "none.yaml").write_text(
        "run: none\nselect: {datasets: [], models: [clip_small], chapters: []}\n"
    )
    done = trained.snakemake("none.yaml", "-n", check=False)
    assert "this run trains no 'clip_small_s0' (it trains: none)" in done.both
