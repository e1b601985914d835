"""Pages from tables: what a snapshot keeps, what a template may say, and that pages are as written."""

import json
import os
import re
import shutil
from pathlib import Path

import jinja2
import pandas as pd
import pytest
from jinja2 import nodes

from mindgap.config import read_yaml
from mindgap.docs import render
from mindgap.docs.render import documents
from mindgap.docs.snapshot import (
    Plan,
    Selection,
    busy_seconds,
    copy_pictures,
    read_plan,
    select,
    take_snapshot,
)
from mindgap.docs.tables import RunTables, duration, number, small
from mindgap.report.joined import join_scores, read_runs, write_joined
from mindgap.report.rollup import roll_up
from mindgap.runtime.errors import UserError

RECORD = {
    "run": "one",
    "written": "2026-01-01T00:00:00+00:00",
    "code": {"commit": "abc", "dirty": False},
    "machine": {"cores": 2},
    "costs": [{"rule": "r", "jobs": 3, "cpu_seconds": 5.4, "peak_mb": 7}],
    "files": {"a": {"bytes": 10}, "b": {"bytes": 20}},
}
SCORES = [
    {
        "id": "a",
        "published": 0.1,
        "measured": 0.123456789,
        "verdict": "reproduced",
        "reason": "",
        "points": 1,
        "power": None,
    },
    {
        "id": "b",
        "published": None,
        "measured": None,
        "verdict": "not_run",
        "reason": "",
        "points": 0,
        "power": None,
    },
]
PLAN = Plan(
    most_bytes=10_000,
    runs=["one", "two"],
    tables={
        "gap/gap.csv": Selection(columns=["model", "gap"], where=[{"model": "x", "n": [1, 2]}])
    },
)


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results/one"
    (folder / "gap").mkdir(parents=True)
    (folder / "logs").mkdir()
    table = "model,n,gap,more\nx,1,0.123456789,0\nx,2,0.5,0\nx,3,0.7,0\ny,1,0.9,0\n"
    (folder / "gap/gap.csv").write_text(table)
    (folder / "record.json").write_text(json.dumps(RECORD))
    (folder / "scorecard.json").write_text(json.dumps(SCORES))
    (folder / "checked.json").write_text("{}")
    return tmp_path / "results"


def test_a_snapshot_keeps_the_wanted_part(results, tmp_path):
    target = tmp_path / "snapshot"
    lines = take_snapshot(results, target, PLAN)
    assert lines[0] == "one: 1 tables" and "left out" in lines[1]
    kept = pd.read_csv(target / "one/gap/gap.csv")
    assert kept.to_dict("list") == {"model": ["x", "x"], "gap": [0.123457, 0.5]}
    facts = json.loads((target / "one/run.json").read_text())
    assert (facts["commit"], facts["jobs"], facts["cpu_seconds"], facts["bytes"]) == (
        "abc",
        3,
        5,
        30,
    )
    assert [row["id"] for row in read_runs(target)["one"].values()] == ["a"]


def test_a_wanted_table_that_a_run_lacks_is_named(results, tmp_path):
    plan = PLAN.model_copy(update={"tables": {"x.csv": Selection(runs=["one"])}})
    assert (
        take_snapshot(results, tmp_path / "snapshot", plan)[0] == "one: 0 tables; it has no x.csv"
    )


def test_a_run_that_is_gone_stays_in_the_snapshot(results, tmp_path):
    target = tmp_path / "snapshot"
    take_snapshot(results, target, PLAN)
    before = (target / "one/gap/gap.csv").read_bytes()
    (results / "one/checked.json").unlink()
    assert "kept" in take_snapshot(results, target, PLAN)[0]
    assert (target / "one/gap/gap.csv").read_bytes() == before


