import json

import pytest

from mindgap.report.joined import join_scores, read_runs, write_joined
from mindgap.runtime.errors import UserError

FIGURES = [
    {
        "paper": "MTG",
        "name": "Fig 1",
        "about": "clouds",
        "figures": ["Fig 1"],
        "file": ["figures/f.png"],
    }
]


def claim(name, runs):
    text = {"id": name, "paper": "MTG", "figure": "Fig 1", "class": "empirical", "statement": name}
    return text | {"evidence": "P", "published": 1.0, "tolerance": 0.1, "runs": runs}


def answer(name, verdict, measured=1.0):
    return {"id": name, "verdict": verdict, "measured": measured, "reason": "[P] because"}


CLAIMS = [claim("a", ["paper", "train", "embedded"]), claim("b", ["paper"]), claim("c", ["x"])]


@pytest.fixture
def results(tmp_path):
    runs = {
        "embedded": [
            answer("a", "differs", 2.0),
            answer("b", "not_run", None),
            answer("old", "reproduced"),
        ],
        "train": [answer("a", "reproduced"), answer("b", "not_run", None)],
        "mine": [answer("a", "reproduced", 1.05), answer("c", "broken", None)],
    }
    for run, rows in runs.items():
        (tmp_path / run).mkdir()
        (tmp_path / run / "scorecard.json").write_text(json.dumps(rows))
    return tmp_path


def test_the_best_run_answers_and_the_others_stand_beside_it(results):
    a, b, c = join_scores(CLAIMS, read_runs(results))
    assert (a["run"], a["verdict"], a["measured"]) == ("train", "reproduced", 1.0)
    assert [(o["run"], o["verdict"]) for o in a["others"]] == [
        ("embedded", "differs"),
        ("mine", "reproduced"),
    ]
    assert a["disagree"]
    assert (b["run"], b["verdict"], b["reason"]) == (None, "not_run", "needs run `paper`")
    assert (c["run"], c["verdict"], c["disagree"]) == ("mine", "broken", False)


def test_no_claim_is_lost_or_counted_twice(results):
    said = write_joined(results, CLAIMS, FIGURES)
    rows = json.loads((results / "scorecard.json").read_text())
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert said[0] == "3 runs, 3 claims: 1 reproduced, 1 broken, 1 not run"
    assert "answered differently by two runs: a" in "\n".join(said)
    assert "1 claims of run embedded are not in" in "\n".join(said)
    page = (results / "scorecard.md").read_text()
    assert "## Answered by no run: 1" in page
    for name in ("scorecard.csv", "scorecard.html"):
        assert (results / name).exists()


def test_what_is_no_scorecard_is_refused(tmp_path):
    with pytest.raises(UserError, match="no run in"):
        read_runs(tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "x/scorecard.json").write_text("[{}")
    with pytest.raises(UserError, match=r"x/scorecard\.json is not a scorecard"):
        read_runs(tmp_path)
