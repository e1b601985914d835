"""The front page of a run: its pictures and sentences, its claims, its decisions; no markup of a user."""

import base64
import json
import re
import runpy
from types import SimpleNamespace

import pytest

from mindgap.config import read_yaml
from mindgap.report.decisions import Decision, to_page
from mindgap.report.front import claims_of, find_pictures, render, tell_story
from mindgap.report.rollup import roll_up
from tests.samples import HOSTILE, picture, resolve

STORY = [
    {
        "title": "One",
        "pictures": ["figures/a_*.png"],
        "texts": ["gap {one:.2f}, {two:+.1f}", "plain"],
    },
    {
        "title": "Two",
        "pictures": ["figures/none.png", "figures/b.png"],
        "texts": ["only {two:.3f}"],
    },
    {"title": "Three", "pictures": ["figures/lost.png"], "texts": ["plain"]},
]
FIGURES = [
    {
        "paper": "MTG",
        "name": "Fig 1",
        "about": "clouds",
        "figures": ["Fig 1"],
        "file": ["figures/b.png"],
    }
]
FILES = ["figures/b.png", "figures/a_1.png", "gap/gap.csv", "gap/parts/x.csv", "explorer/<m>/d#1.html",
         "explorer/codes/<c>.html"]  # fmt: skip


def score(name, measured, **more):
    row = {"id": name, "paper": "MTG", "figure": "Fig 1", "class": "empirical", "evidence": "P"}
    row |= {"published": 1.0, "tolerance": "±1", "statement": "s", "points": 1, "power": None}
    verdict = "not_run" if measured is None else "reproduced"
    return {**row, "measured": measured, "verdict": verdict, "reason": "", **more}


@pytest.fixture
def results(tmp_path):
    for name in ("a_1", "b"):
        (tmp_path / "figures").mkdir(exist_ok=True)
        (tmp_path / f"figures/{name}.png").write_bytes(picture(seed=len(name)))
    return tmp_path


def front(results, scores, **more):
    lines = roll_up(scores, FIGURES, FILES.__contains__)
    return render("mine", results, FILES, scores, lines, tell_story(STORY, FILES, scores), **more)


def test_a_sentence_needs_the_values_of_its_claims():
    assert claims_of(STORY[0]["texts"][0]) == ["one", "two"]
    both = tell_story(STORY, FILES, [score("one", 0.851), score("two", 0.25)])
    assert [(p.file, p.title, p.sentence) for p in both] == [
        ("figures/a_1.png", "One", "gap 0.85, +0.2"),
        ("figures/b.png", "Two", "only 0.250"),
    ]
    assert [c["id"] for c in both[0].claims] == ["one", "two"]
    (plain,) = tell_story(STORY, FILES, [score("one", 0.851), score("two", None)])
    assert (plain.sentence, plain.claims) == ("plain", [])
    assert tell_story(STORY, ["figures/b.png"], []) == []
    assert find_pictures(STORY, FILES) == ["figures/a_1.png", "figures/b.png", None]


def test_the_story_names_claims_of_one_value_and_figures_of_the_default_run(root):
    story = read_yaml(root / "workflow/story.yaml")
    claims = {claim["id"]: claim for claim in read_yaml(root / "workflow/claims.yaml")}
    figures = [f"figures/{name}" for name in resolve().figures]
    assert len(story) == 6 and None not in find_pictures(story, figures)
    for row in story:
        first = claims_of(row["texts"][0])
        assert first and not re.search(r"\d\.\d", re.sub(r"\{.*?\}", "", " ".join(row["texts"])))
        assert not claims_of(row["texts"][-1]), "a run of one's own has a sentence, too"
        for name in first:
            assert not {"points", "against"} & set(claims[name]), f"{name} is about many values"
            assert (
                "embedded" in claims[name]["runs"] or "model" in claims[name]["measured"]["where"]
            )


def test_the_page_shows_claims_pictures_and_links(results):
    page = front(results, [score("one", 0.851), score("two", 0.25), score("three", None)])
    assert "3 claims: 2 reproduced" in page and "1 about what this run does not have" in page
    assert "gap 0.85, +0.2" in page and "published 1, measured 0.851" in page
    shown = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert [base64.b64decode(one) for one in shown] == [
        (results / "figures" / name).read_bytes() for name in ("a_1.png", "b.png")
    ]
    links = re.findall(r'href="([^"]+)"', page)
    assert {"gap/gap.csv", "figures/b.png", "scorecard.html", "report.html"} <= set(links)
    assert "explorer/%3Cm%3E/d%231.html" in links and "gap/parts/x.csv" not in links
    assert not re.search(r"https?://|<script", page)
    assert page == front(results, [score("one", 0.851), score("two", 0.25), score("three", None)])


def test_names_are_no_markup(results):
    one = Decision(
        HOSTILE, "<i>set</i>", "downstream/<x>.md", to_page("m", "d", {("a", "b"): [HOSTILE]})
    )
    best = {"method": HOSTILE, "changes": "rows", "renormalised": False, "measure": "R@1",
            "estimate": 0.7, "low": 0.6, "high": 0.8, "untouched": 0.1}  # fmt: skip
    plain = {**best, "method": "none", "estimate": 0.1}
    pair = {
        "gap": 0.5,
        "gap_low": 0.4,
        "gap_high": 0.6,
        "best": {"mixed": best, "retrieval b to a": plain},
    }
    page = front(
        results,
        [score("one", None, statement=HOSTILE)],
        decisions=[one],
        summaries={HOSTILE: {"<i>set</i>": {"<b>a</b>, b": pair}}},
    )
    assert "<script" not in page and "<img src=x" not in page and "<i>" not in page
    assert "0.500 [0.400, 0.600]" in page and "0.700 [0.600, 0.800]" in page
    assert "retrieval b to &lt;b&gt;a&lt;/b&gt;" in page
    assert "not normalised again" in page and "none is surely better" in page
    assert "None of the 1 claims is about what this run has" in page
    assert page.count("<figure>") == 1, "no claim is answered: the plain sentence alone"


def test_the_rule_reads_what_the_run_has(root, results):
    scores = [score("mtg-fig1-gap-clip", 0.85), score("mtg-fig1-gap-clip-random", 1.1)]
    scores.append(score("mtg-fig1-apart-clip", 1.0))
    (results / "figures/figure1_umap.png").write_bytes(picture())
    (results / "scorecard.json").write_text(json.dumps(scores))
    (results / "metrics.json").write_text("{}")
    job = SimpleNamespace(
        input=SimpleNamespace(
            scores=results / "scorecard.json",
            metrics=results / "metrics.json",
            figures=root / "workflow/figures.yaml",
            story=root / "workflow/story.yaml",
        ),
        output=[results / "index.html"],
        params=SimpleNamespace(files=["figures/figure1_umap.png"], decided=[]),
        wildcards=SimpleNamespace(run="mine"),
    )
    runpy.run_path(str(root / "scripts/write_index.py"))["main"](job)
    page = (results / "index.html").read_text()
    assert page.count("<figure>") == 1 and "0.850 apart in trained CLIP" in page
