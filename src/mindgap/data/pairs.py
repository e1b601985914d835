"""The pairs table: one row an item, media encoded, in one parquet file that any tool opens."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mindgap.errors import UserError
from mindgap.files import replacing

#: Columns that every reader knows; a set has those that apply, and may add truth columns.
COLUMNS: dict[str, pa.DataType] = {
    "id": pa.string(),
    "image": pa.binary(),  # an encoded picture (PNG, JPEG)
    "text": pa.list_(pa.string()),  # one or more captions
    "audio": pa.binary(),  # an encoded sound (WAV)
    "video": pa.binary(),  # an encoded clip (animated PNG)
    "label": pa.string(),
    "group": pa.string(),
}


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
                table = pa.table({name: pa.array(batch[name], types[name]) for name in batch})
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


def read_pairs(path: str | Path, columns: list[str], rows: int = 512) -> Iterable[pa.RecordBatch]:
    """Stream record batches of some columns; a missing column is a `UserError`."""
    file = pq.ParquetFile(path)
    for name in columns:
        if name not in file.schema_arrow.names:
            raise UserError(
                f"{path} has no column {name!r} (it has: {', '.join(file.schema_arrow.names)})"
            )
    return file.iter_batches(batch_size=rows, columns=columns)


def count_rows(path: str | Path) -> int:
    """Number of items in a pairs file."""
    return pq.read_metadata(path).num_rows
