"""One scorecard over all finished runs: for each claim the run that answers it best."""

from __future__ import annotations

import json
from collections import Counter
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from mindgap.report.judge import tolerance
from mindgap.report.rollup import (
    count_words,
    roll_up,
    to_html_table,
    to_lines,
    to_markdown_table,
)
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import write_csv, write_json, write_text

_STATIC = ("id", "paper", "figure", "class", "statement", "evidence", "published")


def read_runs(results: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Run -> claim -> row of its scorecard, for every run in `results` that has one."""
    runs = {}
    for path in sorted(results.glob("*/scorecard.json")):
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
            runs[path.parent.name] = {row["id"]: row for row in rows}
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{path} is not a scorecard ({error!r}); delete it and run it again"
            ) from error
    if not runs:
        raise UserError(f"no run in {results} has a scorecard yet; call `make reproduce` first")
    return runs


def join_scores(
    claims: list[dict[str, Any]], runs: dict[str, dict[str, dict[str, Any]]]
) -> list[dict[str, Any]]:
    """One row per claim, in their order: the best answer, and every other run's beside it.

    The best is that of the run which comes first in the claim's `runs` (the papers' own data
    before other real data before rendered data); runs that it does not name come last, by name. An
    answer is any verdict but `not_run`. Rows have the keys of a scorecard, and `run` (null if no
    run answers), `others` (run, verdict and measured value of each further answer) and `disagree`,
    whether the verdicts differ.
    """
    rows = []
    for claim in claims:
        rank = {run: i for i, run in enumerate(claim["runs"])}
        answers = [
            (run, scores[claim["id"]])
            for run, scores in runs.items()
            if scores.get(claim["id"], {}).get("verdict", "not_run") != "not_run"
        ]
        answers.sort(key=lambda answer: (rank.get(answer[0], len(rank)), answer[0]))
        row = {key: claim[key] for key in _STATIC} | {"tolerance": tolerance(claim)}
        if answers:
            run, best = answers[0]
            row |= {"run": run} | {k: best[k] for k in ("measured", "verdict", "reason")}
        else:
            needed = " or ".join(f"`{name}`" for name in claim["runs"])
            row |= {"run": None, "measured": None, "verdict": "not_run"}
            row["reason"] = f"needs run {needed}"
        row["others"] = [
            {"run": run, "verdict": one["verdict"], "measured": one["measured"]}
            for run, one in answers[1:]
        ]
        row["disagree"] = len({one["verdict"] for _, one in answers}) > 1
        rows.append(row)
    return rows


def unknown_claims(
    claims: list[dict[str, Any]], runs: dict[str, dict[str, dict[str, Any]]]
) -> dict[str, int]:
    """Run -> number of its claims that workflow/claims.yaml does not have any more."""
    known = {claim["id"] for claim in claims}
    counts = {run: len(set(scores) - known) for run, scores in runs.items()}
    return {run: count for run, count in counts.items() if count}


def _others(row: dict[str, Any]) -> str:
    return "; ".join(
        f"`{o['run']}`: {o['verdict']}, {_number(o['measured'])}" for o in row["others"]
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def to_markdown(
    rows: list[dict[str, Any]], table: list[str], runs: list[str], stale: dict[str, int]
) -> str:
    """Render the joined scorecard: at a glance, where runs disagree, all answers, what waits."""
    counts = count_words(Counter(row["verdict"] for row in rows))
    lines = ["# Scorecard over all runs", "", f"{len(rows)} claims: {counts}.", ""]
    lines += [f"Runs: {', '.join(f'`{run}`' for run in runs)}.", ""]
    lines += [
        f"{count} claims of run `{run}` are not in workflow/claims.yaml any more and are left out; "
        "run it again."
        for run, count in stale.items()
    ]
    lines += [*table, ""]
    head = [
        "| claim | paper | published | measured | verdict | run | other runs |",
        "|---|---|---|---|---|---|---|",
    ]
    answered = [row for row in rows if row["run"]]
    for title, some in (
        ("Answered differently by two runs", [row for row in answered if row["disagree"]]),
        ("All answers", answered),
    ):
        if some:
            lines += [f"## {title}", "", *head, *map(_markdown_row, some), ""]
    waiting: dict[str, list[str]] = {}
    for row in rows:
        if row["run"] is None:
            waiting.setdefault(row["reason"], []).append(f"`{row['id']}`")
    if waiting:
        count = sum(map(len, waiting.values()))
        lines += [f"## Answered by no run: {count}", ""]
        lines += [f"- {why} ({len(n)}): {', '.join(n)}" for why, n in waiting.items()]
    return "\n".join(lines) + "\n"


def _markdown_row(row: dict[str, Any]) -> str:
    cells = (
        f"{row['statement']} (`{row['id']}`)",
        f"{row['paper']} {row['figure']}",
        "" if row["published"] is None else f"{row['published']:g}",
        _number(row["measured"]),
        row["verdict"],
        f"`{row['run']}`",
        _others(row),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def to_html(rows: list[dict[str, Any]], table: str) -> str:
    """Render the joined scorecard as one self-contained page."""
    frame = pd.DataFrame(rows).assign(others=[_others(row).replace("`", "") for row in rows])
    body = frame.drop(columns=["tolerance", "reason"]).to_html(
        index=False, na_rep="", float_format="{:.6g}".format, border=0
    )
    style = (
        "body{font:14px sans-serif;margin:2em}td,th{padding:.35em .6em;text-align:left;"
        "vertical-align:top;border-bottom:1px solid #ddd}"
    )
    counts = escape(count_words(Counter(row["verdict"] for row in rows)))
    return (
        f"<!doctype html><meta charset=utf-8><title>scorecard</title><style>{style}</style>"
        f"<p>{len(rows)} claims: {counts}</p>{table}{body}\n"
    )


def write_joined(
    results: Path, claims: list[dict[str, Any]], figures: list[dict[str, Any]]
) -> list[str]:
    """Write results/scorecard.{md,csv,json,html}; return the lines for the console."""
    runs = read_runs(results)
    rows = join_scores(claims, runs)
    stale = unknown_claims(claims, runs)
    lines = roll_up(rows, _in_runs(figures, list(runs)), lambda name: (results / name).exists())
    write_json(results / "scorecard.json", rows)
    flat = [{**row, "others": _others(row)} for row in rows]
    write_csv(results / "scorecard.csv", pd.DataFrame(flat))
    names = list(runs)
    write_text(results / "scorecard.md", to_markdown(rows, to_markdown_table(lines), names, stale))
    write_text(results / "scorecard.html", to_html(rows, to_html_table(lines)))
    counts = count_words(Counter(row["verdict"] for row in rows))
    disagree = [row["id"] for row in rows if row["disagree"]]
    said = [f"{len(runs)} runs, {len(rows)} claims: {counts}", *to_lines(lines)]
    if disagree:
        said.append(f"  answered differently by two runs: {', '.join(disagree)}")
    said += [
        f"  {count} claims of run {run} are not in workflow/claims.yaml any more; run it again"
        for run, count in stale.items()
    ]
    return [*said, f"see {results / 'scorecard.md'}"]


def _in_runs(figures: list[dict[str, Any]], runs: list[str]) -> list[dict[str, Any]]:
    """The rows of workflow/figures.yaml with each file below each run."""
    return [{**row, "file": [f"{run}/{f}" for f in row["file"] for run in runs]} for row in figures]