def test_a_snapshot_that_is_refused_leaves_the_old_one(results, tmp_path):
    target = tmp_path / "snapshot"
    take_snapshot(results, target, PLAN)
    for wrong, word in (
        (PLAN.model_copy(update={"most_bytes": 10}), "more than the 10"),
        (
            PLAN.model_copy(update={"tables": {"gap/gap.csv": Selection(columns=["gpa"])}}),
            "no column gpa",
        ),
    ):
        with pytest.raises(UserError, match=word):
            take_snapshot(results, target, wrong)
        assert (target / "one/gap/gap.csv").exists()
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_picture_is_of_the_first_finished_run_that_has_it(tmp_path):
    for run in ("a", "b"):
        (tmp_path / run / "figures").mkdir(parents=True)
        (tmp_path / run / "figures/x.png").write_bytes(run.encode())
    plan = PLAN.model_copy(update={"pictures": {"x.png": ["a/figures/x.png", "b/figures/x.png"]}})
    assert copy_pictures(tmp_path, tmp_path / "images", plan) == []
    (tmp_path / "b/checked.json").write_text("{}")
    assert len(copy_pictures(tmp_path, tmp_path / "images", plan)) == 1
    assert (tmp_path / "images/x.png").read_bytes() == b"b"
    assert copy_pictures(tmp_path, tmp_path / "images", plan) == []
    (tmp_path / "a/checked.json").write_text("{}")
    copy_pictures(tmp_path, tmp_path / "images", plan)
    assert (tmp_path / "images/x.png").read_bytes() == b"a"


def test_rows_match_any_condition():
    frame = pd.DataFrame({"a": ["x", "x", "y"], "k": [0.1 + 0.2, 1, 2]})
    assert list(select(frame, Selection(where=[{"a": "x", "k": 0.3}]), "t").index) == [0]
    assert list(
        select(frame, Selection(where=[{"k": [0.3, 2]}, {"a": "x", "k": 1}]), "t").index
    ) == [0, 1, 2]
    assert list(select(frame, Selection(where=[{"a": "z"}]), "t").index) == []
    # A column that only some runs have is left out where it is not; any other is a mistake.
    assert list(select(frame, Selection(columns=["a"], optional=["k", "places"]), "t")) == [
        "a",
        "k",
    ]
    with pytest.raises(UserError, match="has no column places"):
        select(frame, Selection(columns=["a", "places"]), "t")


def test_time_is_that_in_which_a_job_was_at_work(tmp_path):
    # From 0 to 10, from 5 to 12 and, after a pause, from 100 to 101.
    for k, (end, seconds) in enumerate([(10, 10), (12, 7), (101, 1)]):
        log = tmp_path / f"{k}.log"
        log.write_text(f"used {seconds:.2f} s, CPU 1.00 s user and 0.00 s system, at most 5 MB\n")
        os.utime(log, (end, end))
    assert busy_seconds(tmp_path) == pytest.approx(13)


def test_a_value_is_of_one_row(results, tmp_path):
    take_snapshot(results, tmp_path / "snapshot", PLAN)
    run = RunTables(tmp_path / "snapshot/one")
    assert run("gap/gap.csv", "gap", gap=0.5) == 0.5
    with pytest.raises(UserError, match="2 rows"):
        run("gap/gap.csv", "gap", model="x")
    with pytest.raises(UserError, match="no row"):
        run("gap/gap.csv", "gap", model="z")
    with pytest.raises(UserError, match="no column label"):
        run("gap/gap.csv", "gap", label="z")
    assert run.spread("gap/gap.csv", "gap", 2, model="x") == "0.31 (0.12 to 0.50)"
    assert run.any("gap/gap.csv", model="x") and not run.any("gap/gap.csv", model="z")
    assert not run.any("absent.csv")


def test_words_for_numbers():
    assert [number(-0.0004), number(0.25, 1, True), number(-1.5, 1, True)] == [
        "0.000",
        "+0.2",
        "-1.5",
    ]
    assert [small(0.06), small(0.0088), small(0.00052), small(3e-9)] == [
        "0.06",
        "0.009",
        "0.0005",
        "3.0e-09",
    ]
    assert [duration(85), duration(836), duration(9000)] == ["85 s", "14 min", "2.5 h"]


