"""The front page of a run: what it found, in one file that opens without a network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from string import Formatter
from typing import Any

from mindgap.report.decisions import Decision
from mindgap.report.rollup import (
    MARKS,
    Line,
    any_answered,
    by_class,
    line_cells,
    none_answered,
    numbers,
)
from mindgap.report.summary import count_verdicts

#: Files that the page links by name, with what they are.
_PAGES = {
    "scorecard.html": "scorecard, claim by claim",
    "report.html": "report with the provenance of every file",
    "record.html": "record: what made the run, at what cost",
    "config.yaml": "configuration",
}


@dataclass(frozen=True)
class Picture:
    """A picture of the front page.

    Attributes
    ----------
    file
        Where it lies, below the results of the run.
    title, sentence
        What it is about, and what it shows.
    claims
        Scored claims that the numbers of the sentence are from.
    """

    file: str
    title: str
    sentence: str
    claims: list[dict[str, Any]]


def find_pictures(story: list[dict[str, Any]], files: Sequence[str]) -> list[str | None]:
    """The file of each row of workflow/story.yaml, the first one that a run has, or None."""
    return [
        next((f for p in row["pictures"] for f in files if fnmatchcase(f, p)), None)
        for row in story
    ]


def tell_story(
    story: list[dict[str, Any]], files: Sequence[str], scores: list[dict[str, Any]]
) -> list[Picture]:
    """Pictures that a run has, each with the first sentence whose claims it answers.

    Parameters
    ----------
    story
        Rows of workflow/story.yaml.
    files
        Files of the run, below its results.
    scores
        Rows of scorecard.json.
    """
    known = {s["id"]: s for s in scores if s["measured"] is not None}
    measured = {name: score["measured"] for name, score in known.items()}
    found = []
    for row, file in zip(story, find_pictures(story, files), strict=True):
        named = {text: claims_of(text) for text in row["texts"]}
        text = next((text for text, ids in named.items() if known.keys() >= set(ids)), None)
        if file and text:
            claims = [known[name] for name in named[text]]
            found.append(Picture(file, row["title"], text.format_map(measured), claims))
    return found


def claims_of(text: str) -> list[str]:
    """Claims that a sentence of the story names, in order."""
    return [name for _, name, _, _ in Formatter().parse(text) if name]


def render(
    run: str,
    results: Path,
    files: Sequence[str],
    scores: list[dict[str, Any]],
    lines: list[Line],
    pictures: list[Picture],
    decisions: Sequence[Decision] = (),
    summaries: dict[str, Any] | None = None,
) -> str:
    """The front page; the same facts give the same page.

    Parameters
    ----------
    run, results
        Name of the run, and its folder.
    files
        Files of the run that the page may link, below its results.
    scores, lines
        Rows of scorecard.json, and their roll-up.
    pictures
        What `tell_story` found.
    decisions, summaries
        Decisions about the user's own embeddings, and their numbers as metrics.json has them.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    pages = [Path(name) for name in files if name.startswith("explorer/")]
    template = Path(__file__).with_name("front.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        run=run,
        answered=any_answered(scores),
        no_claims=none_answered(scores),
        counts=count_verdicts(scores),
        total=len(scores),
        classes=by_class([s for s in scores if s["verdict"] != "not_run"]),
        marks=MARKS,
        lines=[line_cells(line) for line in lines if line.answered],
        pictures=[(one, _data(results / one.file)) for one in pictures],
        numbers=numbers,
        decisions=[(one, (summaries or {})[one.model][one.dataset]) for one in decisions],
        explorers=[(str(p), p.parent.name, p.stem) for p in pages if p.parent.name != "codes"],
        codes=[(str(p), p.stem) for p in pages if p.parent.name == "codes"],
        tables=_by_chapter([name for name in files if name.endswith(".csv")]),
        pages=_PAGES,
    )


def _data(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _by_chapter(tables: list[str]) -> dict[str, list[str]]:
    """Tables of each folder, without the parts that they are made from."""
    found: dict[str, list[str]] = {}
    for name in sorted(set(tables)):
        folder, _, inside = name.partition("/")
        if not inside.startswith("parts/"):
            found.setdefault(folder, []).append(name)
    return found
