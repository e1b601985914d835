"""The claims are known to fail when they should: what they read is changed on purpose."""

import numpy as np
import pandas as pd
import pytest

from mindgap.config import read_yaml
from mindgap.downstream.published import published_rates
from mindgap.report.audit import (
    audit_claims,
    measure_powers,
    power,
    say_audit,
    weak_claims,
)
from mindgap.report.cells import points_of
from mindgap.report.curves import Landscape, Published, Spheres, find_summaries
from mindgap.report.judge import bounds
from mindgap.report.parts import CodebookEffects, TrainEffects, mutate_parts
from mindgap.report.present import present, read_tables
from mindgap.report.tables import Tables, expected, lacking
from mindgap.shift.spheres import azimuth_table
from tests.samples import resolve


@pytest.fixture(scope="module")
def claims(root):
    return read_yaml(root / "workflow/claims.yaml")


@pytest.fixture(scope="module")
def rows_of(root):
    """Run -> the rows that its tables have."""
    runs = [resolve(path.stem) for path in (root / "config").glob("*.yaml")]
    return {run.name: present(run) for run in runs}


def ideal(claim, rows, tables):
    """Rows in which a claim holds: numbers as published, directions well inside."""
    at, found = claim["measured"], []
    for point in points_of(claim, tables):
        where = {**at["where"], **point.where}
        keys = [*at.get("every", ()), *([at["over"]] if "over" in at else [])]
        for more in expected(rows, at["table"], where, keys):
            row = {**where, **more, "seeds": 3}
            facts = {"unit": 0.001, "reading": 0.0, "published": 0.5}
            row |= {name: facts[key] for key, name in point.facts.items() if isinstance(name, str)}
            value = claim["published"] if "tolerance" in claim else point.facts.get("published")
            if "direction" in claim:
                value, width = inside(*bounds(claim["direction"]))
                for bound, sign in zip(at.get("interval", ()), (-1, 1), strict=False):
                    row[bound] = value + sign * width
            elif isinstance(value, str):
                value = facts["published"]
            row[point.column or at["column"]] = value
            found.append((where | more, row))
            if "minus" in at:
                found.append((where | at["minus"], {**row, **at["minus"], at["column"]: 0.0}))
    merged = {}
    for where, row in found:  # two points of one row are two of its columns
        merged[str(where)] = {**merged.get(str(where), {}), **row}
    return pd.DataFrame(merged.values())


def inside(low, high):
    """A number between two bounds, and how far it is from the nearer one, by half."""
    if low == -np.inf:
        low = 0 if high > 0 else high - max(1, abs(high))
    if high == np.inf:
        high = 1 if 0 <= low < 1 else low + max(1, abs(low))
    return (low + high) / 2, (high - low) / 8


def audit(claims, rows_of, root):
    """The audit of every claim on ideal rows of a run that answers it."""
    found = []
    for claim in claims:
        tables = Tables("nowhere", root / "workflow/reference")
        table = claim["measured"]["table"]
        asked = [
            rows_of[run]
            for run in claim["runs"]
            if not lacking(rows_of[run], table, claim["measured"]["where"])
        ]
        rows = asked[0] if asked else {table: [{}]}
        tables = tables.changed({table: ideal(claim, rows, tables)})
        found.append(audit_claims([claim], tables, claim["runs"][0], rows, []))
    return pd.concat(found)


def test_every_claim_can_hold_and_refuses_its_no_op(claims, rows_of, root):
    """On numbers just as published: nothing that does nothing passes, and everything can fail."""
    table = audit(claims, rows_of, root)
    assert set(table["claim"]) == {claim["id"] for claim in claims}
    wrong = table.loc[table["before"] != "reproduced", "claim"].unique()
    assert not len(wrong), f"no numbers were found that reproduce {list(wrong)}"
    assert weak_claims(claims, table) == []
    excused = [claim["id"] for claim in claims if "none" in claim["noop"]]
    assert len(excused) <= 10, "few claims have no no-op"
    text = "\n".join(say_audit(claims, table))
    assert f"noop: turns {len(claims) - len(excused)} of {len(claims) - len(excused)}" in text


CLAIM = {
    "id": "c",
    "class": "empirical",
    "published": None,
    "measured": {"table": "t.csv", "where": {"model": "m"}, "column": "x"},
    "noop": {"set": 0},
    "runs": ["r"],
}
ROWS = {"t.csv": [{"model": ["m"]}]}


def weak(value, low=None, **parts):
    table = pd.DataFrame({"model": ["m"], "x": [value], "low": [low], "high": [2 * value]})
    tables = Tables("nowhere").changed({"t.csv": table})
    claim = {**CLAIM, **parts}
    return [
        line.partition(": ")[2]
        for line in weak_claims([claim], audit_claims([claim], tables, "r", ROWS, []))
    ]


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"direction": {"above": -1}}, "holds although the method does nothing (set 0)"),
        ({"direction": {"above": -99}, "noop": {"none": "why"}}, "nothing turns it"),
        (
            {"tolerance": 0.5, "published": 2.0},
            "does not notice an error of 10%, and does not say why",
        ),
        ({"direction": {"above": 0}, "noop": {"equal": ["a", "b"]}}, None),
    ],
)
def test_a_weak_claim_is_named(parts, sentence):
    found = weak(2.0, **parts)
    assert sentence in found if sentence else not found


