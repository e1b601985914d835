import copy

import pandas as pd
import pytest

from mindgap.config import read_yaml
from mindgap.errors import UserError
from mindgap.report.claims import FIELDS, check_claims, metrics, score_claims, to_html, to_markdown
from mindgap.report.summary import count_verdicts, read_summary

CLAIM = {
    "id": "a-gap",
    "paper": "MTG",
    "figure": "Fig 1",
    "statement": "The gap is 0.85.",
    "published": 0.85,
    "evidence": "P",
    "measured": {"table": "gap/gap.csv", "where": {"model": "m", "dataset": "s"}, "column": "gap"},
    "tolerance": 0.01,
    "why": "rounded",
    "runs": ["published"],
}


@pytest.fixture
def results(tmp_path):
    (tmp_path / "gap").mkdir()
    table = pd.DataFrame(
        {"model": ["m", "k"], "dataset": ["s", "s"], "gap": [0.86, 0.2], "odd": [None, 1.0]}
    )
    table.to_csv(tmp_path / "gap/gap.csv", index=False)
    return tmp_path


def score(results, **change):
    claim = copy.deepcopy(CLAIM)
    claim["measured"].update(change.pop("measured", {}))
    claim.update(change)
    if "accept" in claim:
        del claim["tolerance"]
    (row,) = score_claims([claim], results, "mine")
    assert tuple(row) == FIELDS
    return row


def test_verdicts(results):
    row = score(results)
    assert (row["verdict"], row["measured"], row["tolerance"]) == ("reproduced", 0.86, "±0.01")
    row = score(results, published=0.8)
    assert row["verdict"] == "differs"
    assert row["reason"].startswith("[P] off by +0.06")
    assert score(results, accept=[0.9, None])["verdict"] == "differs"
    row = score(results, accept=[None, 0.9], published=None)
    assert (row["verdict"], row["tolerance"]) == ("reproduced", "at most 0.9")
    assert score(results, accept=[0.1, 0.2])["tolerance"] == "0.1 to 0.2"


def test_a_rounded_value_at_the_edge_of_its_tolerance_holds(results):
    assert score(results, published=0.855, tolerance=0.005)["verdict"] == "reproduced"


@pytest.mark.parametrize(
    ("measured", "missing"),
    [
        ({"table": "none.csv"}, "table none.csv"),
        ({"where": {"model": "x", "dataset": "s"}}, "model x, dataset s"),
        ({"column": "odd"}, "finite odd"),
    ],
)
def test_what_a_run_lacks_is_not_run_and_says_where(results, measured, missing):
    row = score(results, measured=measured)
    assert row["verdict"] == "not_run"
    assert row["measured"] is None
    assert row["reason"] == f"run `mine` has no {missing}; answered by run `published`"


def test_a_claim_about_no_model_belongs_to_the_runs_it_names(results):
    where = {"where": {"gap": 0.2}, "column": "odd"}
    row = score(results, measured={}, published=1)
    assert row["verdict"] == "differs"
    claim = {**CLAIM, "measured": {"table": "gap/gap.csv", **where}, "published": 1.0}
    assert score_claims([claim], results, "mine")[0]["verdict"] == "not_run"
    assert score_claims([claim], results, "published")[0]["verdict"] == "reproduced"


def test_an_ambiguous_or_wrong_cell_is_an_error(results):
    for measured in ({"where": {"dataset": "s"}}, {"column": "gapp"}, {"where": {"modle": "m"}}):
        with pytest.raises(UserError, match=r"claims\.yaml"):
            score(results, measured=measured)


def test_shipped_claims_match_their_schema(root):
    claims = read_yaml(root / "workflow/claims.yaml")
    schema = read_yaml(root / "workflow/schemas/claims.schema.yaml")
    check_claims(claims, schema)
    runs = {read_yaml(p).get("run") for p in (root / "config").glob("*.yaml")}
    assert {run for claim in claims for run in claim["runs"]} <= runs
    with pytest.raises(UserError, match="two claims"):
        check_claims(claims[:1] * 2, schema)
    bad = copy.deepcopy(claims[:1])
    bad[0]["tolerence"] = 1
    with pytest.raises(UserError, match="tolerence"):
        check_claims(bad, schema)


def test_page_counts_and_lists(results, tmp_path, monkeypatch):
    claims = [CLAIM, {**CLAIM, "id": "b", "published": 0.1}]
    claims.append({**CLAIM, "id": "c", "measured": {**CLAIM["measured"], "table": "none.csv"}})
    scores = score_claims(claims, results, "mine")
    page = to_markdown(scores, "mine")
    assert "3 claims: 1 reproduced, 1 differ, 1 not run." in page
    order = [page.index(part) for part in ("`b`", "`a-gap`", "## Not run here", "`c`")]
    assert order == sorted(order)  # what differs comes first
    assert "a \\| b" in to_markdown([{**scores[0], "reason": "a | b"}], "mine")
    html = to_html(scores, "mine")
    assert html.count("<tr") == 3
    assert "1 reproduced, 1 differ, 1 not run" in html
    assert count_verdicts(scores) == {"reproduced": 1, "differs": 1, "not_run": 1}
    assert metrics(scores)["measured"] == {"a-gap": 0.86, "b": 0.86}
    monkeypatch.chdir(tmp_path)
    assert "no scorecard" in read_summary("mine")
