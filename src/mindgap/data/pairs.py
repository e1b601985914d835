"""The pairs table: one row an item, media encoded, in one parquet file that any tool opens."""

from __future__ import annotations

import json
import sys
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mindgap.data.medium import BadItem, Limits
from mindgap.data.store import MediaStore
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import replacing

#: Columns that every reader knows; a set has those that apply, and may add truth columns.
COLUMNS: dict[str, pa.DataType] = {
    "id": pa.string(),
    "image": pa.binary(),  # an encoded picture (PNG, JPEG)
    "text": pa.list_(pa.string()),  # one or more captions
    "audio": pa.binary(),  # an encoded sound (WAV)
    "video": pa.binary(),  # an encoded clip (animated PNG)
    "label": pa.string(),
    "group": pa.string(),
    "protein": pa.string(),  # amino acids, one letter each
}

#: In place of the bytes, where a set is too large to be kept twice: where they lie. `archive` is a
#: folder, zip or tar (relative paths start where the workflow runs), `offset` a place in a tar.
REFERENCE = pa.struct(
    [
        ("archive", pa.string()),
        ("member", pa.string()),
        ("offset", pa.int64()),
        ("bytes", pa.int64()),
        ("crc32", pa.int64()),
    ]
)
MEDIA = ("image", "audio", "video")


def write_pairs(
    path: str | Path,
    batches: Iterable[dict[str, list]],
    truth: dict[str, pa.DataType] | None = None,
    about: dict[str, Any] | None = None,
) -> int:
    """Stream batches of columns to a parquet file and return the number of rows.

    Parameters
    ----------
    path
        Target; written beside and renamed.
    batches
        Each maps column name to a list; all batches have the same columns.
    truth
        Types of the columns that are not in `COLUMNS`.
    about
        Facts about the set (kind, seed, counts), kept as JSON in the file's metadata.
    """
    types = {**COLUMNS, **(truth or {})}
    count = 0
    with replacing(path) as part:
        writer = None
        try:
            for batch in batches:
                table = pa.table({n: pa.array(batch[n], _type(n, batch, types)) for n in batch})
                if writer is None:
                    note = {"mindgap": json.dumps(about or {}, sort_keys=True)}
                    schema = table.schema.with_metadata(note)
                    writer = pq.ParquetWriter(part, schema, compression="zstd")
                writer.write_table(table.cast(writer.schema))
                count += table.num_rows
        finally:
            if writer is not None:
                writer.close()
        if not count:
            raise UserError(f"{Path(path).name}: the data set has no items")
    return count


def _type(name: str, batch: dict[str, list], types: dict[str, pa.DataType]) -> pa.DataType:
    refers = name in MEDIA and isinstance(batch[name][0], dict)
    return REFERENCE if refers else types[name]


def open_pairs(path: str | Path) -> pq.ParquetFile:
    """Open a pairs file; one that is damaged is refused in a sentence."""
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        reason = " ".join(str(error).split()).partition(". ")[0].rstrip(".")
        raise UserError(
            f"{path} is not a readable parquet file ({reason}); delete it and run again"
        ) from error


def read_pairs(path: str | Path, columns: list[str], rows: int = 512) -> Iterable[pa.RecordBatch]:
    """Stream record batches of some columns; a missing column is a `UserError`.

    Media come out as bytes, whether the table holds them or refers to them; a file that is gone
    or has changed since the table was written is a `UserError`.
    """
    file = open_pairs(path)
    for name in columns:
        if name not in file.schema_arrow.names:
            raise UserError(
                f"{path} has no column {name!r} (it has: {', '.join(file.schema_arrow.names)})"
            )
    return resolved(file.iter_batches(batch_size=rows, columns=columns))


def read_items(
    path: str | Path, columns: list[str], items: Iterable[int]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield some items, in the order of the table, with what they have in some columns."""
    wanted, start = sorted({int(item) for item in items}), 0
    for rows in read_pairs(path, columns, rows=256):
        end = start + len(rows)
        for item in wanted[bisect_left(wanted, start) : bisect_left(wanted, end)]:
            yield item, {name: rows[name][item - start].as_py() for name in columns}
        start = end


def read_column(path: str | Path, column: str) -> list[Any]:
    """Every value of one column."""
    return [v for rows in read_pairs(path, [column]) for v in rows[column].to_pylist()]


def resolved(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Record batches with the bytes of media in place of references to them."""
    stores: dict[str, MediaStore] = {}
    for batch in batches:
        for i, field in enumerate(batch.schema):
            if field.type == REFERENCE:
                data = [_fetch(place.as_py(), stores) for place in batch.column(i)]
                batch = batch.set_column(
                    i, pa.field(field.name, pa.binary()), pa.array(data, pa.binary())
                )
        yield batch


def _fetch(place: dict[str, Any], stores: dict[str, MediaStore]) -> bytes:
    """Bytes behind a reference, checked against what they were when it was written."""
    archive, member = place["archive"], place["member"]
    try:
        if place["offset"] is not None:
            with open(archive, "rb") as stream:
                stream.seek(place["offset"])
                data = stream.read(place["bytes"])
        else:
            if archive not in stores:
                stores[archive] = MediaStore(archive, Limits(max_bytes=sys.maxsize - 1))
            data = stores[archive].read(member)
        if len(data) != place["bytes"] or zlib.crc32(data) != place["crc32"]:
            raise BadItem("it has changed")
    except (BadItem, OSError, UserError) as failure:
        raise UserError(
            f"{archive}: {member} is not what the pairs refer to ({failure}); bring the file back "
            "or delete the pairs and run again"
        ) from failure
    return data


def count_rows(path: str | Path) -> int:
    """Number of items in a pairs file."""
    return open_pairs(path).metadata.num_rows
