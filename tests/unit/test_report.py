import copy
import math

import pandas as pd
import pytest

from mindgap.config import read_yaml
from mindgap.report.cells import Cell, find_cells
from mindgap.report.claims import FIELDS, check_claims, score_claims
from mindgap.report.judge import judge, tolerance
from mindgap.report.pages import metrics, to_html, to_markdown
from mindgap.report.summary import broken, count_verdicts, read_summary
from mindgap.report.tables import Tables, expected, lacking, match
from mindgap.runtime.errors import UserError
from tests.samples import resolve

CLAIM = {
    "id": "a-gap",
    "paper": "MTG",
    "figure": "Fig 1",
    "class": "empirical",
    "statement": "The gap is 0.85.",
    "published": 0.85,
    "evidence": "P",
    "measured": {"table": "gap/gap.csv", "where": {"model": "m", "dataset": "s"}, "column": "gap"},
    "tolerance": 0.01,
    "noop": {"set": 0},
    "why": "rounded",
    "runs": ["published"],
}
PRESENT = {
    "gap/gap.csv": [{"model": ["m", "k"], "dataset": ["s"]}, {"model": ["j"], "dataset": ["t"]}]
}


@pytest.fixture
def results(tmp_path):
    (tmp_path / "gap").mkdir()
    table = pd.DataFrame(
        {
            "model": ["m", "k"],
            "dataset": ["s", "s"],
            "gap": [0.86, 0.2],
            "low": [0.85, -0.1],
            "high": [0.87, 0.5],
            "seeds": [3, 3],
            "few": [1, 2],
            "odd": [None, 1.0],
        }
    )
    table.to_csv(tmp_path / "gap/gap.csv", index=False)
    return tmp_path


def change(**parts):
    claim = copy.deepcopy(CLAIM)
    claim["measured"].update(parts.pop("measured", {}))
    if {"direction", "deviation"} & set(parts):
        del claim["tolerance"]
        claim["published"] = None
    return {**claim, **parts}


def score(results, present=PRESENT, **parts):
    (row,) = score_claims([change(**parts)], Tables(results), "mine", present)
    assert tuple(row) == FIELDS
    return row


def verdict(results, **parts):
    return score(results, **parts)["verdict"]


def test_a_tolerance(results):
    row = score(results)
    assert (row["verdict"], row["measured"], row["tolerance"]) == ("reproduced", 0.86, "±0.01")
    assert (row["class"], row["points"], row["runs"]) == ("empirical", 1, ["published"])
    row = score(results, published=0.8)
    assert row["verdict"] == "differs"
    assert row["reason"].startswith("[P] off by +0.06")
    # Half a unit of the last digit, and no ulp more.
    assert verdict(results, published=0.855, tolerance=0.005) == "reproduced"


@pytest.mark.parametrize(
    ("direction", "found", "words"),
    [
        ({"above": 0.85}, "reproduced", "above 0.85"),
        ({"above": 0.86}, "differs", "above 0.86"),
        ({"below": 0.86}, "differs", "below 0.86"),
        ({"below": 0.9}, "reproduced", "below 0.9"),
        ({"between": [0.86, 1]}, "differs", "between 0.86 and 1"),
        ({"between": [0.8, 1]}, "reproduced", "between 0.8 and 1"),
    ],
)
def test_a_direction_is_strict(results, direction, found, words):
    row = score(results, direction=direction)
    assert (row["verdict"], row["tolerance"]) == (found, words)


@pytest.mark.parametrize(
    ("direction", "found"),
    [
        ({"above": 0.84}, "reproduced"),
        ({"above": 0.85}, "undecided"),
        ({"above": 0.87}, "undecided"),
        ({"above": 0.88}, "differs"),
        ({"below": 0.88}, "reproduced"),
        ({"below": 0.86}, "undecided"),
        ({"below": 0.84}, "differs"),
        ({"between": [0.84, 0.88]}, "reproduced"),
        ({"between": [0.86, 1]}, "undecided"),
        ({"between": [0.9, 1]}, "differs"),
    ],
)
def test_an_interval_decides(results, direction, found):
    row = score(results, direction=direction, measured={"interval": ["low", "high"]})
    assert row["verdict"] == found
    assert ("the interval from 0.85 to 0.87" in row["reason"]) == (found == "undecided")


