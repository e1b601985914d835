"""Tar archives, read front to back in bounded memory, and found out where they are broken."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from mindgap.data.medium import (
    BadItem,
    Limits,
    Medium,
    check_name,
    check_size,
    held,
    missing,
    plain_name,
    short,
)
from mindgap.runtime.errors import UserError

_LONGEST_HEADER = 1 << 20  # bytes of a name or of a header's notes


def open_tar(path: str | Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield the members of a tar that are not folders, front to back, in bounded memory.

    A damaged or truncated tar ends in a `UserError` where it breaks, also where the library would
    take a broken header for the end.
    """
    try:
        with tarfile.open(path, "r|*", tarinfo=_Header) as archive:
            for info in archive:
                if not info.isdir():
                    yield archive, info
                archive.members = []  # tarfile keeps every header that it has seen
            if not getattr(archive, "ended", False):
                raise tarfile.ReadError("it breaks off, or a header in it is broken")
            # Reading to the end also makes a compressed stream check its sum.
            while rest := archive.fileobj.read(1 << 20):
                if rest.strip(b"\0"):
                    raise tarfile.ReadError("it goes on after its end")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(f"{path} is damaged ({short(error)}); fetch or pack it again") from error


class _Header(tarfile.TarInfo):
    """A header that says where the archive ends, and whose long names are of a sane length."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> tarfile.TarInfo:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:
            archive.ended = True
            raise

    def _proc_gnulong(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        self._check_length()
        return super()._proc_gnulong(archive)

    def _proc_pax(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        self._check_length()
        return super()._proc_pax(archive)

    def _check_length(self) -> None:
        if self.size > _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")


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
        check_name(plain_name(info.name))
        if not info.isreg():
            raise BadItem("not a plain file")
        check_size(info.size, limits)
        data = archive.extractfile(info).read()
        if len(data) < info.size:
            raise BadItem("truncated in the archive")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        return missing(f"damaged in the archive: {short(error)}")
    except BadItem as failure:
        return missing(str(failure))
    name = plain_name(info.name)
    return Medium(lambda: data, str(path), name, info.offset_data) if plain else held(data)


def is_tar(path: Path) -> bool:
    """True of a tar, compressed or not."""
    try:
        return tarfile.is_tarfile(path)
    except (OSError, EOFError, zlib.error):
        return False
