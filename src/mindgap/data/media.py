"""Open a folder or a zip of media without trusting it, and decode each file once to be sure of it.

Nothing is unpacked to disk. A name that leaves the folder, a link out of it, a member that swells
beyond its limit and a file that does not decode are failures with a reason, never a crash.
"""

from __future__ import annotations

import io
import stat
import wave
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

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


class MediaStore:
    """Files of a directory or a zip archive, by their relative names."""

    def __init__(self, path: str | Path, limits: Limits) -> None:
        self.path, self.limits = Path(path), limits
        self.archive = None
        if self.path.is_dir():
            self._names = None
        elif zipfile.is_zipfile(self.path):
            self.archive = zipfile.ZipFile(self.path)
            self._names = {i.filename: i for i in self.archive.infolist() if not i.is_dir()}
        else:
            raise UserError(f"{self.path} is neither a folder nor a zip archive")

    def names(self) -> list[str]:
        """All file names, sorted; hidden files are left out."""
        if self._names is not None:
            return sorted(self._names)
        return sorted(
            p.relative_to(self.path).as_posix()
            for p in self.path.rglob("*")
            if (p.is_file() or p.is_symlink()) and not p.name.startswith(".")
        )

    def read(self, name: str) -> bytes:
        """Bytes of one file; `BadItem` if it is absent, leaves the folder or is too large."""
        parts = PurePosixPath(name.replace("\\", "/"))
        if not parts.parts:
            raise BadItem("the table gives no file name")
        if parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[0]:
            raise BadItem("the name leaves the folder")
        return self._read_member(name) if self.archive else self._read_file(name)

    def _read_file(self, name: str) -> bytes:
        path = self.path / name
        if not path.exists():
            raise BadItem("no such file")
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise BadItem("a link that leaves the folder")
        if not path.is_file():
            raise BadItem("not a plain file")
        if (size := path.stat().st_size) > self.limits.max_bytes:
            raise BadItem(f"{size:,} bytes are more than the {self.limits.max_bytes:,} allowed")
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
            raise BadItem(f"damaged in the archive: {_short(error)}") from error
        if len(data) > most:
            raise BadItem(f"unpacks to more than the {most:,} bytes allowed")
        return data


def check_picture(data: bytes, limits: Limits) -> None:
    """Decode a picture (its first frame); `BadItem` if that fails or breaks a limit.

    Grey, palette, CMYK and animated pictures pass: encoders convert to RGB and take the first
    frame.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
            if width * height > limits.max_pixels:
                raise BadItem(f"{width} x {height} pixels are more than {limits.max_pixels:,}")
            if max(width, height) > limits.max_aspect * min(width, height):
                raise BadItem(f"{width} x {height} is longer than {limits.max_aspect:g} to 1")
            picture.convert("RGB")
    except BadItem:
        raise
    except Exception as error:
        raise BadItem(f"not a readable picture: {_short(error)}") from error


def check_clip(data: bytes, limits: Limits) -> None:
    """Decode every frame of an animated picture (GIF, PNG, WebP)."""
    check_picture(data, limits)
    try:
        with Image.open(io.BytesIO(data)) as film:
            for frame in range(getattr(film, "n_frames", 1)):
                film.seek(frame)
                film.convert("RGB")
    except Exception as error:
        raise BadItem(f"not a readable clip: {_short(error)}") from error


def check_sound(data: bytes, limits: Limits) -> None:
    """Read a PCM wave file; an empty or silent one is a failure, because it says nothing."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            width, expected = file.getsampwidth(), file.getnframes() * file.getnchannels()
            samples = file.readframes(file.getnframes())
    except Exception as error:
        raise BadItem(f"not a readable wave file: {_short(error)}") from error
    if len(samples) < expected * width:
        raise BadItem("truncated wave file")
    silence = 128 if width == 1 else 0
    if not expected or not (np.frombuffer(samples, np.uint8) != silence).any():
        raise BadItem("no signal")


#: How the files of each modality are checked.
CHECKS: dict[str, Callable[[bytes, Limits], None]] = {
    "image": check_picture,
    "video": check_clip,
    "audio": check_sound,
}


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text.partition(" <_io")[0][:120] or type(error).__name__
