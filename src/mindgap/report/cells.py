"""Find the numbers that a claim is about in the tables of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from mindgap.report.tables import Present, Tables, Where, expected, lacking, match, name_row
from mindgap.runtime.errors import UserError
from mindgap.train.effects import t_interval

_CONFIDENCE = 0.95  # of an interval over rows that are seeds


@dataclass(frozen=True)
class Cell:
    """One number that a claim is judged by.

    Attributes
    ----------
    where
        Column values of its row.
    value
        What was measured; NaN where it is missing.
    low, high
        Interval of the value; None where the claim asks for none, or one seed has none.
    seeds
        How many seeds are behind it; None where seeds play no part.
    published, unit, reading
        Published value of a point, what its deviation is counted in, and the error of reading it.
    missing
        Why there is no value; empty where there is one.
    """

    where: Where
    value: float = math.nan
    low: float | None = None
    high: float | None = None
    seeds: int | None = None
    published: float | None = None
    unit: float = 1.0
    reading: float = 0.0
    missing: str = ""


@dataclass(frozen=True)
class Point:
    """What tells a point of a claim apart; `published`, `unit`, `reading`: a number or a column."""

    where: Where = field(default_factory=dict)
    column: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class _Missing(Exception):
    """There is no such cell."""


def find_cells(claim: dict[str, Any], tables: Tables, present: Present) -> tuple[list[Cell], str]:
    """Cells of a claim; or none, and what the run's configuration lacks for them.

    A point that the configuration leaves out has no cell. One that it asks for and that is not
    there, or is not finite, has a cell that says so.
    """
    at = claim["measured"]
    points = [(point, {**at["where"], **point.where}) for point in points_of(claim, tables)]
    lacks = [lacking(present, at["table"], where) for _, where in points]
    wanted = [one for one, lack in zip(points, lacks, strict=True) if not lack]
    if not wanted:
        return [], lacks[0]
    table = tables.get(at["table"])
    if table is None:
        return [Cell(at["where"], missing=f"{at['table']} is not there")], ""
    cells = []
    for point, where in wanted:
        each = expected(present, at["table"], where, at["every"]) if "every" in at else [{}]
        for row in each:
            try:
                cells.append(_cell(table, at, {**where, **row}, point, present))
            except _Missing as missing:
                cells.append(Cell({**where, **row}, missing=f"{at['table']} has {missing}"))
    return cells, ""


def points_of(claim: dict[str, Any], tables: Tables) -> Iterator[Point]:
    """The points of a claim; one that says nothing for a claim about one cell."""
    deviation = claim.get("deviation", {})
    beside = {key: deviation[key] for key in ("unit", "reading") if key in deviation}
    if "points" in claim:
        for point in claim["points"]:
            facts = {key: point[key] for key in ("published", "unit") if key in point}
            yield Point(point["where"], point.get("column"), {**beside, **facts})
        return
    if "against" not in claim:
        yield Point()
        return
    given = claim["against"]
    reference = tables.reference(given["reference"])
    if reference is None:
        raise UserError(f"claims.yaml: {claim['id']}: there is no reference {given['reference']!r}")
    own = {key: value for key, value in claim["measured"]["where"].items() if key in reference}
    facts = {"published": given["column"], **beside}
    for row in match(reference, {**own, **given.get("where", {})}).to_dict("records"):
        where = {key: row[key] for key in given["by"] if not pd.isna(row[key])}
        known = {} if "in_table" in given else row
        yield Point(where, None, {key: known.get(name, name) for key, name in facts.items()})


def _cell(
    table: pd.DataFrame, at: dict[str, Any], where: Where, point: Point, present: Present
) -> Cell:
    column = point.column or at["column"]
    if "over" in at:
        cell = _mean(table, at, column, where, present)
        return replace(cell, **{key: float(fact) for key, fact in point.facts.items()})
    row = _single(_rows(table, where), where)
    facts = {
        key: _number(row, fact, where) if isinstance(fact, str) else float(fact)
        for key, fact in point.facts.items()
    }
    seeds = int(_number(row, at["seeds"], where)) if "seeds" in at else None
    cell = Cell(where, _number(row, column, where), seeds=seeds, **facts)
    if "interval" in at and seeds != 1:
        low, high = (_number(row, name, where) for name in at["interval"])
        cell = replace(cell, low=low, high=high)
    if "minus" in at:
        other = {**where, **at["minus"]}
        less = _number(_single(_rows(table, other), other), column, other)
        cell = replace(cell, value=cell.value - less)
    return cell


def _mean(
    table: pd.DataFrame, at: dict[str, Any], column: str, where: Where, present: Present
) -> Cell:
    """Mean over rows that are seeds, with Student's interval."""
    each = [{**where, **row} for row in expected(present, at["table"], where, [at["over"]])]
    values = [_number(_single(_rows(table, row), row), column, row) for row in each]
    mean, low, high = t_interval(np.array(values), _CONFIDENCE)
    bounds = {"low": low, "high": high} if len(each) > 1 else {}
    return Cell(where, mean, seeds=len(each), **bounds)


def _rows(table: pd.DataFrame, where: Where) -> pd.DataFrame:
    for key in where:
        if key not in table:
            raise _Missing(f"no column {key}")
    return match(table, where)


def _single(rows: pd.DataFrame, where: Where) -> pd.Series:
    if len(rows) != 1:
        count = f"{len(rows)} rows" if len(rows) else "no row"
        raise _Missing(f"{count} with {name_row(where)}")
    return rows.iloc[0]


def _number(row: pd.Series, column: str, where: Where) -> float:
    if column not in row:
        raise _Missing(f"no column {column}")
    value = float(row[column])
    if not math.isfinite(value):
        raise _Missing(f"no finite {column} in the row with {name_row(where)}")
    return value
