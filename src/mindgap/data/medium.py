"""One media file that nobody trusts yet: how to read it, what it may cost, why it failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath


class BadItem(Exception):
    """One file that cannot be used; the message is the reason, for the list of failures."""


@dataclass(frozen=True)
class Limits:
    """What a single file may cost.

    Attributes
    ----------
    max_bytes
        Size of a file, unpacked.
    max_pixels
        Width times height of a picture.
    max_aspect
        Long side over short side of a picture: a 1 x 5000 picture scaled to 224 pixels on its
        short side would have a million on the other.
    max_samples
        Samples of a sound over all channels, decoded: 75 minutes of mono at 44.1 kHz.
    """

    max_bytes: int = 64 * 1024**2
    max_pixels: int = 50_000_000
    max_aspect: float = 50.0
    max_samples: int = 200_000_000


@dataclass(frozen=True)
class Medium:
    """One file of an item: how to read it, and where it lies, for tables that hold references.

    Attributes
    ----------
    read
        Returns the bytes, or raises `BadItem` with the reason why there are none.
    archive, member
        The folder, zip or tar and the name within; None where the bytes are made on the spot.
    offset
        Where the bytes start in an uncompressed tar; None for a folder or a zip.
    """

    read: Callable[[], bytes]
    archive: str | None = None
    member: str | None = None
    offset: int | None = None


def missing(reason: str = "no such file") -> Medium:
    """Return a medium that cannot be read, for the given reason."""

    def read() -> bytes:
        raise BadItem(reason)

    return Medium(read)


def held(data: bytes) -> Medium:
    """Return a medium whose bytes are at hand."""
    return Medium(lambda: data)


def check_name(name: str) -> None:
    """Refuse a name that is empty or leaves its folder."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if not parts.parts:
        raise BadItem("the table gives no file name")
    if parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[0]:
        raise BadItem("the name leaves the folder")


def hidden(name: str) -> bool:
    """True of files that systems leave behind (.DS_Store, __MACOSX/._x.jpg)."""
    parts = PurePosixPath(name).parts
    return any(p == "__MACOSX" or (p.startswith(".") and p not in (".", "..")) for p in parts)


def plain_name(name: str) -> str:
    """A member's name without a leading `./`, which archives of `.` put there."""
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    return name


def check_size(size: int, limits: Limits) -> None:
    """Refuse a file that is larger than allowed."""
    if size > limits.max_bytes:
        raise BadItem(f"{size:,} bytes exceed the limit of {limits.max_bytes:,}")


def short(error: Exception) -> str:
    """Message of a library's error on one line, without addresses of objects."""
    text = " ".join(str(error).split())
    return text.partition(" <_io")[0][:120] or type(error).__name__
