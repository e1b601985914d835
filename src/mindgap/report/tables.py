"""The tables of a run, which of their rows its configuration asks for, and how rows are found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mindgap.runtime.files import read_csv

#: Column -> value, or a list of values.
Where = dict[str, Any]
#: Table -> the rows that it should have, block by block: column -> values.
Present = Mapping[str, list[dict[str, list[Any]]]]


class Tables:
    """Tables of one run and of published values, each read once; changed copies share them."""

    def __init__(self, results: str | Path, references: str | Path = "workflow/reference"):
        self.results, self.references = Path(results), Path(references)
        self._read: dict[Path, pd.DataFrame | None] = {}
        self._changed: dict[str, pd.DataFrame] = {}

    def get(self, name: str) -> pd.DataFrame | None:
        """The table `name`, a path below the results; None where there is none."""
        return self._changed[name] if name in self._changed else self._load(self.results / name)

    def reference(self, name: str) -> pd.DataFrame | None:
        """A table of published values, a path below the references."""
        return self._load(self.references / name)

    def changed(self, tables: Mapping[str, pd.DataFrame]) -> Tables:
        """The same tables but for some."""
        other = Tables(self.results, self.references)
        other._read, other._changed = self._read, {**self._changed, **tables}
        return other

    def _load(self, path: Path) -> pd.DataFrame | None:
        if path not in self._read:
            self._read[path] = read_csv(path) if path.exists() else None
        return self._read[path]


def match(table: pd.DataFrame, where: Where) -> pd.DataFrame:
    """Rows in which every column has the given value, or one of the given ones."""
    mask = np.ones(len(table), bool)
    for key, wanted in where.items():
        column, found = table[key].to_numpy(), np.zeros(len(table), bool)
        for value in wanted if isinstance(wanted, list) else [wanted]:
            number, numbers = isinstance(value, int | float), column.dtype.kind in "fiub"
            found |= column == value if number == numbers else column.astype(str) == str(value)
        mask &= found
    return table[mask]


def lacking(present: Present, table: str, where: Where) -> str:
    """What a run's configuration leaves out of the rows `where`; empty where it has them."""
    if table not in present:
        return f"table {table}"
    blocks = present[table]
    if any(_within(block, where) is not None for block in blocks):
        return ""
    known = {key for block in blocks for key in block}
    return name_row({key: value for key, value in where.items() if key in known})


def expected(present: Present, table: str, where: Where, keys: list[str]) -> list[Where]:
    """Values of `keys` in each row that a table should have among the rows `where`."""
    rows: dict[tuple, Where] = {}
    for block in present[table]:
        part = _within(block, where)
        if part is not None:
            for values in product(*(part[key] for key in keys)):
                rows.setdefault(values, dict(zip(keys, values, strict=True)))
    return list(rows.values())


def _within(block: dict[str, list[Any]], where: Where) -> dict[str, list[Any]] | None:
    """The part of a block in which every column has a wanted value; None where one has none."""
    part = dict(block)
    for key, wanted in where.items():
        if key in block:
            values = wanted if isinstance(wanted, list) else [wanted]
            part[key] = [value for value in block[key] if value in values]
            if not part[key]:
                return None
    return part


def name_row(where: Where) -> str:
    """Say which row: `model clip, dataset mscoco`."""
    return ", ".join(f"{key} {_words(value)}" for key, value in where.items())


def _words(value: Any) -> str:
    values: Iterable[Any] = value if isinstance(value, list) else [value]
    return " or ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)
