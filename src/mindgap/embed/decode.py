"""Bytes of a media column to pictures, frames and sound."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np
from PIL import Image


class BadMedium(Exception):
    """Bytes that cannot be decoded; the message is the reason, for the list of failures."""


def decode_picture(data: bytes) -> Image.Image:
    """First frame of an encoded picture, loaded."""
    try:
        picture = Image.open(io.BytesIO(data))
        picture.load()
    except Exception as error:  # each format fails in its own way
        raise BadMedium(f"not a readable picture: {_short(error)}") from error
    return picture


def decode_frames(data: bytes, count: int) -> list[Image.Image]:
    """`count` frames of an animated picture, evenly spaced from its first to its last.

    A clip of fewer frames repeats some of them.
    """
    try:
        with Image.open(io.BytesIO(data)) as film:
            chosen = np.linspace(0, getattr(film, "n_frames", 1) - 1, count).round().astype(int)
            frames = {}
            for index in sorted(set(chosen.tolist())):
                film.seek(index)
                frames[index] = film.convert("RGB")
    except Exception as error:
        raise BadMedium(f"not a readable clip: {_short(error)}") from error
    return [frames[index] for index in chosen.tolist()]


def decode_sound(data: bytes, rate: int) -> np.ndarray:
    """PCM wave to mono float32 in [-1, 1) at `rate` samples a second; shape (samples,).

    Channels are averaged; another rate is resampled with a polyphase filter.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            width, channels, own = file.getsampwidth(), file.getnchannels(), file.getframerate()
            raw = file.readframes(file.getnframes())
    except Exception as error:
        raise BadMedium(f"not a readable wave file: {_short(error)}") from error
    if not raw or len(raw) % (width * channels):
        raise BadMedium("an empty or truncated wave file")
    match width:
        case 1:  # the one unsigned width
            samples = np.frombuffer(raw, np.uint8).astype(np.float32) / 128 - 1
        case 2 | 4:
            kind = {2: "<i2", 4: "<i4"}[width]
            samples = np.frombuffer(raw, kind).astype(np.float32) / 2.0 ** (8 * width - 1)
        case 3:
            triples = np.frombuffer(raw, np.uint8).reshape(-1, 3)
            padded = np.zeros((len(triples), 4), np.uint8)
            padded[:, 1:] = triples
            samples = padded.view("<i4")[:, 0].astype(np.float32) / 2.0**31
        case _:
            raise BadMedium(f"wave samples of {8 * width} bits")
    sound = samples.reshape(-1, channels).mean(axis=1)
    if own != rate:
        from scipy.signal import resample_poly

        common = int(np.gcd(own, rate))
        sound = resample_poly(sound, rate // common, own // common).astype(np.float32)
    return sound


def stack(inputs: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Inputs of single items, key by key, as one batch."""
    return {key: np.stack([one[key] for one in inputs]) for key in inputs[0]}


def _short(error: Exception) -> str:
    return " ".join(str(error).split()).partition(" <_io")[0][:120] or type(error).__name__
