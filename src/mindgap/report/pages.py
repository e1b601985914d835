"""The scorecard as pages for people, and its numbers for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from mindgap.report.claims import CLASSES, EVIDENCE
from mindgap.report.decisions import Decision
from mindgap.report.mutations import SIZES
from mindgap.report.rollup import (
    MARKS,
    ORDER,
    Line,
    any_answered,
    none_answered,
    to_html_table,
    to_markdown_table,
    to_rst_table,
)
from mindgap.report.summary import count_classes, count_verdicts, summary

_ANSWERED = ORDER[:-1]
#: A paper that disagrees with itself is no failure of ours.
_SELF = {"differs": "disagrees with itself", "reproduced": "agrees with itself"}
_COLUMNS = (
    "",
    "claim",
    "paper",
    "published",
    "measured",
    "accepted",
    "points",
    "notices",
    "reason",
)


def to_markdown(
    scores: list[dict[str, Any]], run: str, rolled: list[Line], decisions: Sequence[Decision] = ()
) -> str:
    """Render the scorecard in Markdown: decisions, then claims by class, worst verdicts first."""
    lines = [f"# Scorecard of run `{run}`", ""]
    for one in decisions:
        lines += [one.section, ""]
    if not any_answered(scores):
        return "\n".join([*lines, f"{none_answered(scores)}."]) + "\n"
    lines += [summary(scores, run).partition(": ")[2] + ".", ""]
    lines += [*to_markdown_table(rolled), ""]
    lines += [*(f"- {text}" for text in _legend(scores)), ""]
    for name, meaning in CLASSES.items():
        if rows := _answered(scores, name):
            lines += ["", f"## {meaning.capitalize()}", "", _line(_COLUMNS)]
            lines += [_line(["---"] * len(_COLUMNS)), *(_line(_words(s)) for s in rows)]
    if broken := [s for s in scores if s["verdict"] == "broken"]:
        lines += ["", "## Missing cells", "", *(f"- `{s['id']}`: {s['reason']}" for s in broken)]
    waiting: dict[str, list[str]] = {}
    for s in scores:
        if s["verdict"] == "not_run":
            waiting.setdefault(s["reason"], []).append(f"`{s['id']}`")
    if waiting:
        lines += ["", "## Not run here", ""]
        lines += [f"- {reason}: {', '.join(names)}" for reason, names in waiting.items()]
    return "\n".join(lines) + "\n"


def to_rst(rolled: list[Line], decisions: Sequence[Decision] = ()) -> list[str]:
    """Decisions, and the roll-up of answered claims, in reStructuredText."""
    lines = []
    for one in decisions:
        said = [f"   {line}" for line in one.sentences]
        lines += [f"Decision about {one.model} on {one.dataset}::", "", *said, ""]
    return lines + (to_rst_table(rolled) if any(line.answered for line in rolled) else [])


def to_html(
    scores: list[dict[str, Any]], run: str, rolled: list[Line], decisions: Sequence[Decision] = ()
) -> str:
    """Render decisions, roll-up and answered claims as one self-contained page for the report."""
    style = (
        "body{font:14px sans-serif;margin:2em}td,th{padding:.35em .6em;text-align:left;"
        "vertical-align:top;border-bottom:1px solid #ddd}th{position:sticky;top:0;background:#fff}"
    )
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    parts = []
    for name, meaning in CLASSES.items():
        if rows := _answered(scores, name):
            body = "".join(_row(_words(s)) for s in rows)
            parts.append(f"<h2>{escape(meaning)}</h2><table><tr>{head}</tr>{body}</table>")
    own = "".join(
        f"<h2>Decision about {escape(one.model)} on {escape(one.dataset)}</h2>"
        f"<pre>{escape(chr(10).join(one.sentences))}</pre>"
        for one in decisions
    )
    page = f"<!doctype html><meta charset=utf-8><title>{run}</title><style>{style}</style>{own}"
    if not any_answered(scores):
        return f"{page}<p>{none_answered(scores)}</p>"
    notes = "".join(f"<li>{escape(text)}</li>" for text in _legend(scores))
    return (
        f"{page}<p>{summary(scores, run)}</p>{to_html_table(rolled)}<ul>{notes}</ul>"
        f"{''.join(parts)}"
    )


def metrics(
    scores: list[dict[str, Any]], decisions: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Counts of the verdicts, in all and by class, the measured value of each claim, decisions."""
    measured = {s["id"]: s["measured"] for s in scores if s["measured"] is not None}
    return {
        "claims": count_verdicts(scores),
        "classes": count_classes(scores),
        "measured": measured,
        **({"decisions": decisions} if decisions else {}),
    }


def _answered(scores: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Claims of a class that the run answers, those first that a reader looks for."""
    return [s for v in _ANSWERED for s in scores if s["verdict"] == v and s["class"] == name]


def _legend(scores: list[dict[str, Any]]) -> list[str]:
    """What the classes and tags mean, with the verdicts of each."""
    lines = []
    for name, counts in count_classes(scores).items():
        words = _SELF if name == "self" else {"differs": "differ"}
        some = [f"{n} {words.get(v, v)}" for v, n in counts.items() if n and v != "not_run"]
        lines.append(f"{CLASSES[name]}: {', '.join(some) or 'none answered here'}")
    for tag, text in EVIDENCE.items():
        some = [s for s in scores if s["evidence"] == tag and s["verdict"] in _ANSWERED]
        good = sum(s["verdict"] == "reproduced" for s in some)
        lines.append(f"{text}: {good} of {len(some)} reproduced")
    return [*lines, "notices: the smallest relative error in what it reads that turns the claim"]


def _words(score: dict[str, Any]) -> list[str]:
    verdict, measured, power = (score[key] for key in ("verdict", "measured", "power"))
    published = "not known" if score["published"] is None else f"{score['published']:g}"
    several = score["points"] != 1
    most = f"more than {SIZES[-1]:.0%}" if verdict == "reproduced" else ""
    reason = score["reason"]
    if score["class"] == "self" and verdict in _SELF:
        reason = f"the paper {_SELF[verdict]}; {reason}"
    return [
        MARKS[verdict],
        f"{score['statement']} (`{score['id']}`)",
        f"{score['paper']} {score['figure']}",
        "a curve" if several and score["published"] is None else published,
        "missing" if measured is None else f"{measured:.6g}",
        score["tolerance"],
        str(score["points"]),
        most if power is None else f"{power:.0%}",
        reason,
    ]


def _line(words: Any) -> str:
    return "| " + " | ".join(word.replace("|", "\\|") for word in words) + " |"


def _row(words: list[str]) -> str:
    return "<tr>" + "".join(f"<td>{escape(word)}</td>" for word in words) + "</tr>"
