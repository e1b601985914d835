"""The kind `folder`: your own pictures, clips or sounds with a CSV of captions, labels, groups."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from mindgap.data.media import CHECKS, BadItem, Limits, MediaStore
from mindgap.errors import UserError

BATCH = 256  # items held at a time
#: Names of the table's columns, unless the configuration says otherwise.
COLUMNS = {"file": "file", "text": "text", "label": None, "group": None}


@dataclass
class Tally:
    """What went in, what came out, and why the rest did not.

    `failures` holds one row a failed item or caption: what, name, reason.
    """

    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("items_in", "items_out", "captions_in", "captions_out"), 0
        )
    )
    failures: list[dict[str, str]] = field(default_factory=list)

    def fail(self, what: str, name: str, reason: str) -> None:
        """Note one failure; `what` is item or caption."""
        self.failures.append({"what": what, "name": name, "reason": reason})

    def check(self) -> None:
        """In = out + failed, for items and captions; anything else is a defect of the reader."""
        for what in ("item", "caption"):
            failed = sum(f["what"] == what for f in self.failures)
            if self.counts[f"{what}s_in"] != self.counts[f"{what}s_out"] + failed:
                raise AssertionError(f"{what}s: {self.counts} and {failed} failures do not add up")


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


def folder_batches(
    tally: Tally,
    *,
    media: str,
    modality: str,
    table: str,
    columns: dict[str, str | None] | None = None,
    classes: list[str] | None = None,
    max_bytes: int = Limits.max_bytes,
    max_pixels: int = Limits.max_pixels,
    max_aspect: float = Limits.max_aspect,
) -> Iterator[dict[str, list]]:
    """Yield the columns of the pairs table, `BATCH` items at a time, and fill `tally`.

    Every media file is decoded once, so that an item in the table is one that an encoder can
    read. An item without its file, without a caption that says something, or with a label outside
    `classes` fails; so does a file that the table does not name.
    """
    columns = {**COLUMNS, **(columns or {})}
    limits = Limits(max_bytes, max_pixels, max_aspect)
    store, items = MediaStore(media, limits), read_table(table, columns)
    for name in store.names():
        if name not in items:
            tally.counts["items_in"] += 1
            tally.fail("item", name, "the table does not name this file")
    rows: list[dict] = []
    for name, item in tqdm(items.items(), desc="read media", unit=" items", mininterval=1):
        row = _row(store, name, item, tally, modality, classes, columns["text"] is not None)
        if row is None:
            continue
        if columns["label"] is None:
            del row["label"]
        if columns["group"] is None:
            del row["group"]
        rows.append(row)
        if len(rows) == BATCH:
            yield {key: [r[key] for r in rows] for key in rows[0]}
            rows = []
    if rows:
        yield {key: [r[key] for r in rows] for key in rows[0]}
    tally.check()


def _row(
    store: MediaStore,
    name: str,
    item: _Item,
    tally: Tally,
    modality: str,
    classes: list[str] | None,
    captioned: bool,
) -> dict | None:
    tally.counts["items_in"] += 1
    tally.counts["captions_in"] += len(item.captions)
    captions = [caption for caption in item.captions if caption]
    for _ in range(len(item.captions) - len(captions)):
        tally.fail("caption", name, "empty caption")
    try:
        if captioned and not captions:
            raise BadItem("no caption that says something")
        if classes is not None and item.label not in classes:
            raise BadItem(f"label {item.label!r} is none of the classes")
        data = store.read(name)
        CHECKS[modality](data, store.limits)
    except BadItem as failure:
        tally.fail("item", name, str(failure))
        for _ in captions:
            tally.fail("caption", name, str(failure))
        return None
    tally.counts["items_out"] += 1
    tally.counts["captions_out"] += len(captions)
    return {
        "id": name,
        modality: data,
        "text": captions,
        "label": item.label,
        "group": item.group,
    }
