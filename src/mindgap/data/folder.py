"""The kind `folder`: your own pictures, clips or sounds with a CSV of captions, labels, groups."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindgap.data.items import Item
from mindgap.data.store import Limits, MediaStore
from mindgap.errors import UserError

#: Names of the table's columns, unless the configuration says otherwise.
COLUMNS = {"file": "file", "text": "text", "label": None, "group": None}


@dataclass
class _Item:
    captions: list[str] = field(default_factory=list)
    label: str | None = None
    group: str | None = None


def read_table(path: str | Path, columns: dict[str, str | None]) -> dict[str, _Item]:
    """Read a CSV with a row a caption into file name -> captions, label, group, in file order.

    `columns` names the columns `file`, `text`, `label`, `group`; null ones are absent. Where the
    text is the last column, an unquoted comma in it does no harm. Label and group are those of an
    item's first row.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    with io.StringIO(text, newline="") as stream:
        reader = csv.reader(stream)
        header = next(reader, None)
        if not header:
            raise UserError(f"{path} is empty; it needs a header and a row a caption")
        place = {}
        for key, name in columns.items():
            if name is None:
                continue
            if name not in header:
                raise UserError(f"{path} has no column {name!r} (it has: {', '.join(header)})")
            place[key] = header.index(name)
        last = len(header) - 1
        items: dict[str, _Item] = {}
        for row in reader:
            if not row:
                continue
            if len(row) > len(header) and place.get("text") == last:
                row[last:] = [",".join(row[last:])]
            if len(row) != len(header):
                raise UserError(
                    f"{path}, line {reader.line_num}: {len(row)} fields where the header has "
                    f"{len(header)}; quote values that hold a comma"
                )
            name = row[place["file"]].removeprefix("./")
            item = items.get(name)
            if item is None:
                item = items[name] = _Item(
                    label=row[place["label"]] if "label" in place else None,
                    group=row[place["group"]] if "group" in place else None,
                )
            if "text" in place:
                item.captions.append(row[place["text"]].strip())
    return items


def folder(
    options: dict[str, Any], files: dict[str, str], limits: Limits, prompts: None = None
) -> tuple[int, Iterator[Item]]:
    """Items of a folder or archive and its table; a file that the table does not name fails."""
    columns = {**COLUMNS, **options.get("columns", {})}
    store, table = MediaStore(files["media"], limits), read_table(files["table"], columns)
    strays = [name for name in store.names() if name not in table]

    def items() -> Iterator[Item]:
        for name in strays:
            yield Item(name, problem="the table does not name this file")
        for name, medium in store.stream(table, exact=True):
            row = table[name]
            more = {key: getattr(row, key) for key in ("label", "group") if columns[key]}
            captions = row.captions if columns["text"] else None
            yield Item(name, {options["modality"]: medium}, captions, more)

    return len(strays) + len(table), items()
