"""Numbers of a snapshot, as a template asks for them."""

from __future__ import annotations

import json
import math
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from mindgap.docs.snapshot import matches
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import read_csv


def number(value: float, digits: int = 3, sign: bool = False) -> str:
    """A value with a fixed number of decimals; one that rounds to zero has no sign."""
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def percent(value: float, digits: int = 0) -> str:
    """A share in percent."""
    return f"{number(100 * value, digits)} %"


def small(value: float) -> str:
    """A p-value, as far as it is worth saying."""
    if value < 0.0001:
        return f"{value:.1e}"
    return number(value, 4 if value < 0.001 else 3 if value < 0.01 else 2)


def duration(seconds: float) -> str:
    """Seconds as a person says them: 85 s, 14 min, 2.1 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """Bytes as a person says them."""
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


class RunTables:
    """The tables of one run.

    Calling it with a table, a column and column values gives the one value that these pick.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tables: dict[str, pd.DataFrame] = {}

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What made the run, and its cost."""
        return json.loads((self.folder / "run.json").read_text(encoding="utf-8"))

    @cached_property
    def scores(self) -> dict[str, dict[str, Any]]:
        """Claim -> its score."""
        rows = json.loads((self.folder / "scorecard.json").read_text(encoding="utf-8"))
        return {row["id"]: row for row in rows}

    def has(self, table: str) -> bool:
        """Whether the snapshot has a table."""
        return (self.folder / table).exists()

    def any(self, table: str, /, **where: Any) -> bool:
        """Whether the snapshot has a table with such a row."""
        return self.has(table) and bool(matches(self._read(table), where).any())

    def _read(self, table: str) -> pd.DataFrame:
        if table not in self._tables:
            self._tables[table] = read_csv(self.folder / table)
        return self._tables[table]

    def frame(self, table: str, /, **where: Any) -> pd.DataFrame:
        """Rows of a table; none is an error, because a template asks for what it shows."""
        if not self.has(table):
            raise UserError(f"{self.folder / table} is not there: name it in docs/snapshot.yaml")
        rows = self._read(table)
        if unknown := [name for name in where if name not in rows]:
            raise UserError(f"{self.folder / table} has no column {', '.join(unknown)}")
        rows = rows[matches(rows, where)]
        if rows.empty:
            raise UserError(f"{self.folder / table} has no row with {where}")
        return rows

    def rows(self, table: str, /, **where: Any) -> list[dict[str, Any]]:
        """Rows of a table, each a mapping."""
        return self.frame(table, **where).to_dict("records")

    def column(self, table: str, column: str, /, **where: Any) -> list[Any]:
        """Values of a column in some rows."""
        return self.frame(table, **where)[column].tolist()

    def __call__(self, table: str, column: str, /, **where: Any) -> Any:
        """The value of a column in the one row with these values."""
        values = self.column(table, column, **where)
        if len(values) > 1:
            raise UserError(f"{self.folder / table} has {len(values)} rows with {where}")
        value = values[0]
        if isinstance(value, float) and math.isnan(value):
            raise UserError(f"{self.folder / table} has no {column} where {where}")
        return value

    def interval(self, table: str, column: str, digits: int = 3, /, **where: Any) -> str:
        """A value and its interval, of the columns `_low` and `_high`."""
        return self._bounded(table, (column, f"{column}_low", f"{column}_high"), digits, **where)

    def effect(self, table: str, digits: int = 3, sign: bool = True, /, **where: Any) -> str:
        """An estimate and its interval, of the columns `estimate`, `low` and `high`."""
        return self._bounded(table, ("estimate", "low", "high"), digits, sign, **where)

    def _bounded(
        self, table: str, columns: tuple[str, ...], digits: int, sign: bool = False, /, **where: Any
    ) -> str:
        value, low, high = (self(table, column, **where) for column in columns)
        bounds = f"[{number(low, digits)}, {number(high, digits)}]"
        return f"{number(value, digits, sign)} {bounds}"

    def bounds(self, table: str, column: str, digits: int = 3, /, **where: Any) -> str:
        """The interval alone, of the columns `_low` and `_high`."""
        low, high = (self(table, f"{column}_{end}", **where) for end in ("low", "high"))
        return f"[{number(low, digits)}, {number(high, digits)}]"

    def mean(self, table: str, column: str, /, **where: Any) -> float:
        """Mean of a column over some rows."""
        return float(self.frame(table, **where)[column].mean())

    def lowest(self, table: str, column: str, /, **where: Any) -> float:
        """Lowest value of a column in some rows."""
        return float(self.frame(table, **where)[column].min())

    def highest(self, table: str, column: str, /, **where: Any) -> float:
        """Highest value of a column in some rows."""
        return float(self.frame(table, **where)[column].max())

    def spread(self, table: str, column: str, digits: int = 3, /, **where: Any) -> str:
        """Mean of a column over seeds, with the lowest and the highest."""
        low, high = self.lowest(table, column, **where), self.highest(table, column, **where)
        mean = number(self.mean(table, column, **where), digits)
        return f"{mean} ({number(low, digits)} to {number(high, digits)})"

    def listed(self, table: str, column: str, digits: int = 3, /, **where: Any) -> str:
        """Values of a column in some rows, one after the other."""
        return ", ".join(number(v, digits) for v in self.column(table, column, **where))
