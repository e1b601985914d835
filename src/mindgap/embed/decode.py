"""Bytes of a media column to pictures, frames and sound; what cannot be decoded is a `BadItem`."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from mindgap.data.media import open_picture, open_recording
from mindgap.data.medium import BadItem, short


def decode_picture(data: bytes) -> Image.Image:
    """First frame of an encoded picture, loaded."""
    try:
        picture = open_picture(data)
        picture.load()
    except Exception as error:  # each format fails in its own way
        raise BadItem(f"not a readable picture: {short(error)}") from error
    return picture


def decode_frames(data: bytes, count: int) -> list[Image.Image]:
    """`count` frames of an animated picture or a film, evenly spaced from its first to its last.

    A clip of fewer frames repeats some of them.
    """
    try:
        try:
            with open_picture(data) as film:
                return _choose(getattr(film, "n_frames", 1), count, _seek(film))
        except UnidentifiedImageError:
            return _film_frames(data, count)
    except BadItem:
        raise
    except Exception as error:
        raise BadItem(f"not a readable clip: {short(error)}") from error


def decode_sound(data: bytes, rate: int) -> np.ndarray:
    """Sound to mono float32 in [-1, 1) at `rate` samples a second; shape (samples,).

    PCM wave is read as it is, anything else is decoded. Channels are averaged; another rate is
    resampled with a polyphase filter.
    """
    try:
        try:
            sound, own = _read_wave(data)
        except wave.Error:
            sound, own = _read_recording(data)
    except BadItem:
        raise
    except Exception as error:
        raise BadItem(f"not a readable sound: {short(error)}") from error
    if not len(sound):
        raise BadItem("an empty sound")
    if own != rate:
        from scipy.signal import resample_poly

        common = int(np.gcd(own, rate))
        sound = resample_poly(sound, rate // common, own // common).astype(np.float32)
    return sound


def stack(inputs: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Inputs of single items, key by key, as one batch."""
    return {key: np.stack([one[key] for one in inputs]) for key in inputs[0]}


def _choose(total: int, count: int, frame: Any) -> list[Image.Image]:
    chosen = np.linspace(0, total - 1, count).round().astype(int).tolist()
    frames = {index: frame(index) for index in sorted(set(chosen))}
    return [frames[index] for index in chosen]


def _seek(film: Image.Image) -> Any:
    def frame(index: int) -> Image.Image:
        film.seek(index)
        return film.convert("RGB")

    return frame


def _film_frames(data: bytes, count: int) -> list[Image.Image]:
    with open_recording(data) as film:
        if not film.streams.video:
            raise BadItem("no video stream")
        total = sum(1 for _ in film.decode(video=0))
    if not total:
        raise BadItem("no frame")
    # Twice through the film, because what a container says of its frames is often wrong, and all
    # frames of a long one do not fit into memory.
    wanted = set(np.linspace(0, total - 1, count).round().astype(int).tolist())
    with open_recording(data) as film:
        frames = {
            index: frame.to_image()
            for index, frame in enumerate(film.decode(video=0))
            if index in wanted
        }
    return _choose(total, count, frames.__getitem__)


def _read_wave(data: bytes) -> tuple[np.ndarray, int]:
    with wave.open(io.BytesIO(data)) as file:
        width, channels, own = file.getsampwidth(), file.getnchannels(), file.getframerate()
        raw = file.readframes(file.getnframes())
    if len(raw) % (width * channels):
        raise BadItem("truncated wave file")
    if width == 1:  # the one unsigned width
        samples = np.frombuffer(raw, np.uint8).astype(np.float32) / 128 - 1
    else:
        # Little-endian samples of any width as the high bytes of 32 bits.
        padded = np.zeros((len(raw) // width, 4), np.uint8)
        padded[:, 4 - width :] = np.frombuffer(raw, np.uint8).reshape(-1, width)
        samples = padded.view("<i4")[:, 0].astype(np.float32) / 2.0**31
    return samples.reshape(-1, channels).mean(axis=1), own


def _read_recording(data: bytes) -> tuple[np.ndarray, int]:
    import av

    with open_recording(data) as sound:
        if not sound.streams.audio:
            raise BadItem("no audio stream")
        own = sound.streams.audio[0].rate
        resampler = av.AudioResampler(format="fltp", rate=own)
        parts = [
            part.to_ndarray()
            for frame in sound.decode(audio=0)
            for part in resampler.resample(frame)
        ]
    if not parts:
        raise BadItem("no signal")
    return np.concatenate(parts, axis=1).mean(axis=0), own
