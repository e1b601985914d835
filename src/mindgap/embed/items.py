"""Read a range of the pairs table; media that it only refers to come out as bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from mindgap.data.pairs import open_pairs, resolved
from mindgap.runtime.errors import UserError


def read_items(
    pairs: str | Path, columns: list[str], start: int, stop: int, rows: int
) -> Iterator[dict[str, list[Any]]]:
    """Yield the columns of rows `start` to `stop`, `rows` at a time, the last block shorter.

    Only the row groups that hold the range are read.
    """
    file = open_pairs(pairs)
    names = file.schema_arrow.names
    for name in columns:
        if name not in names:
            raise UserError(
                f"{pairs} has no column {name!r} (it has: {', '.join(names)}); this model embeds "
                "other modalities; choose another data set for it with `datasets`"
            )
    groups, first, offset = [], 0, 0
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        if offset < stop and offset + count > start:
            first = first if groups else offset
            groups.append(group)
        offset += count
    held: dict[str, list[Any]] = {name: [] for name in columns}
    batches = file.iter_batches(batch_size=rows, row_groups=groups, columns=columns)
    for batch in resolved(_cut(batches, start - first, stop - start)):
        for name in columns:
            held[name] += batch[name].to_pylist()
        while len(held[columns[0]]) >= rows:
            yield {name: held[name][:rows] for name in columns}
            held = {name: held[name][rows:] for name in columns}
    if held[columns[0]]:
        yield held


def _cut(batches: Iterable[pa.RecordBatch], skip: int, left: int) -> Iterator[pa.RecordBatch]:
    """Rows after the first `skip`, `left` of them, before anything behind them is read."""
    for batch in batches:
        some = batch.slice(min(skip, len(batch))).slice(0, left)
        skip -= min(skip, len(batch))
        left -= len(some)
        yield some
