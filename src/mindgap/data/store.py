"""Open a folder, a zip or a tar of media without trusting it.

Nothing is unpacked to disk. A name that leaves the folder, a link out of it and a member that
swells beyond its limit are failures with a reason, never a crash.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from mindgap.data.medium import (
    BadItem,
    Limits,
    Medium,
    check_name,
    check_size,
    hidden,
    missing,
    plain_name,
    short,
)
from mindgap.data.tars import is_plain_tar, is_tar, open_tar, tar_medium
from mindgap.runtime.errors import UserError


class MediaStore:
    """Files of a directory, a zip or a tar archive, by their names within."""

    def __init__(self, path: str | Path, limits: Limits) -> None:
        self.path, self.limits = Path(path), limits
        self.archive, self.packed = None, False
        self._names: dict[str, zipfile.ZipInfo] | None = None
        self._tails: dict[str, list[str]] | None = None
        if self.path.is_dir():
            return
        # A tar may end in a zip, and would then pass for that one.
        if self.path.is_file() and (is_plain_tar(self.path) or is_tar(self.path)):
            # A compressed tar knows no way back, and one pass over it is enough.
            self.packed = True
        elif zipfile.is_zipfile(self.path):
            self.archive = zipfile.ZipFile(self.path)
            members = (i for i in self.archive.infolist() if not i.is_dir())
            self._names = {plain_name(i.filename): i for i in members}
        elif not self.path.exists():
            raise UserError(f"{self.path} does not exist")
        else:
            raise UserError(f"{self.path} is neither a folder nor a zip or tar archive")

    def names(self) -> list[str]:
        """All file names, sorted, without those that systems leave behind."""
        if self.packed:
            names = {plain_name(info.name) for _, info in open_tar(self.path)}
        elif self._names is not None:
            names = set(self._names)
        else:
            names = {
                p.relative_to(self.path).as_posix()
                for p in self.path.rglob("*")
                if p.is_file() or p.is_symlink()
            }
        return sorted(name for name in names if not hidden(name))

    def find(self, name: str) -> list[str]:
        """Full names of the files that are called `name` or, if none is, end in /`name`.

        Archives wrap their files in folders of various names.
        """
        if self._tails is None:
            self._tails = {}
            for full in self.names():
                self._tails.setdefault(PurePosixPath(full).name, []).append(full)
        same = self._tails.get(PurePosixPath(name).name, [])
        return [name] if name in same else [full for full in same if full.endswith("/" + name)]

    def medium(self, name: str) -> Medium:
        """The one file of a folder or a zip that `find` finds; it is not read yet."""
        found = self.find(name)
        if len(found) > 1:
            return missing(f"{len(found)} files end in that name: {', '.join(found[:2])}")
        full = found[0] if found else name
        return Medium(lambda: self.read(full), str(self.path), full)

    def stream(self, names: Iterable[str]) -> Iterator[tuple[str, Medium]]:
        """Yield the media of `names`: in that order, or in a tar's own.

        A tar is read once, front to back; names that it does not hold come last.
        """
        if not self.packed:
            for name in names:
                yield name, self.medium(name)
            return
        wanted, plain = dict.fromkeys(names), is_plain_tar(self.path)
        for stream, info in open_tar(self.path):
            full = plain_name(info.name)
            name = next((tail for tail in _tails(full) if tail in wanted), None)
            if name is not None and not hidden(full):
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


def _tails(name: str) -> Iterator[str]:
    """A name and what is left of it as its leading folders fall away, longest first."""
    parts = PurePosixPath(name).parts
    for i in range(len(parts)):
        yield "/".join(parts[i:])