def test_a_strong_claim_is_not():
    assert weak(2.0, direction={"above": 0}) == []
    assert weak(2.0, tolerance=0.1, published=2.0) == []
    assert weak(2.0, tolerance=0.5, published=2.0, coarse="a reason") == []


def powers(value, **parts):
    table = pd.DataFrame({"model": ["m"], "x": [value]})
    tables, claim = Tables("nowhere").changed({"t.csv": table}), {**CLAIM, **parts}
    (found,) = measure_powers([claim], tables, "r", ROWS, []).values()
    rows = audit_claims([claim], tables, "r", ROWS, [])
    assert found == power(claim, rows), "the short way is the long one"
    return found


def test_power_is_the_smallest_error_that_turns_a_claim():
    assert powers(2.0, tolerance=0.03, published=2.0) == 0.02
    assert powers(2.0, tolerance=0.3, published=2.0) == 0.2
    assert powers(2.0, tolerance=0.5, published=2.0) is None
    # Too large already: a larger error is noticed at once, a smaller one brings it nearer.
    assert powers(2.02, tolerance=0.03, published=2.0) == 0.05
    assert powers(2.0, direction={"above": 1.85}) == 0.1
    assert powers(2.0, direction={"above": 1}) is None


EXPERIMENTS = {
    "start": {"plain": "plain", "others": ["amended"], "measure": "gap"},
    "heat": {"trainings": ["hot"], "over": "scale", "measure": "gap"},
}


@pytest.fixture
def trainings():
    """Three seeds: an amended start ends 0.3 nearer, and gaps grow with the scale."""
    finals, steps = [], []
    for seed in range(3):
        for name, first, last in (("plain", 0.9, 0.5), ("amended", 0.1, 0.2)):
            ends = (first + seed / 100, last + seed / 100)
            finals.append({"definition": name, "seed": seed, "gap": ends[1]})
            steps += [
                {"definition": name, "seed": seed, "step": step, "gap": gap}
                for step, gap in zip((0, 9), ends, strict=True)
            ]
        finals += [
            {"definition": "hot", "seed": seed, "scale": s, "gap": s / 50 + seed / 1000}
            for s in (1, 5, 9)
        ]
    return {
        "train/trainings.csv": pd.DataFrame(finals),
        "train/trajectories.csv": pd.DataFrame(steps),
    }


def effect(made, name):
    table = made["train/effects.csv"].set_index("effect")
    return tuple(table.loc[name, ["estimate", "low", "high"]])


def test_effects_of_trainings_are_made_again(trainings):
    summary = TrainEffects(EXPERIMENTS, 0.95)
    tables = Tables("nowhere").changed(trainings)
    made = {(m.kind, m.words): m.tables for m in mutate_parts([summary], tables)}
    plain = summary.remake(trainings)
    assert effect(plain, "amended minus plain")[0] == pytest.approx(-0.3)
    assert effect(made["equal", "amended := plain"], "amended minus plain") == pytest.approx(
        (0, 0, 0)
    )
    turned = made["conditions", "amended and plain exchanged"]
    assert effect(turned, "amended minus plain")[0] == pytest.approx(0.3)
    assert effect(turned, "plain at its end minus its start")[0] == pytest.approx(0.1)
    still = made["still", "plain"]
    assert effect(still, "plain at its end minus its start") == pytest.approx((0, 0, 0))
    assert effect(still, "amended at its end minus its start")[0] == pytest.approx(0.1)
    off = made["condition", "plain x 0.8"]
    assert effect(off, "amended minus plain")[0] == pytest.approx(-0.3 + 0.2 * 0.51)
    assert effect(plain, "Kendall's tau with scale")[0] == pytest.approx(1)
    cold = made["still", "scale"]
    assert effect(cold, "Kendall's tau with scale") == (0, 0, 0)
    assert effect(cold, "scale 1 to 9") == pytest.approx((0, 0, 0))
    assert effect(made["condition", "scale 9 x 0.9"], "scale 1 to 9")[0] == pytest.approx(
        8 / 50 - 0.1 * (9 / 50 + 0.001)
    )


def test_effects_of_codebooks_are_made_again():
    table = pd.DataFrame(
        [
            {"task": "t", "variant": v, "seed": s, "shared": x + s / 100, "gap": 0.5 - x}
            for v, x in (("matched", 0.4), ("both", 0.1))
            for s in range(3)
        ]
    )
    parts = {"codebook/codebooks.csv": table}
    summary = CodebookEffects([["matched", "both"], ["absent", "both"]], 0.95)
    made = {m.words: m.tables for m in mutate_parts([summary], Tables(".").changed(parts))}

    def shared(words):
        rows = made[words]["codebook/effects.csv"].set_index(["effect", "measure"])
        return rows.loc[("matched minus both", "shared"), "estimate"]

    assert shared("matched := both") == pytest.approx(0)
    assert shared("matched and both exchanged") == pytest.approx(-0.3)
    assert shared("all x 1.1") == pytest.approx(0.33)
    assert shared("both x 1.2") == pytest.approx(0.3 - 0.2 * 0.11)
    assert abs(shared("numbers of all variants mixed")) < 0.29