def test_few_seeds_decide_nothing(results):
    at = {"interval": ["low", "high"], "seeds": "few"}
    row = score(results, direction={"above": 0}, measured=at)
    assert row["verdict"] == "undecided"
    assert "one seed of the 3 that a direction needs" in row["reason"]
    two = {**at, "where": {"model": "k", "dataset": "s"}}
    assert "2 seeds of the 3" in score(results, direction={"above": -1}, measured=two)["reason"]
    # One seed has no interval; more must have one.
    bare = {**at, "interval": ["odd", "odd"]}
    assert verdict(results, direction={"above": 0}, measured=bare) == "undecided"
    bare["seeds"] = "seeds"
    assert verdict(results, direction={"above": 0}, measured=bare) == "broken"


def test_rows_that_are_seeds(tmp_path):
    (tmp_path / "t.csv").write_text("model,x\na,1\nb,2\nc,3\nd,9\n")
    at = {"table": "t.csv", "where": {"model": ["a", "b", "c"]}, "column": "x", "over": "model"}
    claim = change(measured=at, direction={"above": -1})
    present = {"t.csv": [{"model": ["a", "b", "c", "d"]}]}
    (cell,), _ = find_cells(claim, Tables(tmp_path), present)
    half = 4.302652729911275 / math.sqrt(3)  # Student's t with 2 degrees of freedom
    assert (cell.value, cell.seeds) == (2, 3)
    assert [cell.low, cell.high] == pytest.approx([2 - half, 2 + half])
    assert judge(claim, [cell])[0] == "reproduced"
    # The run has one of the models: one seed. It should have four: one is lost.
    (cell,), _ = find_cells(claim, Tables(tmp_path), {"t.csv": [{"model": ["a"]}]})
    assert (cell.seeds, cell.low) == (1, None)
    claim["measured"]["where"] = {"model": ["a", "b", "e"]}
    (cell,), _ = find_cells(claim, Tables(tmp_path), {"t.csv": [{"model": list("abcde")}]})
    assert cell.missing == "t.csv has no row with model e"


def test_every_row_must_hold(tmp_path):
    (tmp_path / "t.csv").write_text("x,y,v\n1,1,5\n1,2,6\n2,1,7\n")
    at = {"table": "t.csv", "where": {}, "column": "v", "every": ["x", "y"]}
    present = {"t.csv": [{"x": [1], "y": [1, 2]}, {"x": [2], "y": [1]}]}
    tables = Tables(tmp_path)

    def found(low):
        claim = change(measured=at, direction={"above": low}, runs=["mine"])
        return score_claims([claim], tables, "mine", present)[0]

    assert (found(4)["verdict"], found(4)["measured"], found(4)["points"]) == ("reproduced", 5, 3)
    assert found(5)["verdict"] == "differs"
    present["t.csv"][1]["y"] = [1, 2]
    assert found(4)["verdict"] == "broken"
    assert found(4)["reason"] == "t.csv has no row with x 2, y 2"


def test_a_difference_of_two_rows(results):
    at = {"minus": {"model": "k"}}
    assert score(results, measured=at, direction={"above": 0.6})["measured"] == pytest.approx(0.66)
    assert verdict(results, measured={"minus": {"model": "x"}}, direction={"above": 0}) == "broken"


@pytest.fixture
def curve(tmp_path):
    (tmp_path / "t.csv").write_text("x,v,error,reading\n1,1.1,0.1,0.05\n2,2.2,0.05,0.05\n3,3,0,0\n")
    (tmp_path / "ref.csv").write_text("set,x,v\na,1,1\na,2,2\na,3,3\nb,1,7\n")
    at = {"table": "t.csv", "where": {}, "column": "v"}
    against = {"reference": "ref.csv", "by": ["x"], "where": {"set": "a"}, "column": "v"}
    return {"measured": at, "against": against, "runs": ["mine"]}, Tables(tmp_path, tmp_path)


def test_many_points_are_one_claim(curve):
    parts, tables = curve
    present = {"t.csv": [{"x": [1, 2, 3]}]}

    def found(**deviation):
        claim = change(**parts, deviation=deviation)
        return score_claims([claim], tables, "mine", present)[0]

    row = found(most=0.2)
    assert (row["verdict"], row["points"], row["published"]) == ("reproduced", 3, None)
    assert row["measured"] == pytest.approx(0.2)
    assert found(most=0.19)["verdict"] == "differs"
    row = found(most=3, unit="error", reading="reading")
    assert row["measured"] == pytest.approx((0.2 - 0.05) / 0.05)
    assert row["tolerance"] == "off by 3 at most, in units of error"
    present["t.csv"][0]["x"] = [1, 2]  # the run asks for two of the points
    assert found(most=0.2)["points"] == 2
    present["t.csv"][0]["x"] = []
    assert found(most=0.2)["verdict"] == "not_run"


