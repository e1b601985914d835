"""Write beside, then rename: no reader ever meets a half-written file."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mindgap.runtime.errors import UserError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block ends well.

    The temporary name keeps the suffix, because many writers choose their format by it, and is
    the same every time, so that what a killed job leaves is overwritten by the next one. If the
    block raises, the temporary file is removed and an older `path` stays as it was. A full disk is
    a `UserError` that names `path`.
    """
    path = Path(path)
    part = path.with_name(f".part-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        part.touch()
        yield part
        os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if full := name_full_disk(error, path):
            raise full from error
        raise


@contextmanager
def replacing_files(folder: str | Path, last: str) -> Iterator[Path]:
    """Yield an empty folder beside `folder`; move its files there if the block ends well.

    For writers that choose the names of their files themselves. Each file is renamed, the one
    called `last` after all others, so that whoever waits for that one finds the rest; files of
    other names stay in `folder`. If the block raises, `folder` stays as it was.
    """
    folder = Path(folder)
    part = folder.with_name(f".part-{folder.name}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        yield part
        folder.mkdir(exist_ok=True)
        for path in sorted(part.iterdir(), key=lambda p: (p.name == last, p.name)):
            os.replace(path, folder / path.name)
        part.rmdir()
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if full := name_full_disk(error, folder):
            raise full from error
        raise


def name_full_disk(error: BaseException, path: str | Path | None = None) -> UserError | None:
    """The sentence for an error that means a full disk, or None for any other error."""
    if isinstance(error, UserError) or not isinstance(error, Exception):
        return None
    reason = full_disk(error)
    where = path or getattr(error, "filename", None) or "a temporary file"
    return reason and UserError(f"{where} cannot be written: {reason}; make room and run again")


def full_disk(error: BaseException | None) -> str | None:
    """The system's words for a full disk or quota, wherever they stand in the chain of an error.

    Libraries wrap the system's error, each in its own way: safetensors keeps its words alone.
    """
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return os.strerror(error.errno)
        if os.strerror(errno.ENOSPC) in str(error):
            return os.strerror(errno.ENOSPC)
        error = error.__cause__ or error.__context__
    return None


def own_copies(folder: str | Path) -> int:
    """Give each file below `folder` that is a link into a cache bytes of its own; return how many.

    Whoever writes such a file in place, and does not rename, would write into the cache.
    """
    count = 0
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names):
            with suppress(FileNotFoundError):  # another process may be at it
                if path.is_symlink() or path.stat().st_nlink > 1:
                    with replacing(path) as part:
                        shutil.copyfile(path, part)
                    count += 1
    return count


def link_advice(path: str | Path) -> str | None:
    """What to do where a result is a link into DVC's cache that may not be written."""
    path = Path(path)
    if not path.exists() or os.access(path, os.W_OK):
        return None
    if not path.is_symlink() and path.stat().st_nlink < 2:
        return None
    return (
        f"{path.parent} holds write-protected links into DVC's cache; to make files anew call "
        f"`dvc repro`, or `dvc unprotect {path.parent}` first"
    )


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


@contextmanager
def open_tensors(path: str | Path) -> Iterator[Any]:
    """Yield an open safetensors file of numpy arrays; one that is damaged is a `UserError`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            yield file
    except SafetensorError as error:
        raise UserError(
            f"{path} is not a readable safetensors file ({error}); delete it and run again"
        ) from error


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
