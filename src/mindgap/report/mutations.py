"""Change on purpose what a claim reads: errors that it should notice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mindgap.report.cells import Cell
from mindgap.report.tables import Tables, match

#: Relative errors, smallest first.
SIZES = (0.01, 0.02, 0.05, 0.1, 0.2)
#: An absolute error, for numbers about one or less: near zero a relative error is nothing.
STEP = 0.04
_ORDINARY = 1.5
#: Values of a column that names modalities or ways to retrieve, and their exchange.
_EXCHANGE = {"ab": "ba", "ba": "ab", "a": "b", "b": "a", "image": "text", "text": "image"}


@dataclass(frozen=True)
class Mutation:
    """Changed tables.

    Attributes
    ----------
    kind
        `scale`, `condition` or `curve` (of a size), `halve`, `add`, `modalities`, `conditions`,
        `shuffle`, `equal`, `flat`, `still`, `set`, `row` or `cell`.
    words
        What was done.
    tables
        The changed tables by name.
    size
        Relative error; None where there is none.
    """

    kind: str
    words: str
    tables: dict[str, pd.DataFrame]
    size: float | None = None


def scales(claim: dict[str, Any], tables: Tables, cells: list[Cell]) -> Iterator[Mutation]:
    """What a claim reads, off by each of `SIZES`, up and down."""
    name, own = _own(claim, tables, cells)
    for size in SIZES:
        for factor in (1 - size, 1 + size):
            changed = _moved(own, claim, cells, factor)
            yield Mutation("scale", f"x {factor:g}", {name: changed}, size)


def errors(claim: dict[str, Any], tables: Tables, cells: list[Cell]) -> Iterator[Mutation]:
    """Other errors in what a claim reads: halved, exchanged, at its no-op, lost, not a number."""
    name, own = _own(claim, tables, cells)
    values, _ = _columns(claim)
    yield Mutation("halve", "x 0.5", {name: _moved(own, claim, cells, 0.5)})
    if all(abs(cell.value) < _ORDINARY for cell in cells):
        for step in (STEP, -STEP):
            yield Mutation("add", f"{step:+g}", {name: _moved(own, claim, cells, 1, step)})
    yield Mutation("modalities", "columns exchanged", {name: _exchange_columns(own)})
    whole = tables.get(name)
    for column in ("direction", "modality"):
        if column in whole:
            turned = _exchange_rows(whole, column)
            yield Mutation("modalities", f"{column} exchanged", {name: turned})
    if _compares(claim):
        yield Mutation("conditions", "exchanged", {name: _turned(own, claim)})
    for word in ("set", "chance", "flat"):
        if word in claim["noop"]:
            value = claim["noop"][word]
            yield Mutation("set", f"{word} {value:g}", {name: set_to(own, claim, cells, value)})
    if "minus" in claim["measured"] or {"equal", "still"} & set(claim["noop"]):
        yield Mutation("set", "no difference", {name: set_to(own, claim, cells, 0.0)})
    yield Mutation("row", "a row lost", {name: own.iloc[1:]})
    empty = own.copy()
    column = next(c for c in values if c in own and own[c].notna().iloc[0])
    empty[column] = empty[column].astype(float)
    empty.loc[empty.index[0], column] = np.nan
    yield Mutation("cell", "a cell is not a number", {name: empty})


def _own(claim: dict[str, Any], tables: Tables, cells: list[Cell]) -> tuple[str, pd.DataFrame]:
    """Name of a claim's table, and those of its rows that the claim reads, own cells first."""
    at = claim["measured"]
    table = tables.get(at["table"])
    rows = [match(table, cell.where) for cell in cells]
    if "minus" in at:
        rows += [match(table, {**cell.where, **at["minus"]}) for cell in cells]
    own = pd.concat(rows)
    return at["table"], own[~own.index.duplicated()]


def _columns(claim: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Columns with a claim's values, and with their intervals."""
    at = claim["measured"]
    values = [at["column"], *(p["column"] for p in claim.get("points", ()) if "column" in p)]
    return list(dict.fromkeys(values)), list(at.get("interval", ()))


def _moved(
    own: pd.DataFrame, claim: dict[str, Any], cells: list[Cell], factor: float, step: float = 0
) -> pd.DataFrame:
    """Values and intervals off; of a difference of two rows the first alone."""
    values, bounds = _columns(claim)
    there = [column for column in dict.fromkeys([*values, *bounds]) if column in own]
    mask = np.ones(len(own), bool)
    if "minus" in claim["measured"]:
        mask = own.index.isin(pd.concat([match(own, cell.where) for cell in cells]).index)
    return own.assign(**{c: own[c].where(~mask, own[c] * factor + step) for c in there})


def _compares(claim: dict[str, Any]) -> bool:
    """Whether a claim is about the sign of a difference."""
    return "direction" in claim and (
        "minus" in claim["measured"]
        or bool({"equal", "still"} & set(claim["noop"]))
        or (claim["noop"].get("set") == 0 and 0 in claim["direction"].values())
    )


def _turned(own: pd.DataFrame, claim: dict[str, Any]) -> pd.DataFrame:
    """Differences the other way round, with their intervals."""
    (column, *_), bounds = _columns(claim)
    if "minus" in claim["measured"]:
        keys = list(claim["measured"]["minus"])
        first, other = own.iloc[0], own.iloc[-1]
        return own.assign(**{key: [other[key], *own[key][1:-1], first[key]] for key in keys})
    turned = own.assign(**{column: -own[column]})
    if bounds:
        low, high = bounds
        turned = turned.assign(**{low: -own[high], high: -own[low]})
    return turned


def set_to(
    own: pd.DataFrame, claim: dict[str, Any], cells: list[Cell], value: float
) -> pd.DataFrame:
    """Every value a claim reads at `value`, in the middle of an interval as wide as before."""
    columns, bounds = _columns(claim)
    found = own.copy()
    for column in columns:
        if "minus" in claim["measured"]:
            for cell in cells:
                here = match(own, cell.where).index
                there = match(own, {**cell.where, **claim["measured"]["minus"]}).index
                found.loc[here, column] = own.loc[there, column].to_numpy() + value
        elif column in own:
            found[column] = float(value)
    for bound in bounds:
        found[bound] = own[bound] - own[columns[0]] + value
    return found


def _exchange_columns(own: pd.DataFrame) -> pd.DataFrame:
    """Numbers of the two modalities exchanged: columns `x_a` and `x_b`, `x_ab` and `x_ba`."""
    names = {}
    for column in own:
        other = re.sub(
            r"_(ab|ba|a|b)(?=_low$|_high$|$)", lambda found: f"_{_EXCHANGE[found[1]]}", column
        )
        if other != column and other in own:
            names[column] = other
    return own.rename(columns=names)


def _exchange_rows(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Rows of the two modalities exchanged, where a model has both."""
    turned = table[column].map(lambda value: _EXCHANGE.get(value, value))
    if "model" in table:
        both = table.groupby("model")[column].transform("nunique") > 1
        turned = turned.where(both, table[column])
    return table.assign(**{column: turned})
