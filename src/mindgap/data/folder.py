"""The kind `folder`: your own pictures, clips or sounds with a CSV of captions, labels, groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mindgap.config.datasets import Folder
from mindgap.data.items import Item
from mindgap.data.medium import Limits, plain_name
from mindgap.data.store import MediaStore
from mindgap.data.tables import read_rows, separator_hint
from mindgap.runtime.errors import UserError


@dataclass
class _Item:
    captions: list[str] = field(default_factory=list)
    label: str | None = None
    group: str | None = None


def read_table(path: str | Path, columns: dict[str, str | None]) -> dict[str, _Item]:
    """Read a CSV with one row per caption into file name -> captions, label, group, in file order.

    `columns` names the columns `file`, `text`, `label`, `group`; null ones are absent. Where the
    text is the last column, an unquoted comma in it does no harm. Label and group are those of an
    item's first row.
    """
    rows = read_rows(path)
    _, header = next(rows, (0, []))
    if not header:
        raise UserError(f"{path} is empty; it needs a header and one row per caption")
    place = {}
    for key, name in columns.items():
        if name is None:
            continue
        if name not in header:
            raise UserError(f"{path} has no column {name!r}{separator_hint(header)}")
        place[key] = header.index(name)
    last = len(header) - 1
    items: dict[str, _Item] = {}
    for line, row in rows:
        if len(row) > len(header) and place.get("text") == last:
            row[last:] = [",".join(row[last:])]
        if len(row) != len(header):
            raise UserError(
                f"{path}, line {line}: {len(row)} fields where the header has "
                f"{len(header)}; quote values that hold a comma"
            )
        name = plain_name(row[place["file"]])
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
    options: Folder, files: dict[str, str], limits: Limits, prompts: None = None
) -> tuple[int, Iterator[Item]]:
    """Items of a folder or archive, in the order of its table (of a tar: its own).

    A name in the table may leave out the folders that an archive wraps its files in. Files that
    the table does not name fail too; they come last, and where `items` takes a part of the set they
    do not count.
    """
    columns = options.columns.model_dump()
    store, table = MediaStore(files["media"], limits), read_table(files["table"], columns)

    def items() -> Iterator[Item]:
        for name, medium in store.stream(table):
            row = table[name]
            more = {key: getattr(row, key) for key in ("label", "group") if columns[key]}
            captions = row.captions if columns["text"] else None
            yield Item(name, {options.modality: medium}, captions, more)
        named = {full for name in table for full in store.find(name)}
        for name in store.names():
            if name not in named and not _is_table(files["table"], store.path / name):
                yield Item(name, problem="the table does not name this file")

    return len(table), items()


def _is_table(table: str, file: Path) -> bool:
    return file.exists() and file.samefile(table)
