"""What commands print: JSON for programs, tables for people."""

from __future__ import annotations

import json
import sys
from typing import Any


def print_json(value: Any) -> None:
    """Print a value as JSON, which has neither NaN nor infinity: they become null."""

    def plain(number: Any) -> Any:
        if isinstance(number, dict):
            return {key: plain(each) for key, each in number.items()}
        if isinstance(number, list):
            return [plain(each) for each in number]
        return None if isinstance(number, float) and number - number != 0 else number

    print(json.dumps(plain(value), indent=2))


def print_table(table: Any) -> None:
    """Print a table of text: with lines on a terminal, plainly elsewhere."""
    flipped = table.T
    if not sys.stdout.isatty():
        print(flipped.to_string(index_names=False))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD)
    shown.add_column("")
    for name in flipped.columns:
        shown.add_column(name, justify="right")
    for name, row in flipped.iterrows():
        shown.add_row(str(name), *row)
    Console().print(shown)