def test_minima_are_made_again_from_their_curves():
    """Parabolas, lowest at 0 for the cold and at 1 for the hot."""
    rows = [
        {
            "shift": s,
            "distance": 1.1 - s,
            "inverse_temperature": t,
            "direction": d,
            "loss": 1 + (s - m) ** 2,
        }
        for t, m in ((100, 0.0), (1, 1.0))
        for d in ("ab", "ba")
        for s in np.arange(-2, 2.25, 0.25)
    ]
    head = {
        "model": "m",
        "dataset": "d",
        "landscape": "l",
        "sides": "both",
        "batch": 5,
        "n": 5,
        "n_used": 5,
    }
    part = "shift/parts/m/d.landscape.csv"
    parts = {part: pd.DataFrame(rows).assign(**head)}
    tables = Tables(".").changed(parts)
    own = {"model": "m", "dataset": "d"}
    other = pd.DataFrame([{"model": "k", "dataset": "d"}])
    tables = tables.changed({"shift/minima.csv": other, "shift/trends.csv": other})
    summary = Landscape("m", "d", tables)
    first = summary.remake(parts)
    assert first["shift/minima.csv"]["model"].tolist() == ["k", *["m"] * 4], "others stay"
    columns = {
        "shift/minima.csv": ["inverse_temperature", "direction", "shift"],
        "shift/trends.csv": ["monotone"],
    }
    rest = {
        name: pd.DataFrame([{"model": "k", "dataset": "d", **dict.fromkeys(c, 0)}])
        for name, c in columns.items()
    }
    tables = tables.changed(rest)
    made = {m.words: m.tables for m in mutate_parts([Landscape("m", "d", tables)], tables)}

    def lowest(words, scale):
        table = made[words]["shift/minima.csv"]
        return table[(table["model"] == own["model"]) & (table["inverse_temperature"] == scale)][
            "shift"
        ].tolist()

    def monotone(words):
        table = made[words]["shift/trends.csv"]
        return table.loc[table["model"] == "m", "monotone"].tolist()

    assert lowest("tilted by +0.01", 100) == [0, 0] and lowest("tilted by +0.01", 1) == [1, 1]
    assert lowest("lowest point x 1.05", 100) == [0, 0], "its neighbours have 1.0625"
    assert lowest("lowest point x 1.1", 100) == [-0.25, -0.25]
    assert lowest("flat", 100) == [-2, -2], "the first point of the grid"
    assert monotone("tilted by +0.01") == [1, 1]
    assert monotone("inverse_temperature") == [0, 0], "a minimum that stays does not move"


def test_a_hump_is_gone_where_the_curve_is_flat():
    parts = {"shift/sphere_azimuth.csv": azimuth_table([20], [100])}
    tables = Tables(".").changed(parts)
    made = {m.words: m.tables["shift/sphere_minima.csv"] for m in mutate_parts([Spheres()], tables)}
    assert made["tilted by +0.01"]["hump"].item() == pytest.approx(1.2, abs=0.02)
    assert made["flat"]["hump"].item() == 0
    assert made["flat"]["tilt"].item() == 0


def test_typed_in_counts_are_summed_again(root):
    tables = Tables(".", root / "workflow/reference")
    given = tables.reference("fairface.csv")
    labels = {"crime": ["thief"]}
    summary = Published(
        "rates",
        lambda t: published_rates(t, labels, 0.95),
        given,
        given["predicted"] == "thief",
        ["count"],
    )
    made = {
        m.words: m.tables["downstream/published_rates.csv"] for m in mutate_parts([summary], tables)
    }
    before = published_rates(given, labels, 0.95)
    rows = before["group"] == "white"
    more = made["typed-in count x 1.2"]
    assert (
        more.loc[rows & (before["count"] > 4), "percent"]
        > before.loc[rows & (before["count"] > 4), "percent"]
    ).all()


def test_summaries_of_a_run(claims, rows_of, root):
    """A run audits what it has: no curves of models that it does not sweep."""
    tables = Tables(".", root / "workflow/reference")
    options = {"experiments": {}, "contrasts": [], "confidence": 0.95, "labels": {}}
    rows = rows_of["published"]
    own = [c for c in claims if "model" in c["measured"]["where"] or "published" in c["runs"]]
    found = find_summaries(own, tables, rows, options)
    assert {type(one).__name__ for one in found} >= {"Landscape", "Spheres"}
    assert "TrainEffects" not in {type(one).__name__ for one in found}
    read = read_tables(claims, rows, "published")
    assert {"shift/sphere_azimuth.csv", "shift/parts/clip/mscoco.landscape.csv"} <= set(read)
    assert not [name for name in read if name.startswith(("train/", "codebook/", "cone/"))]
