"""Which rows a run's tables should have, after its configuration; against the tables themselves."""

from types import SimpleNamespace

import pandas as pd

from mindgap.codebook.summary import measure_contrasts
from mindgap.cone.theorems import growth_table
from mindgap.config import read_yaml
from mindgap.report.present import grid, present, read_tables
from mindgap.report.tables import expected, lacking
from mindgap.shift.tables import shift_grid
from mindgap.train.effects import measure_effects
from tests.samples import resolve


def make(overlay):
    run = resolve(overlay)
    return run, present(run)


def test_shifts_are_those_of_the_landscape():
    for start, stop, step in ((-5, 4.75, 0.25), (-1, 1.5, 0.02), (0, 0.3, 0.1), (2, 2, 1)):
        assert grid(start, stop, step) == shift_grid(start, stop, step).tolist()


def test_a_run_has_what_it_selects():
    _, rows = make({"select": {"models": ["clip", "vitb32_random"], "landscapes": ["published"]}})
    gap = {"model": "clip", "dataset": "mscoco"}
    assert lacking(rows, "gap/gap.csv", gap) == ""
    assert (
        lacking(rows, "gap/gap.csv", {**gap, "dataset": "shapes"}) == "model clip, dataset shapes"
    )
    assert lacking(rows, "gap/gap.csv", {"model": "convirt"}) == "model convirt"
    cell = {**gap, "landscape": "published", "inverse_temperature": 100, "direction": "ab"}
    assert lacking(rows, "shift/minima.csv", cell) == ""
    for key, value in (("landscape", "fine"), ("inverse_temperature", 7)):
        words = lacking(rows, "shift/minima.csv", {**cell, key: value})
        assert f"{key} {value}" in words
    points = {**cell, "shift": -0.25}
    assert lacking(rows, "shift/parts/clip/mscoco.landscape.csv", points) == ""
    assert lacking(rows, "shift/parts/clip/mscoco.landscape.csv", {"shift": 0.1}) == "shift 0.1"


def test_what_is_left_out_has_no_tables():
    _, rows = make({"select": {"models": ["clip"], "datasets": [], "chapters": []}})
    names = {table.partition("/")[0] for table in rows}
    assert names == {"gap", "shift", "downstream"}
    assert "downstream/tests.csv" not in rows
    assert "downstream/methods.csv" in rows


def test_a_learned_temperature_belongs_to_a_model_that_the_run_trains():
    _, rows = make(
        {"select": {"models": ["clip", "clip_small"], "landscapes": ["full", "learned"]}}
    )
    at = {"landscape": "learned", "direction": "mean"}
    assert lacking(rows, "shift/minima.csv", {**at, "model": "clip_small"}) == ""
    assert lacking(rows, "shift/minima.csv", {**at, "model": "clip"})


def test_effects_have_the_names_of_the_table():
    run, rows = make({})
    trainings = run.trainings
    finals = pd.DataFrame(
        [
            {"training": name, "definition": t.definition, **t.facts, "gap": i / 9}
            for i, (name, t) in enumerate(trainings.items())
        ]
    ).assign(gap_low=0.0, gap_high=1.0)
    steps = finals[["definition", "seed", "gap"]].assign(step=0)
    made = measure_effects(finals, run.experiments, 0.95, steps)
    for row in made.to_dict("records"):
        where = {"experiment": row["experiment"], "effect": row["effect"]}
        assert lacking(rows, "train/effects.csv", where) == "", where
    assert len(expected(rows, "train/effects.csv", {}, ["experiment", "effect"])) == len(made)
    assert len(expected(rows, "train/trainings.csv", {}, ["training"])) == len(finals)
    assert [
        r["seed"] for r in expected(rows, "train/trainings.csv", {"definition": "plain"}, ["seed"])
    ] == [0, 1, 2]


def test_contrasts_have_the_names_of_the_table():
    run, rows = make({})
    variants = run.config.codebook.defaults.variants
    table = pd.DataFrame(
        [
            {"task": "video_audio", "variant": v, "seed": s, "gap": s}
            for v in variants
            for s in (0, 1)
        ]
    )
    made = measure_contrasts(table, run.config.codebook.contrasts, 0.95)
    keys = [row["effect"] for row in expected(rows, "codebook/effects.csv", {}, ["effect"])]
    assert set(keys) == set(made["effect"])


def test_cells_of_theorem_1_lie_below_its_bound_as_the_table_has_them():
    run, rows = make({})
    options = run.config.cone.theorems.growth
    made = growth_table([16], options.ratios, options.cosines, 2, 0)
    for below in (0, 1):
        wanted = expected(
            rows, "cone/growth.csv", {"width": 512, "below": below}, ["ratio", "cosine"]
        )
        found = made[made["below"] == below]
        assert {(r["ratio"], r["cosine"]) for r in wanted} == set(
            zip(found["ratio"], found["cosine"], strict=True)
        )


def test_a_run_reads_the_tables_of_its_own_claims_alone(root):
    """A run of one's own arrays waits for no table about something else."""
    claims = read_yaml(root / "workflow/claims.yaml")
    model = {"kind": "arrays", "modalities": {"image": "a.npy", "text": "b.npy"}}
    overlay = {
        "select": {"models": ["mine"], "datasets": [], "chapters": []},
        "models": {"mine": model},
    }
    _, rows = make(overlay)
    read = read_tables(claims, rows, "mine")
    assert {name.partition("/")[0] for name in read} == {"gap", "shift", "downstream"}
    assert not [name for name in read if "sphere" in name or "published" in name]
    assert SimpleNamespace(**rows["gap/gap.csv"][0]).model == ["mine"]
