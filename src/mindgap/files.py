"""Write beside, then rename: no reader ever meets a half-written file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mindgap.errors import UserError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block ends well.

    The temporary name keeps the suffix, because many writers choose their format by it, and is
    the same every time, so that what a killed job leaves is overwritten by the next one. If the
    block raises, the temporary file is removed and an older `path` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")
    part.unlink(missing_ok=True)
    part.touch()
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def check_there(paths: Iterable[str | Path]) -> None:
    """Refuse to go on without a file that an earlier job has seen."""
    for path in paths:
        if not Path(path).exists():
            raise UserError(
                f"{path} is gone; put it back, or delete data/.fetched and run again to fetch it"
            )


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes, read in pieces."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON with stable formatting; NaN and infinity, which JSON lacks, are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_csv(path: str | Path) -> Any:
    """Read a table that `write_csv` wrote; one that was cut off is refused, not read in part."""
    import pandas as pd

    with open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - 1, 0))
        if stream.read() != b"\n":
            raise UserError(f"{path} ends in the middle of a line; delete it and run again")
    return pd.read_csv(path)


def write_csv(path: str | Path, table: Any) -> None:
    """Write a pandas DataFrame; floats keep every digit that distinguishes them."""
    with replacing(path) as part:
        table.to_csv(part, index=False, lineterminator="\n")
