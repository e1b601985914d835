"""Small pictures, clips, sounds and words, and their archives: the same at each call."""

from __future__ import annotations

import gzip
import io
import tarfile
import wave
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

_DATE = (2020, 1, 1, 0, 0, 0)
_WHAT = (
    *("dog", "cat", "horse", "boat", "train", "bird", "tree", "house", "lamp", "chair"),
    *("kite", "clock", "bridge", "flower", "bottle"),
)
_HOW = ("red", "green", "blue", "small", "large", "old", "wooden", "bright", "dark", "striped")
_WHERE = ("on a table", "in the snow", "under a bridge", "by the sea", "near a wall", "at night")


def caption(number: int) -> str:
    """A short sentence; no two numbers below 900 have the same one.

    Some words stand in many sentences, so that a code can be asked whether it means them.
    """
    what, how = _WHAT[number % 15], _HOW[number // 30 % 10]
    verb = ("is", "was", "stands")[number // 300 % 3]
    return f"A {how} {what} {verb} {_WHERE[number // 15 % 2 + 2 * (number % 3)]}"


def picture(
    seed: int, size: tuple[int, int] = (64, 48), mode: str = "RGB", form: str = "JPEG"
) -> bytes:
    """An encoded picture: patches of colour that the seed decides."""
    rng = np.random.default_rng(seed)
    patches = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    stream = io.BytesIO()
    patches.resize(size, Image.Resampling.BICUBIC).convert(mode).save(stream, form)
    return stream.getvalue()


def pixels(seed: int, side: int, channels: int = 3) -> np.ndarray:
    """A picture as an array: uint8 (side, side, channels)."""
    given = Image.open(io.BytesIO(picture(seed, (side, side), form="PNG")))
    return np.asarray(given)[..., :channels]


def sound(seed: int, seconds: float = 0.4, rate: int = 8000) -> bytes:
    """A tone in noise, mono PCM of 16 bits in a WAV file."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * rng.uniform(200, 2000) * time) + 0.1 * rng.standard_normal(len(time))
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((9000 * tone).astype("<i2").tobytes())
    return stream.getvalue()


def moving(seed: int, frames: int = 9) -> bytes:
    """A clip as an animated PNG."""
    stills = [Image.open(io.BytesIO(picture(100 * seed + k))) for k in range(frames)]
    stream = io.BytesIO()
    stills[0].save(stream, "PNG", save_all=True, append_images=stills[1:], duration=100)
    return stream.getvalue()


def film(seed: int, frames: int = 12, size: tuple[int, int] = (64, 48)) -> bytes:
    """An MP4 of patches that drift, without sound."""
    import av

    rng = np.random.default_rng(seed)
    whole = np.asarray(
        Image.fromarray(rng.integers(0, 256, (6, 12, 3), dtype=np.uint8)).resize(
            (2 * size[0], size[1]), Image.Resampling.BICUBIC
        )
    )
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as target:
        track = target.add_stream("mpeg4", rate=6)
        track.width, track.height, track.pix_fmt = *size, "yuv420p"
        track.thread_count = 1
        for i in range(frames):
            frame = np.ascontiguousarray(whole[:, 4 * i : 4 * i + size[0]])
            for packet in track.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                target.mux(packet)
        for packet in track.encode():
            target.mux(packet)
    return stream.getvalue()


def _bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data


def pack_zip(path: Path, files: dict[str, bytes | str]) -> None:
    """Write a zip with the given members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as target:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, _DATE)
            info.external_attr = 0o644 << 16
            target.writestr(info, _bytes(data))


def pack_tar(path: Path, files: dict[str, bytes | str]) -> None:
    """Write a tar with the given members, gzipped if its name ends so."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as target:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(_bytes(data))
            target.addfile(info, io.BytesIO(_bytes(data)))
    data = plain.getvalue()
    write(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def write(path: Path, data: bytes | str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_bytes(data))
