"""Collect what the pages quote of finished runs in docs/snapshot/, small enough for the repository.

docs/snapshot.yaml says which tables, columns and rows. The folder has the layout of results/, so
that whatever reads runs reads a snapshot too.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from mindgap.config import read_yaml
from mindgap.report.record import NAME as RECORD
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import read_csv, replacing, write_json, write_text
from mindgap.runtime.job import read_usage

PLAN = Path("docs/snapshot.yaml")
#: File that a run writes last.
DONE = "checked.json"
#: What of a scored claim is kept; workflow/claims.yaml has the rest.
SCORE = ("id", "measured", "verdict", "power")
Where = dict[str, Any]


class Selection(BaseModel):
    """Part of a table: some columns, and the rows that match any of some conditions.

    Columns that not every run has are `optional`.
    """

    model_config = ConfigDict(extra="forbid")

    runs: list[str] | None = None
    columns: list[str] | None = None
    optional: list[str] = []
    where: list[Where] = []


class Plan(BaseModel):
    """What docs/snapshot.yaml says: runs, tables, the most bytes of both, and pictures."""

    model_config = ConfigDict(extra="forbid")

    most_bytes: PositiveInt
    runs: list[str]
    tables: dict[str, Selection]
    pictures: dict[str, list[str]] = {}


def read_plan() -> Plan:
    """The plan of this checkout."""
    try:
        return Plan.model_validate(read_yaml(PLAN))
    except ValidationError as error:
        raise UserError(f"{PLAN}: {error}") from error


def take_snapshot(results: Path, target: Path, plan: Plan) -> list[str]:
    """Write the parts of all finished runs to `target`, whole or not at all.

    Runs of the plan that are not in `results` stay in `target` as they are; runs that the plan does
    not name are removed from it.

    Returns
    -------
    One line about each run.
    """
    part = target.with_name(f".part-{target.name}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        lines = [_take(results / run, target / run, part / run, plan) for run in plan.runs]
        size = sum(path.stat().st_size for path in part.rglob("*") if path.is_file())
        if size > plan.most_bytes:
            raise UserError(
                f"the snapshot has {size:,} bytes, more than the {plan.most_bytes:,} of "
                "docs/snapshot.yaml: choose fewer tables, columns or rows there"
            )
        old = target.with_name(f".old-{target.name}")
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        part.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return [*lines, f"{target}: {size:,} bytes"]


def copy_pictures(results: Path, target: Path, plan: Plan) -> list[str]:
    """Copy each picture of the pages from the first finished run that has it.

    Returns
    -------
    One line about each picture that changed.
    """
    lines = []
    for name, places in plan.pictures.items():
        there = [results / place for place in places if (results / place).exists()]
        finished = [p for p in there if (results / p.relative_to(results).parts[0] / DONE).exists()]
        if finished:
            data = finished[0].read_bytes()
            if not (target / name).exists() or (target / name).read_bytes() != data:
                with replacing(target / name) as part:
                    part.write_bytes(data)
                lines.append(f"{target / name}: {finished[0]}")
    return lines


def _take(folder: Path, before: Path, target: Path, plan: Plan) -> str:
    """Write the part of one run, or keep what an earlier snapshot has of it."""
    name = folder.name
    if not (folder / DONE).exists():
        if before.exists():
            shutil.copytree(before, target)
            return f"{name}: not finished here, kept as it was"
        return f"{name}: not finished here, left out"
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    write_json(target / "run.json", describe(record, folder / "logs"))
    scores = json.loads((folder / "scorecard.json").read_text(encoding="utf-8"))
    write_text(target / "scorecard.json", compact(scores))
    count, absent = 0, []
    for table, selection in plan.tables.items():
        if selection.runs is not None and name not in selection.runs:
            continue
        if (folder / table).exists():
            frame = select(read_csv(folder / table), selection, table)
            if len(frame):
                text = frame.to_csv(index=False, lineterminator="\n", float_format="%.6g")
                write_text(target / table, text)
                count += 1
        elif selection.runs is not None:
            absent.append(table)
    return f"{name}: {count} tables" + (f"; it has no {', '.join(absent)}" if absent else "")


def compact(scores: Iterable[Mapping[str, Any]]) -> str:
    """The answered claims of a scorecard as JSON, one line each; the reason where one is needed."""
    rows = [
        json.dumps({key: _short(score[key]) for key in SCORE} | _reason(score), ensure_ascii=False)
        for score in scores
        if score["verdict"] != "not_run"
    ]
    return "[\n" + ",\n".join(rows) + "\n]\n"


def _reason(score: Mapping[str, Any]) -> dict[str, str]:
    return {"reason": "" if score["verdict"] == "reproduced" else score["reason"]}


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) and math.isfinite(value) else value


def select(frame: pd.DataFrame, selection: Selection, table: str) -> pd.DataFrame:
    """The rows and columns of a selection, in the order of the table."""
    wanted = [*(selection.columns or []), *(key for where in selection.where for key in where)]
    if unknown := [name for name in dict.fromkeys(wanted) if name not in frame]:
        raise UserError(
            f"docs/snapshot.yaml: {table} has no column {', '.join(unknown)}; it has "
            f"{', '.join(frame.columns)}"
        )
    if selection.where:
        frame = frame[pd.concat([matches(frame, w) for w in selection.where], axis=1).any(axis=1)]
    if selection.columns is None:
        return frame
    return frame[selection.columns + [name for name in selection.optional if name in frame]]


def matches(frame: pd.DataFrame, where: Where) -> pd.Series:
    """Whether each row has the wanted values, or one of several; numbers are compared as such."""
    hit = pd.Series(True, index=frame.index)
    for column, wanted in where.items():
        values = wanted if isinstance(wanted, list | tuple) else [wanted]
        numbers = [v for v in values if isinstance(v, int | float)]
        own = frame[column]
        found = own.isin([v for v in values if not isinstance(v, int | float)])
        if numbers and pd.api.types.is_numeric_dtype(own):
            found |= own.map(lambda v, n=tuple(numbers): any(math.isclose(v, k) for k in n))
        hit &= found
    return hit


def describe(record: Mapping[str, Any], logs: Path) -> dict[str, Any]:
    """What made a run, where, when, and how long it took."""
    code, costs = record["code"], record["costs"]
    return {
        "run": record["run"],
        "commit": code["commit"],
        "changed": code["dirty"],
        "written": record["written"],
        "machine": record["machine"],
        "jobs": sum(row["jobs"] for row in costs),
        "seconds": round(busy_seconds(logs)),
        "cpu_seconds": round(sum(row["cpu_seconds"] for row in costs)),
        "peak_mb": max((row["peak_mb"] for row in costs), default=0),
        "files": len(record["files"]),
        "bytes": sum(file["bytes"] for file in record["files"].values()),
    }


def busy_seconds(logs: Path) -> float:
    """Time in which at least one job of a run was at work, from the ends and lengths of its jobs.

    A run that was interrupted and called again counts without the pause.
    """
    spans = []
    for path in logs.rglob("*.log"):
        if (usage := read_usage(path)) is not None:
            end = path.stat().st_mtime
            spans.append((end - usage["seconds"], end))
    total, reached = 0.0, -math.inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
