"""Open a folder, a zip or a tar of media without trusting it.

Nothing is unpacked to disk. A name that leaves the folder, a link out of it and a member that
swells beyond its limit are failures with a reason, never a crash.
"""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mindgap.errors import UserError


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
    """

    max_bytes: int = 64 * 1024**2
    max_pixels: int = 50_000_000
    max_aspect: float = 50.0


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
    """True of files that systems leave behind (.DS_Store, ._x.jpg)."""
    return PurePosixPath(name).name.startswith(".")


class MediaStore:
    """Files of a directory, a zip or a tar archive, by their names within."""

    def __init__(self, path: str | Path, limits: Limits) -> None:
        self.path, self.limits = Path(path), limits
        self.archive, self.packed = None, False
        self._names: dict[str, zipfile.ZipInfo | tarfile.TarInfo | None] | None = None
        self._tails: dict[str, list[str]] | None = None
        if self.path.is_dir():
            return
        if zipfile.is_zipfile(self.path):
            self.archive = zipfile.ZipFile(self.path)
            self._names = {i.filename: i for i in self.archive.infolist() if not i.is_dir()}
        elif self.path.is_file() and _is_tar(self.path):
            # A compressed tar knows no way back, and one pass over it is enough.
            self.packed = True
        else:
            raise UserError(f"{self.path} is neither a folder nor a zip or tar archive")

    def names(self) -> list[str]:
        """All file names, sorted; hidden files of a folder are left out."""
        if self.packed:
            return sorted(info.name for _, info in open_tar(self.path))
        if self._names is not None:
            return sorted(self._names)
        return sorted(
            p.relative_to(self.path).as_posix()
            for p in self.path.rglob("*")
            if (p.is_file() or p.is_symlink()) and not p.name.startswith(".")
        )

    def find(self, name: str) -> str:
        """Full name of the one file that is called `name` or ends in /`name`.

        Archives wrap their files in folders of various names. Without such a file, `name` itself
        comes back, and reading it says that it is absent.
        """
        if self._tails is None:
            self._tails = {}
            for full in self.names():
                if not hidden(full):
                    self._tails.setdefault(PurePosixPath(full).name, []).append(full)
        found = [
            full
            for full in self._tails.get(PurePosixPath(name).name, [])
            if full == name or full.endswith("/" + name)
        ]
        return name if name in found or len(found) != 1 else found[0]

    def medium(self, name: str) -> Medium:
        """One file of a folder or a zip, not read yet."""
        return Medium(lambda: self.read(name), str(self.path), name)

    def stream(self, names: Iterable[str], exact: bool = False) -> Iterator[tuple[str, Medium]]:
        """Yield the media of `names`: in that order, or in a tar's own.

        A tar is read once, front to back; names that it does not hold come last. Unless `exact`,
        a name may lie in some folder of the archive (see `find`).
        """
        if not self.packed:
            for name in names:
                yield name, self.medium(name if exact else self.find(name))
            return
        wanted, plain = dict.fromkeys(names), is_plain_tar(self.path)
        for stream, info in open_tar(self.path):
            tails = [info.name] if exact else _tails(info.name)
            name = next((tail for tail in tails if tail in wanted), None)
            if name is not None and (exact or not hidden(info.name)):
                del wanted[name]
                yield name, tar_medium(self.path, stream, info, self.limits, plain)
        for name in wanted:
            yield name, missing()

    def read(self, name: str) -> bytes:
        """Bytes of one file; `BadItem` if it is absent, leaves the folder or is too large."""
        check_name(name)
        return self._read_member(name) if self.archive else self._read_file(name)

    def _read_file(self, name: str) -> bytes:
        path = self.path / name
        if not path.exists():
            raise BadItem("no such file")
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise BadItem("a link that leaves the folder")
        if not path.is_file():
            raise BadItem("not a plain file")
        check_size(path.stat().st_size, self.limits)
        return path.read_bytes()

    def _read_member(self, name: str) -> bytes:
        info = self._names.get(name)
        if info is None:
            raise BadItem("no such file")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise BadItem("a link inside an archive")
        if info.flag_bits & 1:
            raise BadItem("encrypted")
        most = self.limits.max_bytes
        try:
            # The header may lie about the size, so no more than the limit is ever unpacked.
            with self.archive.open(info) as member:
                data = member.read(most + 1)
        except Exception as error:  # each way of packing fails in its own way
            raise BadItem(f"damaged in the archive: {short(error)}") from error
        if len(data) > most:
            raise BadItem(f"unpacks to more than the {most:,} bytes allowed")
        return data


def open_tar(path: str | Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield the members of a tar that are not folders, front to back, in bounded memory.

    A damaged or truncated tar ends in a `UserError` where it breaks.
    """
    try:
        with tarfile.open(path, "r|*") as archive:
            for info in archive:
                if not info.isdir():
                    yield archive, info
                archive.members = []  # tarfile keeps every header that it has seen
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(f"{path} is damaged ({short(error)}); fetch or pack it again") from error


def is_plain_tar(path: str | Path) -> bool:
    """True of an uncompressed tar, in which a member can be found again by its offset."""
    with open(path, "rb") as stream:
        stream.seek(257)
        return stream.read(5) == b"ustar"


def tar_medium(
    path: str | Path, archive: tarfile.TarFile, info: tarfile.TarInfo, limits: Limits, plain: bool
) -> Medium:
    """Return the member that the tar stands at; its bytes are taken now, while they pass by."""
    try:
        check_name(info.name)
        if not info.isreg():
            raise BadItem("not a plain file")
        check_size(info.size, limits)
        data = archive.extractfile(info).read()
        if len(data) < info.size:
            raise BadItem("truncated in the archive")
    except BadItem as failure:
        return missing(str(failure))
    return Medium(lambda: data, str(path), info.name, info.offset_data) if plain else held(data)


def check_size(size: int, limits: Limits) -> None:
    """Refuse a file that is larger than allowed."""
    if size > limits.max_bytes:
        raise BadItem(f"{size:,} bytes are more than the {limits.max_bytes:,} allowed")


def short(error: Exception) -> str:
    """Message of a library's error on one line, without addresses of objects."""
    text = " ".join(str(error).split())
    return text.partition(" <_io")[0][:120] or type(error).__name__


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (OSError, EOFError, zlib.error):
        return False


def _tails(name: str) -> Iterator[str]:
    """A name and what is left of it as its leading folders fall away, longest first."""
    parts = PurePosixPath(name).parts
    for i in range(len(parts)):
        yield "/".join(parts[i:])
