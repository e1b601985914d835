"""The scorecard at a glance: one line per figure, table and theorem of each paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from mindgap.report.decisions import Decision

#: Worst first; a line is called by the worst verdict among its claims that were answered.
ORDER = ("broken", "differs", "undecided", "reproduced", "not_run")
MARKS = {"broken": "!", "differs": "✗", "undecided": "?", "reproduced": "✓", "not_run": "·"}
WORDS = {"differs": "differ", "not_run": "not run"}
PAPERS = {
    "MTG": "Mind the Gap (Liang et al. 2022)",
    "CMD": "Cross-Modal Discrete Representation Learning (Liu et al. 2022)",
}
#: Classes that belong to no figure of a paper, with the name of their line and what it is about.
_APART = {
    "self": ("Against itself", "printed numbers, recomputed"),
    "extension": ("Extensions", "our own questions"),
}
#: Lines that a screen has for the claims that are not reproduced, and for one decision.
_SHOWN, _SAID = 13, 30


@dataclass(frozen=True)
class Line:
    """Claims of one figure, table or theorem.

    Attributes
    ----------
    paper
        Key of `PAPERS`, or empty for what is no paper's.
    name, about
        What the paper calls it, and what it is about.
    verdicts
        Verdict -> number of claims.
    printed, printed_reproduced
        How many of the answered claims are against printed numbers, and how many of those hold.
    file
        What to look at, below the results of the run; empty where the run has nothing.
    """

    paper: str
    name: str
    about: str
    verdicts: dict[str, int]
    printed: int
    printed_reproduced: int
    file: str

    @property
    def verdict(self) -> str:
        """The worst verdict of an answered claim, or `not_run`."""
        return next((v for v in ORDER if self.verdicts.get(v)), "not_run")

    @property
    def answered(self) -> int:
        """Claims that this run answers."""
        return sum(n for verdict, n in self.verdicts.items() if verdict != "not_run")


def roll_up(
    scores: list[dict[str, Any]], figures: list[dict[str, Any]], has: Callable[[str], bool]
) -> list[Line]:
    """Fold scored claims into one line per row of workflow/figures.yaml.

    Claims of a paper against itself and our extensions have one line each, whatever their figure.

    Parameters
    ----------
    scores
        Rows of scorecard.json.
    figures
        Rows of workflow/figures.yaml.
    has
        Whether the run has a file, by its path below the results of the run.
    """
    place = {(row["paper"], name): i for i, row in enumerate(figures) for name in row["figures"]}
    groups: dict[int, list[dict[str, Any]]] = {i: [] for i in range(len(figures))}
    apart: dict[str, list[dict[str, Any]]] = {name: [] for name in _APART}
    for score in scores:
        kind = score["class"]
        at = place.get((score["paper"], score["figure"]))
        apart.get(kind, groups.get(at, apart["extension"])).append(score)
    lines = [_line(row, groups[i], has) for i, row in enumerate(figures) if groups[i]]
    lines += [
        _line({"paper": "", "name": name, "about": about, "file": []}, apart[kind], has)
        for kind, (name, about) in _APART.items()
        if apart[kind]
    ]
    return lines


def _line(row: dict[str, Any], some: list[dict[str, Any]], has: Callable[[str], bool]) -> Line:
    printed = [s for s in some if s["evidence"] == "P" and s["verdict"] != "not_run"]
    return Line(
        row["paper"],
        row["name"],
        row["about"],
        dict(Counter(s["verdict"] for s in some)),
        len(printed),
        sum(s["verdict"] == "reproduced" for s in printed),
        next(filter(has, row["file"]), ""),
    )


def count_words(verdicts: dict[str, int]) -> str:
    """Verdicts in words: `5 reproduced, 1 differ`."""
    parts = [f"{verdicts[v]} {WORDS.get(v, v)}" for v in reversed(ORDER[:-1]) if verdicts.get(v)]
    parts += [f"{verdicts['not_run']} not run"] if verdicts.get("not_run") else []
    return ", ".join(parts) or "no claims"


def to_lines(lines: list[Line]) -> list[str]:
    """The roll-up as plain text, columns aligned."""
    width = max((len(line.name) for line in lines), default=0)
    middle = max((len(line.about) for line in lines), default=0)
    texts, paper = [], None
    for line in lines:
        if line.paper and line.paper != paper:
            texts.append(PAPERS[line.paper])
            paper = line.paper
        count = f"{line.verdicts.get('reproduced', 0):>3} of {line.answered:<3}"
        printed = f"printed {line.printed_reproduced} of {line.printed}" if line.printed else ""
        text = f"  {MARKS[line.verdict]} {line.name:<{width}}  {line.about:<{middle}}  "
        texts.append(
            f"{text}{count if line.answered else 'not run':<10} {printed:<17} {line.file}".rstrip()
        )
    return texts


def any_answered(scores: list[dict[str, Any]]) -> bool:
    """Whether a run answers any claim."""
    return any(score["verdict"] != "not_run" for score in scores)


def none_answered(scores: list[dict[str, Any]]) -> str:
    """The sentence in place of a roll-up of claims that were not run."""
    return f"none of the {len(scores)} claims is about what this run has"


def to_screen(
    scores: list[dict[str, Any]],
    figures: list[dict[str, Any]],
    results: Path,
    decisions: Sequence[Decision] = (),
) -> list[str]:
    """What a run says at its end: of the claims at most 40 lines, then its decisions."""
    own = [line for one in decisions for line in _decision(one, results)]
    if any_answered(scores):
        return [*_claims(scores, figures, results), *own]
    return [f"{results}: {none_answered(scores)}", *own]


def _decision(one: Decision, results: Path) -> list[str]:
    lines = one.sentences
    more = [f"  ... {len(lines) - _SAID} more lines"] if len(lines) > _SAID else []
    head = f"decision about {one.model} on {one.dataset} ({results / one.file}):"
    return [head, *(f"  {line}" for line in lines[:_SAID]), *more]


def _claims(
    scores: list[dict[str, Any]], figures: list[dict[str, Any]], results: Path
) -> list[str]:
    lines = roll_up(scores, figures, lambda name: (results / name).exists())
    answered = [s for s in scores if s["verdict"] != "not_run"]
    texts = [f"{results}: {len(scores)} claims, {len(answered)} answered", by_class(answered)]
    texts += to_lines(lines)
    bad = sorted(
        (s for s in answered if s["verdict"] != "reproduced"),
        key=lambda s: (s["class"] == "self", ORDER.index(s["verdict"])),
    )
    for score in bad[:_SHOWN]:
        verdict = score["verdict"]
        if score["class"] == "self" and verdict == "differs":
            verdict = "the paper disagrees with itself"
        texts.append(f"  {verdict}: {score['id']}: {numbers(score)}")
    if len(bad) > _SHOWN:
        texts.append(f"  and {len(bad) - _SHOWN} more in {results / 'scorecard.md'}")
    return texts


def by_class(scores: list[dict[str, Any]]) -> str:
    """How many claims of each class are reproduced: `empirical 5 of 6, theory 2 of 2`."""
    classes = dict.fromkeys(s["class"] for s in scores)
    return "reproduced: " + ", ".join(
        f"{name} {sum(s['verdict'] == 'reproduced' for s in some)} of {len(some)}"
        for name in classes
        if (some := [s for s in scores if s["class"] == name])
    )


def numbers(score: dict[str, Any]) -> str:
    """The measured value of a claim beside what was published or is accepted."""
    measured = "no value" if score["measured"] is None else f"{score['measured']:.4g}"
    if score["published"] is not None:
        return f"published {score['published']:g}, measured {measured}"
    return f"accepted {score['tolerance']}, measured {measured}"


def to_markdown_table(lines: list[Line]) -> list[str]:
    """The roll-up as a Markdown table."""
    texts = [
        "| | | about | reproduced | printed numbers | claims | look at |",
        "|---|---|---|---|---|---|---|",
    ]
    for *cells, file in map(line_cells, lines):
        look = f"[{file}]({file})" if file else ""
        texts.append("| " + " | ".join((*cells, look)) + " |")
    return texts


def to_html_table(lines: list[Line]) -> str:
    """The roll-up as an HTML table."""
    head = "".join(
        f"<th>{name}</th>"
        for name in ("", "", "about", "reproduced", "printed numbers", "claims", "look at")
    )
    rows = [
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line_cells(line)) + "</tr>"
        for line in lines
    ]
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def to_rst_table(lines: list[Line]) -> list[str]:
    """The roll-up as a table of reStructuredText, for the first page of the report."""
    texts = [".. list-table::", "   :header-rows: 1", ""]
    head = ("", "", "about", "reproduced", "printed numbers", "claims")
    for cells in (head, *(line_cells(line)[:-1] for line in lines)):
        texts += [f"   {'* ' if i == 0 else '  '}- {cell}".rstrip() for i, cell in enumerate(cells)]
    return texts


def line_cells(line: Line) -> tuple[str, ...]:
    """Mark, name, subject, shares, counts and file of a line, as tables show them."""
    printed = f"{line.printed_reproduced} of {line.printed}" if line.printed else ""
    share = f"{line.verdicts.get('reproduced', 0)} of {line.answered}" if line.answered else ""
    name = f"{line.paper} {line.name}".strip()
    words = count_words(line.verdicts)
    return (MARKS[line.verdict], name, line.about, share, printed, words, line.file)