def test_a_point_off_where_nothing_scatters_differs_and_has_no_number(curve):
    parts, tables = curve
    claim = change(**parts, deviation={"most": 3, "unit": "error"})
    off = tables.changed({"t.csv": tables.get("t.csv").assign(v=[1.0, 2.0, 3.1])})
    (row,) = score_claims([claim], off, "mine", {"t.csv": [{}]})
    assert (row["verdict"], row["measured"]) == ("differs", None)
    assert tables.get("t.csv")["v"].tolist() == [1.1, 2.2, 3], "the copy is not the table"


def test_points_of_a_claim(results):
    points = [
        {"where": {"model": "m"}, "published": 0.855, "unit": 0.01},
        {"where": {"model": "k"}, "column": "low", "published": -0.12, "unit": 0.01},
    ]
    row = score(results, points=points, deviation={"most": 2}, runs=["mine"])
    assert (row["verdict"], row["points"]) == ("reproduced", 2)
    assert row["measured"] == pytest.approx(2)
    assert row["tolerance"] == "off by 2 at most"


@pytest.mark.parametrize(
    ("measured", "missing"),
    [
        ({"table": "none.csv"}, "table none.csv"),
        ({"where": {"model": "x", "dataset": "s"}}, "model x, dataset s"),
        ({"where": {"model": "j", "dataset": "s"}}, "model j, dataset s"),
    ],
)
def test_what_a_run_was_not_asked_for_is_not_run(results, measured, missing):
    row = score(results, measured=measured)
    assert (row["verdict"], row["measured"]) == ("not_run", None)
    assert row["reason"] == f"run `mine` has no {missing}; answered by run `published`"


@pytest.mark.parametrize(
    ("measured", "missing"),
    [
        ({"where": {"model": "j", "dataset": "t"}}, "has no row with model j, dataset t"),
        ({"where": {"model": "m", "dataset": "s", "size": 1}}, "has no column size"),
        ({"column": "gapp"}, "has no column gapp"),
        ({"column": "odd"}, "has no finite odd in the row with model m, dataset s"),
        (
            {"where": {"dataset": "s", "model": ["m", "k"]}},
            "has 2 rows with dataset s, model m or k",
        ),
    ],
)
def test_what_a_run_was_asked_for_and_has_not_is_broken(results, measured, missing):
    row = score(results, measured=measured)
    assert (row["verdict"], row["measured"]) == ("broken", None)
    assert row["reason"] == f"gap/gap.csv {missing}"
    assert broken([row]) == [f"a-gap: gap/gap.csv {missing}"]


def test_a_table_that_should_be_there_is_broken(results):
    (results / "gap/gap.csv").unlink()
    assert score(results)["reason"] == "gap/gap.csv is not there"


def test_a_claim_about_no_model_belongs_to_the_runs_it_names(results):
    claim = change(measured={"where": {"gap": 0.2}, "column": "odd"}, published=1.0)
    found = {
        run: score_claims([claim], Tables(results), run, PRESENT)[0]["verdict"]
        for run in ("mine", "published")
    }
    assert found == {"mine": "not_run", "published": "reproduced"}


def test_rows():
    table = pd.DataFrame({"a": ["x", "y", "1"], "n": [1, 2, 2]})
    assert match(table, {"a": ["x", "y"], "n": 2}).index.tolist() == [1]
    assert match(table, {"a": 1}).index.tolist() == [2], "numbers among words"
    assert match(table, {"n": 2.0}).index.tolist() == [1, 2]
    present = {"t": [{"a": ["x"], "n": [1, 2]}, {"a": ["y"], "n": [3]}]}
    assert lacking(present, "t", {"a": "x", "n": 2, "free": 7}) == ""
    assert lacking(present, "t", {"a": "y", "n": 1, "free": 7}) == "a y, n 1"
    assert lacking(present, "s", {}) == "table s"
    assert expected(present, "t", {"n": [2, 3]}, ["n", "a"]) == [
        {"n": 2, "a": "x"},
        {"n": 3, "a": "y"},
    ]


