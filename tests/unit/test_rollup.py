import random

import pytest

from mindgap.config import read_yaml
from mindgap.report.rollup import (
    ORDER,
    roll_up,
    to_html_table,
    to_markdown_table,
    to_rst_table,
    to_screen,
)

FIGURES = [
    {
        "paper": "MTG",
        "name": "Fig 2",
        "about": "cones",
        "figures": ["Fig 2a", "sec 2.3"],
        "file": ["a.png", "b.png"],
    },
    {"paper": "CMD", "name": "Sec 2.3", "about": "codes", "figures": ["sec 2.3"], "file": []},
]


def score(name, figure, verdict, paper="MTG", evidence="P", **more):
    row = {"id": name, "paper": paper, "figure": figure, "verdict": verdict, "evidence": evidence}
    row |= {"published": 1.0, "measured": 2.0, "tolerance": "±0.1", "class": "empirical"}
    return row | more


def test_sub_figures_are_folded_and_papers_kept_apart():
    scores = [
        score("a", "Fig 2a", "reproduced"),
        score("b", "sec 2.3", "differs"),
        score("c", "sec 2.3", "reproduced", paper="CMD", evidence="none"),
        score("d", "Fig 2a", "not_run", **{"class": "extension"}),
        score("e", "Fig 2a", "differs", **{"class": "self"}),
    ]
    fig2, sec, itself, rest = roll_up(scores, FIGURES, {"b.png"}.__contains__)
    assert (fig2.name, fig2.verdict, fig2.file) == ("Fig 2", "differs", "b.png")
    assert fig2.verdicts == {"reproduced": 1, "differs": 1}
    assert (fig2.printed, fig2.printed_reproduced, fig2.answered) == (2, 1, 2)
    assert (sec.paper, sec.verdict, sec.printed) == ("CMD", "reproduced", 0)
    assert (itself.name, itself.verdict, itself.answered) == ("Against itself", "differs", 1)
    assert (rest.name, rest.verdict, rest.answered) == ("Extensions", "not_run", 0)


def test_the_worst_verdict_of_an_answered_claim_calls_the_line():
    for i, verdict in enumerate(ORDER):
        scores = [score(str(j), "Fig 2a", v) for j, v in enumerate(ORDER[i:])]
        assert roll_up(scores, FIGURES, lambda name: True)[0].verdict == verdict


@pytest.mark.parametrize("verdict", ORDER)
def test_every_claim_is_counted_once_and_the_screen_is_short(root, tmp_path, verdict):
    claims = read_yaml(root / "workflow/claims.yaml")
    figures = read_yaml(root / "workflow/figures.yaml")
    draw = random.Random(0)
    keys = ("id", "paper", "figure", "class", "evidence", "published")
    scores = [
        {k: claim[k] for k in keys}
        | {"verdict": draw.choice([verdict, "reproduced"]), "measured": 1.0, "tolerance": "±1"}
        for claim in claims
    ]
    lines = roll_up(scores, figures, lambda name: True)
    assert sum(sum(line.verdicts.values()) for line in lines) == len(claims)
    screen = to_screen(scores, figures, tmp_path)
    assert len(screen) <= 40
    assert max(map(len, screen)) <= 120
    for table in (to_markdown_table(lines), to_rst_table(lines), [to_html_table(lines)]):
        assert all(line.name in "\n".join(table) for line in lines)


def test_each_row_of_the_figures_has_claims_and_each_claim_of_a_paper_a_row(root):
    claims = {
        (c["paper"], c["figure"])
        for c in read_yaml(root / "workflow/claims.yaml")
        if c["class"] in ("empirical", "theory")
    }
    rows = read_yaml(root / "workflow/figures.yaml")
    named = {(row["paper"], name) for row in rows for name in row["figures"]}
    assert claims <= named
    for row in rows:
        assert any((row["paper"], name) in claims for name in row["figures"]), row["name"]
