"""Decode a picture, clip or sound once, to be sure that an encoder can read it."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from mindgap.data.medium import BadItem, Limits, short

# The limit of pixels is the configuration's, checked before a picture is decoded.
Image.MAX_IMAGE_PIXELS = None

#: Pictures that are read, beside the library's common ones (PNG, JPEG, GIF, BMP, PPM). Others are
#: rare, and one of them, EPS, is a program that its reader hands to an interpreter.
FORMATS = ("Avif", "Jpeg2K", "Mpo", "Tga", "Tiff", "WebP")


@cache
def _formats() -> list[str]:
    Image.preinit()
    for name in FORMATS:
        with suppress(ImportError):  # an older version of the library has fewer
            import_module(f"PIL.{name}ImagePlugin")
    known = ("PNG", "JPEG", "GIF", "BMP", "PPM", "AVIF", "JPEG2000", "MPO", "TGA", "TIFF", "WEBP")
    return [name for name in known if name in Image.OPEN]


def open_picture(data: bytes) -> Image.Image:
    """Encoded picture, of a known format as its bytes tell; it is not decoded yet."""
    return Image.open(io.BytesIO(data), formats=_formats())


def open_recording(data: bytes) -> Any:
    """Container of an encoded film or sound, which cannot name other files or addresses.

    Playlists do: their reader would open what they say.
    """
    import av

    return av.open(io.BytesIO(data), options={"protocol_whitelist": "none"})


def check_picture(data: bytes, limits: Limits) -> None:
    """Decode a picture (its first frame); `BadItem` if that fails or breaks a limit.

    Grey, palette, CMYK and animated pictures pass: encoders convert to RGB and take the first
    frame.
    """
    try:
        with open_picture(data) as picture:
            width, height = picture.size
            if width * height > limits.max_pixels:
                raise BadItem(f"{width} x {height} pixels are more than {limits.max_pixels:,}")
            if max(width, height) > limits.max_aspect * min(width, height):
                raise BadItem(f"{width} x {height} is longer than {limits.max_aspect:g} to 1")
            picture.convert("RGB")
    except BadItem:
        raise
    except Exception as error:
        raise BadItem(f"not a readable picture: {short(error)}") from error


def check_clip(data: bytes, limits: Limits) -> None:
    """Decode an animated picture (GIF, PNG, WebP), or the key frames of a film (MP4, WebM, ...)."""
    try:
        with open_picture(data) as film:
            frames = getattr(film, "n_frames", 1)
    except UnidentifiedImageError:
        _check_film(data, limits)
        return
    except Exception as error:
        raise BadItem(f"not a readable clip: {short(error)}") from error
    check_picture(data, limits)
    try:
        with open_picture(data) as film:
            for frame in range(frames):
                film.seek(frame)
                film.convert("RGB")
    except Exception as error:
        raise BadItem(f"not a readable clip: {short(error)}") from error


def _check_film(data: bytes, limits: Limits) -> None:
    try:
        with open_recording(data) as film:
            if not film.streams.video:
                raise BadItem("no video stream")
            stream = film.streams.video[0]
            if stream.width * stream.height > limits.max_pixels:
                raise BadItem(f"{stream.width} x {stream.height} pixels are too many")
            # Key frames lie all along the file: a cut is found at a fraction of the cost.
            stream.codec_context.skip_frame = "NONKEY"
            if not sum(1 for _ in film.decode(stream)):
                raise BadItem("no frame")
    except BadItem:
        raise
    except Exception as error:
        raise BadItem(f"not a readable clip: {short(error)}") from error


def check_sound(data: bytes, limits: Limits) -> None:
    """Read a sound (PCM wave; FLAC, MP3, Ogg, ...); one that is empty or silent fails."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            width, expected = file.getsampwidth(), file.getnframes() * file.getnchannels()
            samples = file.readframes(file.getnframes())
    except wave.Error:
        _check_recording(data, limits)
        return
    except Exception as error:
        raise BadItem(f"not a readable sound: {short(error)}") from error
    if len(samples) < expected * width:
        raise BadItem("truncated wave file")
    silence = 128 if width == 1 else 0
    if not expected or not (np.frombuffer(samples, np.uint8) != silence).any():
        raise BadItem("no signal")


def _check_recording(data: bytes, limits: Limits) -> None:
    samples, signal = 0, False
    try:
        with open_recording(data) as sound:
            if not sound.streams.audio:
                raise BadItem("no audio stream")
            # Every packet is decoded, so that one that is cut short does not pass.
            for frame in sound.decode(audio=0):
                signal = bool(frame.to_ndarray().any()) or signal
                samples += frame.samples * len(frame.layout.channels)
                if samples > limits.max_samples:
                    raise BadItem(f"decodes to more than {limits.max_samples:,} samples")
            if not signal:
                raise BadItem("no signal")
    except BadItem:
        raise
    except Exception as error:
        raise BadItem(f"not a readable sound: {short(error)}") from error


#: How the files of each modality are checked.
CHECKS: dict[str, Callable[[bytes, Limits], None]] = {
    "image": check_picture,
    "video": check_clip,
    "audio": check_sound,
}