def test_shipped_claims_match_their_schema(root):
    claims = read_yaml(root / "workflow/claims.yaml")
    schema = read_yaml(root / "workflow/schemas/claims.schema.yaml")
    check_claims(claims, schema)
    runs = {read_yaml(p).get("run") for p in (root / "config").glob("*.yaml")}
    assert {run for claim in claims for run in claim["runs"]} <= runs
    with pytest.raises(UserError, match="two claims"):
        check_claims(claims[:1] * 2, schema)
    for edit, word in (
        ({"tolerence": 1}, "tolerence"),
        ({"evidence": "R"}, "source"),
        ({"direction": {"above": 0}}, "valid under"),
        ({"published": None}, "not valid"),
        ({"noop": {}}, "noop"),
    ):
        with pytest.raises(UserError, match=word):
            check_claims([{**claims[0], **edit}], schema)


def test_every_reference_is_there_and_every_table_is_known(root, config_of):
    """A claim whose table no run makes would wait for ever."""
    claims = read_yaml(root / "workflow/claims.yaml")
    tables = Tables(".", root / "workflow/reference")
    for claim in claims:
        if "against" in claim:
            given = claim["against"]
            reference = tables.reference(given["reference"])
            assert {*given["by"], given["column"]} <= set(reference), claim["id"]
    waiting = {claim["id"]: set(claim["runs"]) for claim in claims}
    for name in sorted({run for runs in waiting.values() for run in runs}):
        present = config_of(name)
        for claim in claims:
            if name in claim["runs"]:
                cells, lack = find_cells(claim, tables, present)
                assert lack or cells, claim["id"]
                if not lack:
                    waiting.pop(claim["id"], None)
    # What needs an account, a checkpoint of one's own, or data that nobody can download.
    assert set(waiting) <= ACCOUNTS, set(waiting) - ACCOUNTS


ACCOUNTS = {
    "mtg-fig2a-trained-resnet",
    "mtg-fig2a-trained-min-resnet",
    "mtg-table1-untouched-hateful-memes",
    "mtg-table2-rate-white-untouched",
    "mtg-table2-rate-black-untouched",
    "mtg-table2-rate-all-too-large",
    "mtg-table2-rate-all-too-small",
    "mtg-table2-accuracy-untouched",
    "mtg-table2-change-white",
    "mtg-table2-change-black",
    "mtg-table2-change-accuracy",
    "mtg-table2-paired-white",
    "cmd-smit-complement",
    "cmd-smit-shared",
    "cmd-places-complement",
    "cmd-places-shared",
}


@pytest.fixture(scope="session")
def config_of():
    """Rows that the tables of a run have, by the run's name."""
    from mindgap.report.present import present

    return lambda name: present(resolve({} if name == "embedded" else name))


def test_page_counts_and_lists(results, tmp_path, monkeypatch):
    claims = [
        CLAIM,
        {**CLAIM, "id": "b", "published": 0.1, "class": "self"},
        change(id="c", measured={"table": "none.csv"}),
        change(id="d", measured={"column": "odd"}),
        change(id="e", measured={"interval": ["low", "high"]}, direction={"above": 0.86}),
    ]
    scores = score_claims(claims, Tables(results), "mine", PRESENT)
    counts = {"reproduced": 1, "undecided": 1, "differs": 1, "broken": 1, "not_run": 1}
    assert count_verdicts(scores) == counts
    page = to_markdown(scores, "mine", [])
    assert "5 claims: 1 reproduced, 1 undecided, 1 differ, 1 broken, 1 not run." in page
    order = [page.index(part) for part in ("| ! |", "(`e`)", "(`a-gap`)", "(`b`)", "## Missing")]
    assert order == sorted(order), "in each class what is broken comes first"
    assert "the paper disagrees with itself" in page
    assert "- `d`: gap/gap.csv has no finite odd" in page
    assert "## Not run here" in page
    assert "a \\| b" in to_markdown([{**scores[0], "reason": "a | b"}], "mine", [])
    html = to_html(scores, "mine", [])
    assert html.count("<td>") == 4 * 9
    found = metrics(scores)
    assert found["measured"] == {"a-gap": 0.86, "b": 0.86, "e": 0.86}
    assert found["classes"]["self"] == {**dict.fromkeys(counts, 0), "differs": 1}
    monkeypatch.chdir(tmp_path)
    assert "no scorecard" in read_summary("mine")


def test_the_worst_cell_speaks_for_a_direction():
    claim = {"direction": {"between": [0, 10]}}
    cells = [Cell({}, 5.0), Cell({}, 9.5), Cell({}, 1.0)]
    assert judge(claim, cells) == ("reproduced", 9.5)
    assert judge(claim, [*cells, Cell({}, 11.0)]) == ("differs", 11.0)
    assert tolerance(claim) == "between 0 and 10"
