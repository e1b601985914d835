"""Fetch a file from a mirror or its own address, verify it, and move it into place."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pooch
import requests

from mindgap.data.sources import Source
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import replacing, sha256, write_text

_TRIES = 3
_TIMEOUT_S = 60


def fetch(
    wanted: Source, target: str | Path, mirror: str | None = None, record: str | Path | None = None
) -> str:
    """Bring one file to `target` and return the address or path that it came from.

    A file that is already there, whoever put it, is verified and kept. Otherwise a mirror (a folder
    or a base address) is tried first, by `{mirror}/{source}/{filename}` and by
    `{mirror}/{sha256}`. A download is verified before it gets its name; on a mismatch, a broken
    download or a missing file a `UserError` is raised and nothing is left behind. A source without
    a checksum has its sum recorded in `{target}.sha256` at the first download; later downloads are
    checked against that record.

    Parameters
    ----------
    record
        File that gets the checksum when all is well, for the workflow to go by. A folder in the
        place of a file, which a user may have unpacked there, is recorded as such.
    """
    target = Path(target)
    first = target.with_name(target.name + ".sha256")
    expected = wanted.sha256 or (first.read_text().split()[0] if first.exists() else None)
    if target.exists():
        address, found = _keep(wanted, expected, target)
    else:
        address = _bring(wanted, expected, target, mirror)
        found = "folder" if target.is_dir() else sha256(target)
    if wanted.sha256 is None and found != "folder" and not first.exists():
        write_text(first, f"{found}  {target.name}\n")
    if record is not None:
        write_text(record, f"{found}  {target}\n")
    return address


def _keep(wanted: Source, expected: str | None, target: Path) -> tuple[str, str]:
    """Verify a file that is there; it is not ours to delete."""
    if target.is_dir():
        return f"{target}, a folder", "folder"
    _verify(target, wanted, expected, str(target), "delete it or put a whole copy there")
    return f"{target}, which is there", sha256(target)


def _bring(wanted: Source, expected: str | None, target: Path, mirror: str | None) -> str:
    folder = Path(mirror or "", wanted.source, wanted.filename)
    if mirror and folder.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(folder.resolve())
        return str(folder)
    misses = []
    with replacing(target) as part:
        for address in _addresses(wanted, mirror):
            if miss := _take(address, part):
                misses.append(f"{address} ({miss})")
                continue
            _verify(part, wanted, expected, address, "nothing was kept, replace that copy")
            return address
        raise UserError(_advice(wanted, target, misses))


def _advice(wanted: Source, target: Path, misses: list[str]) -> str:
    """What to do about a file that could not be had."""
    name = f"{wanted.source}/{wanted.filename}"
    if wanted.url is None:
        layout = f" ({wanted.layout})" if wanted.layout else ""
        return (
            f"{name} is not downloaded: {wanted.obtain}; put it at {target}{layout}, or into a "
            f"mirror folder as {name}, or name your copy in the data set's `files`"
        )
    return (
        f"{name} could not be fetched: {'; '.join(misses)}; check the network, or put the file "
        f"into a mirror folder as {name} and set MINDGAP_MIRROR to that folder"
    )


def _addresses(wanted: Source, mirror: str | None) -> list[str]:
    tails = [f"{wanted.source}/{wanted.filename}"] + ([wanted.sha256] if wanted.sha256 else [])
    base = mirror.rstrip("/") if mirror else ""
    return [f"{base}/{tail}" for tail in tails if base] + ([wanted.url] if wanted.url else [])


def _take(address: str, part: Path) -> str | None:
    """Copy or download `address` to `part`; return why not, if it is not there."""
    if not address.startswith(("http://", "https://")):
        path = Path(address.removeprefix("file://"))
        if not path.is_file():
            return "no such file"
        shutil.copyfile(path, part)
        return None
    download = pooch.HTTPDownloader(
        progressbar=os.isatty(2), chunk_size=1 << 20, timeout=_TIMEOUT_S
    )
    for left in reversed(range(_TRIES)):
        try:
            download(address, str(part), None)
            return None
        except requests.HTTPError as error:
            status = error.response.status_code
            why, final = f"HTTP status {status}", status < 500
        except requests.Timeout:
            why, final = f"no answer within {_TIMEOUT_S} s", False
        except requests.exceptions.ChunkedEncodingError:
            why, final = "the download broke off", False
        except requests.ConnectionError:
            why, final = "no connection", False
        except requests.RequestException as error:
            why, final = f"not a usable address: {type(error).__name__}", True
        if final or not left:
            return why
        logging.info("%s: %s, trying again", address, why)
    return None


def _verify(file: Path, wanted: Source, expected: str | None, address: str, advice: str) -> None:
    name = f"{wanted.source}/{wanted.filename}"
    size = file.stat().st_size
    kind, found = "sha256", sha256(file) if expected else None
    if not expected and wanted.md5:
        kind, expected, found = "md5", wanted.md5, pooch.file_hash(str(file), alg="md5")
    if expected and found != expected:
        short = (
            f" ({size:,} bytes in place of {wanted.bytes:,}: a truncated download?)"
            if wanted.bytes and size != wanted.bytes
            else ""
        )
        raise UserError(
            f"{name} from {address} has the wrong checksum: expected {kind} {expected}, "
            f"got {found}{short}; {advice}"
        )
    if wanted.bytes is not None and size != wanted.bytes:
        raise UserError(
            f"{name} from {address} has {size:,} bytes in place of {wanted.bytes:,}; {advice}"
        )
