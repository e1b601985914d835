"""Score the published claims against the tables of a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
from jsonschema import Draft202012Validator

from mindgap.errors import UserError
from mindgap.files import read_csv
from mindgap.report.rollup import Line, to_html_table, to_markdown_table
from mindgap.report.summary import count_verdicts, summary

FIELDS = (
    "id",
    "paper",
    "figure",
    "statement",
    "evidence",
    "published",
    "measured",
    "tolerance",
    "verdict",
    "reason",
)

#: What the tag at the head of a reason says about the published value.
EVIDENCE = {
    "P": "[P] printed in the paper or in the authors' notebooks",
    "A": "[A] the paper's own printed numbers, computed again from other numbers that it prints",
    "D": "[D] read off a published plot",
    "C": "[C] not printed anywhere: computed from the files that the authors published",
    "R": "[R] not printed anywhere: an independent re-run or a closed form of what they describe",
    "none": "[-] the claim is a direction without a number",
}


def check_claims(claims: list[dict[str, Any]], schema: dict[str, Any]) -> None:
    """Refuse a claims file that does not match its schema or names a claim twice."""
    for error in Draft202012Validator(schema).iter_errors(claims):
        where = ".".join(str(part) for part in error.absolute_path)
        raise UserError(f"claims.yaml: {where}: {error.message}")
    names = [claim["id"] for claim in claims]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"claims.yaml: two claims are called {min(twice)!r}")


def score_claims(
    claims: list[dict[str, Any]], results: str | Path, run: str
) -> list[dict[str, Any]]:
    """Return one scored row a claim, in the order of the claims, with the keys `FIELDS`.

    A claim about no model belongs to the runs that it names; any other is judged wherever its row
    is there. It is read from one cell: column `measured.column` of the row of `measured.table` (a
    CSV below `results`) where every key of `measured.where` matches. It is judged by `tolerance`
    (largest distance from `published`) or by `accept` (lowest and highest value, either null). A
    table or row that this run does not have makes the claim `not_run`.
    """
    tables: dict[str, pd.DataFrame | None] = {}
    return [_score(claim, Path(results), run, tables) for claim in claims]


def _score(claim: dict, results: Path, run: str, tables: dict) -> dict[str, Any]:
    name = claim["measured"]["table"]
    if name not in tables:
        path = results / name
        tables[name] = read_csv(path) if path.exists() else None
    value, missing = _cell(tables[name], claim["measured"])
    if "model" not in claim["measured"]["where"] and run not in claim["runs"]:
        value, missing = None, "row for a claim that is about no model"
    if missing:
        runs = " or ".join(f"`{r}`" for r in claim["runs"])
        verdict, reason = "not_run", f"run `{run}` has no {missing}; answered by run {runs}"
    else:
        verdict = "reproduced" if _holds(claim, value) else "differs"
        tag = "-" if claim["evidence"] == "none" else claim["evidence"]
        off = (
            f"off by {value - claim['published']:+.4g}; "
            if verdict == "differs" and claim["published"] is not None
            else ""
        )
        reason = f"[{tag}] {off}{claim['why']}"
    row = {key: claim[key] for key in FIELDS if key in claim}
    row |= {"measured": value, "tolerance": tolerance(claim), "verdict": verdict, "reason": reason}
    return row


def _cell(table: pd.DataFrame | None, at: dict) -> tuple[float | None, str | None]:
    """Return the value of a cell, or what is missing."""
    if table is None:
        return None, f"table {at['table']}"
    for key, value in at["where"].items():
        if key not in table:
            raise UserError(f"claims.yaml: {at['table']} has no column {key!r}")
        same = (
            table[key] == value
            if isinstance(value, int | float)
            else table[key].astype(str) == value
        )
        table = table[same]
    if table.empty:
        return None, ", ".join(f"{k} {v}" for k, v in at["where"].items())
    if at["column"] not in table:
        raise UserError(f"claims.yaml: {at['table']} has no column {at['column']!r}")
    if len(table) > 1:
        raise UserError(f"claims.yaml: {len(table)} rows of {at['table']} match {at['where']}")
    value = float(table[at["column"]].iloc[0])
    return (value, None) if math.isfinite(value) else (None, f"finite {at['column']}")


def _holds(claim: dict, value: float) -> bool:
    if "tolerance" in claim:
        # A published value is rounded: half a unit of the last digit must not fail by an ulp.
        return abs(value - claim["published"]) <= claim["tolerance"] * (1 + 1e-9)
    low, high = claim["accept"]
    return (low is None or value >= low) and (high is None or value <= high)


def tolerance(claim: dict[str, Any]) -> str:
    """Say what a claim accepts, in words."""
    if "tolerance" in claim:
        return f"±{claim['tolerance']:g}"
    low, high = claim["accept"]
    if high is None:
        return f"at least {low:g}"
    return f"at most {high:g}" if low is None else f"{low:g} to {high:g}"


def to_markdown(scores: list[dict[str, Any]], run: str, lines_of: list[Line]) -> str:
    """Render the scorecard in Markdown: at a glance, what differs, what agrees, what waits."""
    lines = [f"# Scorecard of run `{run}`", "", summary(scores, run).partition(": ")[2] + ".", ""]
    lines += [*to_markdown_table(lines_of), ""]
    # What differs is what a reader looks for.
    answered = [s for v in ("differs", "reproduced") for s in scores if s["verdict"] == v]
    lines += [*(f"- {text}" for text in _evidence(answered)), ""]
    if answered:
        lines += [
            "| | claim | paper | published | measured | accepted | reason |",
            "|---|---|---|---|---|---|---|",
        ]
    for s in answered:
        mark = {"reproduced": "✓", "differs": "✗"}[s["verdict"]]
        published = "not known" if s["published"] is None else f"{s['published']:g}"
        cells = (
            mark,
            f"{s['statement']} (`{s['id']}`)",
            f"{s['paper']} {s['figure']}",
            published,
            f"{s['measured']:.6g}",
            s["tolerance"],
            s["reason"],
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    waiting: dict[str, list[str]] = {}
    for s in scores:
        if s["verdict"] == "not_run":
            waiting.setdefault(s["reason"], []).append(f"`{s['id']}`")
    if waiting:
        lines += ["", "## Not run here", ""]
        lines += [f"- {reason}: {', '.join(names)}" for reason, names in waiting.items()]
    return "\n".join(lines) + "\n"


def _evidence(answered: list[dict[str, Any]]) -> list[str]:
    """Legend of the evidence tags, with how many answered claims of each are reproduced."""
    lines = []
    for text in EVIDENCE.values():
        some = [s for s in answered if s["reason"].startswith(text[:3])]
        good = sum(s["verdict"] == "reproduced" for s in some)
        lines.append(f"{text}: {good} of {len(some)} reproduced")
    return lines


def to_html(scores: list[dict[str, Any]], run: str, lines_of: list[Line]) -> str:
    """Render roll-up and answered claims as one self-contained page for the report."""
    answered = [s for s in scores if s["verdict"] != "not_run"]
    table = pd.DataFrame(answered, columns=FIELDS).drop(columns=["paper"])
    body = table.to_html(index=False, na_rep="not known", float_format="{:.6g}".format, border=0)
    style = (
        "body{font:14px sans-serif;margin:2em}td,th{padding:.35em .6em;text-align:left;"
        "vertical-align:top;border-bottom:1px solid #ddd}th{position:sticky;top:0;background:#fff}"
    )
    notes = "".join(f"<li>{text}</li>" for text in _evidence(answered))
    return (
        f"<!doctype html><meta charset=utf-8><title>{run}</title><style>{style}</style>"
        f"<p>{summary(scores, run)}</p>{to_html_table(lines_of)}<ul>{notes}</ul>{body}"
    )


def metrics(scores: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts of the verdicts and the measured value of each answered claim, for comparison."""
    measured = {s["id"]: s["measured"] for s in scores if s["verdict"] != "not_run"}
    return {"claims": count_verdicts(scores), "measured": measured}
