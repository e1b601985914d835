"""From items as a reader finds them to checked rows of the pairs table, counted on both sides."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from tqdm import tqdm

from mindgap.data.media import CHECKS
from mindgap.data.medium import BadItem, Limits, Medium

BATCH = 256  # items of a batch at most
BATCH_BYTES = 64 * 1024**2  # bytes of a batch, beyond which it is written


@dataclass
class Item:
    """One item of a data set as its reader finds it.

    Attributes
    ----------
    name
        What the item is called in the table and in the list of failures.
    media
        Modality (image, video, audio) -> its file.
    captions
        Its texts in the order of the set; None where the set has none.
    more
        Further columns, such as label, group or protein.
    problem
        Why the reader could not make sense of the item; it fails with this reason.
    """

    name: str
    media: dict[str, Medium] = field(default_factory=dict)
    captions: list[str] | None = None
    more: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None


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
        self.failures.append({"what": what, "name": name[:200], "reason": reason[:400]})

    def check(self) -> None:
        """In = out + failed, for items and captions; anything else is a defect of the reader."""
        for what in ("item", "caption"):
            failed = sum(f["what"] == what for f in self.failures)
            if self.counts[f"{what}s_in"] != self.counts[f"{what}s_out"] + failed:
                raise AssertionError(f"{what}s: {self.counts} and {failed} failures do not add up")


def check_items(
    items: Iterable[Item],
    tally: Tally,
    *,
    total: int | None = None,
    bar: bool = True,
    classes: list[str] | None = None,
    limits: Limits | None = None,
    references: bool = False,
    threads: int = 1,
) -> Iterator[dict[str, list]]:
    """Yield the columns of the pairs table, a bounded number of items at a time, and fill `tally`.

    Every media file is decoded once, so that an item in the table is one that an encoder can
    read. An item without its file, without a caption that says something, or with a label outside
    `classes` fails, and so does an empty caption.

    Parameters
    ----------
    items
        What the reader found, in the order of the set.
    total
        How many they are, where that is known.
    bar
        Show a bar with rate and time left.
    references
        Keep where the media lie in place of their bytes.
    threads
        Files that are read and decoded at a time.
    """
    limits = limits or Limits()
    rows: list[dict] = []
    size = 0
    with (
        ThreadPoolExecutor(threads) as pool,
        tqdm(
            total=total, desc="read items", unit=" items", mininterval=1, disable=not bar
        ) as progress,
    ):
        rest = iter(items)
        while some := list(islice(rest, 8 * threads)):
            loaded = pool.map(lambda item: _load(item, classes, limits, references), some)
            for item, row in zip(some, loaded, strict=True):
                if _count(item, row, tally):
                    rows.append(row)
                    size += sum(len(v) for v in row.values() if isinstance(v, bytes))
                if len(rows) == BATCH or size > BATCH_BYTES:
                    yield _columns(rows)
                    rows, size = [], 0
            progress.update(len(some))
    if rows:
        yield _columns(rows)
    tally.check()


def _columns(rows: list[dict]) -> dict[str, list]:
    return {key: [row[key] for row in rows] for key in rows[0]}


def _count(item: Item, row: dict | BadItem, tally: Tally) -> bool:
    """Note what became of an item; True if it is in."""
    captions = item.captions or []
    good = [caption for caption in captions if caption]
    tally.counts["items_in"] += 1
    tally.counts["captions_in"] += len(captions)
    for _ in range(len(captions) - len(good)):
        tally.fail("caption", item.name, "empty caption")
    if isinstance(row, BadItem):
        tally.fail("item", item.name, str(row))
        for _ in good:
            tally.fail("caption", item.name, str(row))
        return False
    tally.counts["items_out"] += 1
    tally.counts["captions_out"] += len(good)
    return True


def _load(
    item: Item, classes: list[str] | None, limits: Limits, references: bool
) -> dict[str, Any] | BadItem:
    row: dict[str, Any] = {"id": item.name}
    try:
        if item.problem:
            raise BadItem(item.problem)
        if item.captions is not None:
            row["text"] = [caption for caption in item.captions if caption]
            if not row["text"]:
                raise BadItem("all captions are empty")
        if classes is not None and item.more.get("label") not in classes:
            raise BadItem(f"label {item.more.get('label')!r} is not among the classes")
        for modality, medium in item.media.items():
            data = medium.read()
            CHECKS[modality](data, limits)
            row[modality] = _reference(medium, data) if references else data
    except BadItem as failure:
        return failure
    return row | item.more


def _reference(medium: Medium, data: bytes) -> dict[str, Any]:
    if medium.archive is None:
        raise BadItem("it has no file of its own that a reference could name; set keep: bytes")
    return {
        "archive": medium.archive,
        "member": medium.member,
        "offset": medium.offset,
        "bytes": len(data),
        "crc32": zlib.crc32(data),
    }
