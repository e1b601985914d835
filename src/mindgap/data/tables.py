"""Tables of text that nobody trusts: a sentence for each way in which a CSV can be wrong."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

from mindgap.runtime.errors import UserError

csv.field_size_limit(1 << 24)  # a report or a page of text may stand in one field


def read_text(path: str | Path) -> str:
    """Text of a UTF-8 file, gzipped or not, without a byte-order mark."""
    try:
        data = Path(path).read_bytes()
        return gunzip(data).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error})") from error


def gunzip(data: bytes, most: int = 1 << 30) -> bytes:
    """Unpack bytes if they are gzipped; what swells beyond `most` bytes raises an `OSError`."""
    if data[:2] != b"\x1f\x8b":
        return data
    with gzip.open(io.BytesIO(data)) as stream:
        unpacked = stream.read(most + 1)
    if len(unpacked) > most:
        raise OSError(f"it unpacks to more than {most:,} bytes")
    return unpacked


def read_rows(path: str | Path, text: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """Number of the line on which it ends, and fields, of each row that is not blank.

    The first row is the header. `text` stands in where the table comes from an archive.
    """
    text = read_text(path) if text is None else text
    with io.StringIO(text, newline="") as stream:
        reader = csv.reader(stream, strict=True)
        start = 1
        try:
            for row in reader:
                if any(field.strip() for field in row):
                    yield reader.line_num, row
                start = reader.line_num + 1
        except csv.Error as error:
            raise UserError(
                f"{path}, from line {start} on: {error}; a quote is not closed, or "
                "is not doubled inside a quoted value"
            ) from error


def read_records(
    path: str | Path, columns: tuple[str, ...], text: str | None = None
) -> Iterator[dict[str, str]]:
    """Rows of a CSV as mappings that have at least `columns`."""
    rows = read_rows(path, text)
    header = next(rows, (0, []))[1]
    if absent := [name for name in columns if name not in header]:
        raise UserError(
            f"{path} has no column {absent[0]!r}{separator_hint(header)}; as published it has "
            f"{', '.join(columns)}"
        )
    for line, row in rows:
        if len(row) != len(header):
            raise UserError(
                f"{path}, line {line}: {len(row)} fields where the header has {len(header)}"
            )
        yield dict(zip(header, row, strict=True))


def separator_hint(header: list[str]) -> str:
    """What a header says of itself where a column is not found."""
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and mark in header[0]:
            return f" (it is separated by {name}; save it with commas)"
    return f" (it has: {', '.join(repr(name) for name in header)})" if header else " (it is empty)"
