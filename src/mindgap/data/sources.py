"""Rows of workflow/sources.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mindgap.errors import UserError


@dataclass(frozen=True)
class Source:
    """One remote file.

    Attributes
    ----------
    source, filename
        The file's place: `data/{source}/{filename}`, and the same below a mirror.
    url
        Its own address.
    sha256
        Expected checksum, or None if the publisher gives none.
    bytes
        Expected size, or None.
    """

    source: str
    filename: str
    url: str
    sha256: str | None
    bytes: int | None


def find_source(sources: dict[str, Any], source: str, filename: str) -> Source:
    """Return the row of `workflow/sources.yaml` for one file."""
    if source not in sources:
        raise UserError(f"sources: no source is called {source!r} (known: {', '.join(sources)})")
    files = sources[source]["files"]
    if filename not in files:
        raise UserError(f"sources: {source} has no file {filename!r} (known: {', '.join(files)})")
    row = files[filename]
    url = row.get("url") or sources[source]["address"] + filename
    return Source(source, filename, url, row["sha256"], row.get("bytes"))