@pytest.fixture(scope="module")
def texts(root):
    before = os.getcwd()
    os.chdir(root)
    try:
        claims, figures = read_yaml("workflow/claims.yaml"), read_yaml("workflow/figures.yaml")
        yield documents(read_plan(), claims, figures)
    finally:
        os.chdir(before)


def test_pages_are_as_the_snapshot_has_them(root, texts):
    """`make docs` writes them; the same bytes come out again."""
    assert len(texts) >= 10
    for path, text in texts.items():
        assert (root / path).read_text(encoding="utf-8") == text, f"{path}: call make docs"


def test_readme_is_of_one_sitting(root):
    lines = (root / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 100] == []


def test_readme_counts_what_the_scorecard_counts(root, texts, tmp_path):
    """The roll-up of README.md is that of `mindgap scorecard` on the committed snapshot."""
    shutil.copytree(root / "docs/snapshot", tmp_path / "results")
    claims, figures = (
        read_yaml(root / "workflow/claims.yaml"),
        read_yaml(root / "workflow/figures.yaml"),
    )
    said = write_joined(tmp_path / "results", claims, figures)
    readme = (root / "README.md").read_text(encoding="utf-8")
    lines = roll_up(
        join_scores(claims, read_runs(tmp_path / "results")), figures, lambda name: False
    )
    for line in lines:
        share = (
            f"{line.verdicts.get('reproduced', 0)} of {line.answered}"
            if line.answered
            else "not run"
        )
        assert f"{f'{line.paper} {line.name}'.strip()} | {line.about} | {share} |" in readme
        (shown,) = [text for text in said if f" {line.name}  " in text and line.about in text]
        assert share in " ".join(shown.split()), shown


def test_the_snapshot_is_small(root):
    size = sum(
        path.stat().st_size for path in (root / "docs/snapshot").rglob("*") if path.is_file()
    )
    plan = Plan.model_validate(read_yaml(root / "docs/snapshot.yaml"))
    assert 0 < size <= plan.most_bytes <= 500_000


#: Digits that are names: figures, tables and sections of the papers, models, data sets, metrics.
NAMES = re.compile(
    r"`[^`]*`|\]\([^)]*\)|<!--.*?-->|```.*?```"
    r"|(Figures?|Fig\.|Supp\. Fig\.|Supp\. Tables?|Tables?|Theorems?|[Ss]ections?|secs?\.|Sec) [\dA-Za-z.]+"
    r"((,| and| to) [\d.]+[a-g]?(-[a-g])?)*(-[a-g])?"
    r"|ViT-B/\d+|ResNet-18|Flickr8k|CIFAR-?10|R@\d+|NDCG@10|F1|1/tau|I0T|@\d",
    re.DOTALL,
)


TEMPLATES = Path(__file__).parents[2] / render.TEMPLATES


def literals(text):
    """Lines of a template with digits that are neither computed, nor marked, nor names."""
    literal = ""
    for output in jinja2.Environment(trim_blocks=True).parse(text).find_all(nodes.Output):
        for node in output.nodes:
            if isinstance(node, nodes.TemplateData):
                literal += node.data
            else:
                literal += str(node.value) if isinstance(node, nodes.Const) else "{}"
    return [line for line in NAMES.sub("", literal).splitlines() if re.search(r"\d", line)]


@pytest.mark.parametrize(
    "path", [p.relative_to(TEMPLATES).as_posix() for p in TEMPLATES.rglob("*.j2")]
)
def test_templates_hold_no_result_as_a_literal(path):
    """What is not computed from a table is marked `published` or `setting`."""
    assert literals((TEMPLATES / path).read_text(encoding="utf-8")) == []


def test_a_literal_is_found():
    for text in ("the gap is 0.85", "{{ 0.85 }} or so", "{% if x %}12 %{% endif %}"):
        assert literals(text), text
    for text in ('{{ published("0.85") }}', "Fig. 3b, Table 2 and R@1 of ViT-B/32", "`n = 5`"):
        assert not literals(text), text
