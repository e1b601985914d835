"""Media of a pairs table, decoded once (pixels, log-mel frames, word ids), or arrays of tokens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from mindgap.config.codebook import Inputs
from mindgap.data.medium import BadItem
from mindgap.data.pairs import count_rows, read_column, read_pairs
from mindgap.embed.decode import decode_frames, decode_picture, decode_sound
from mindgap.runtime.errors import UserError

QUIET = 1e-6  # added to mel energies before the log


@dataclass
class Side:
    """One modality of a data set, ready to be drawn from.

    Attributes
    ----------
    arrays
        Input name -> array with one entry per row of the modality.
    facts
        `kind` of the encoder and its `sizes`; `words` of a text, `mean` and `deviation` of sounds.
    first, count
        Where the rows of an item start and how many they are, int64 (n,).
    """

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]
    first: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    count: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        if not len(self.first):
            rows = len(next(iter(self.arrays.values())))
            self.first, self.count = np.arange(rows), np.ones(rows, np.int64)

    def __len__(self) -> int:
        return len(self.first)

    def batch(self, rows: np.ndarray, device: torch.device | str) -> dict[str, torch.Tensor]:
        """Inputs of some rows, without the columns that are padding in all of them."""
        parts = {key: value[rows] for key, value in self.arrays.items()}
        if "length" in parts:
            used = int(parts["length"].max())
            parts = {k: v if v.ndim == 1 else v[:, :used] for k, v in parts.items()}
        return {k: torch.from_numpy(np.ascontiguousarray(v)).to(device) for k, v in parts.items()}


def load_side(
    pairs: str | Path,
    modality: str,
    inputs: Inputs,
    facts: dict[str, Any] | None,
    threads: int,
) -> Side:
    """Decode one modality of a pairs file.

    Parameters
    ----------
    facts
        Those of the training set, which has the words, mean and deviation; None for the training
        set itself.
    """
    if modality == "text":
        return _texts(pairs, inputs, facts)
    values: list[np.ndarray] = []
    with (
        ThreadPoolExecutor(threads) as workers,
        tqdm(
            total=count_rows(pairs), desc=f"decode {modality}", unit=" items", mininterval=1
        ) as bar,
    ):
        for rows in read_pairs(pairs, ["id", modality], rows=256):
            names, data = rows["id"].to_pylist(), rows[modality].to_pylist()
            values += workers.map(partial(_decode, pairs, modality, inputs), names, data)
            bar.update(len(names))
    if modality == "audio":
        return _sounds(values, inputs, facts)
    video = modality == "video"
    sizes = {"size": inputs.size, "frames": inputs.frames if video else 1}
    sizes["span"] = inputs.span if video else 1
    return Side({"pixels": np.stack(values)}, {"kind": modality, "sizes": sizes})


def decode_one(modality: str, value: Any, inputs: Inputs) -> Any:
    """One medium as `load_side` sees it: pixels (F, size, size, 3), log-mel (T, mels), words."""
    if modality == "text":
        from mindgap.train.words import split_words

        return split_words(value[0])[: inputs.context]
    return _DECODE[modality](value, inputs)


def load_arrays(path: str | Path) -> Side:
    """Tokens of another encoder: an .npz with `rows` (n, L, d) and, where padded, `length`."""
    try:
        with np.load(path, allow_pickle=False) as file:
            rows = np.asarray(file["rows"], np.float32)
            whole = np.full(len(rows), rows.shape[1], np.int64)
            length = np.asarray(file["length"], np.int64) if "length" in file else whole
    except Exception as error:  # an archive can be damaged, or hold objects, in many ways
        raise UserError(
            f"{path} is not an .npz with `rows` of shape (n, L, d) ({error}); write it with "
            "numpy.savez"
        ) from error
    if rows.ndim != 3 or length.shape != rows.shape[:1]:
        raise UserError(
            f"{path}: `rows` must have the shape (n, L, d) and `length` (n,), got {rows.shape} and "
            f"{length.shape}"
        )
    bad = np.flatnonzero(
        ~np.isfinite(rows).all(axis=(1, 2)) | (length < 1) | (length > rows.shape[1])
    )
    if len(bad):
        raise UserError(
            f"{path}: item {bad[0]} has a NaN, an infinity or a length outside 1 to "
            f"{rows.shape[1]}; remove it or correct it"
        )
    sizes = {"dimension": rows.shape[2]}
    return Side({"rows": rows, "length": length}, {"kind": "features", "sizes": sizes})


def _decode(pairs, modality, inputs, name, data):
    try:
        return decode_one(modality, data, inputs)
    except BadItem as failure:
        raise UserError(f"{pairs}: item {name}: {failure}; remove it from the pairs") from failure


def _square(picture: Any, size: int) -> np.ndarray:
    """Middle square of a picture at `size` pixels, uint8 (size, size, 3)."""
    from PIL import ImageOps

    if picture.size != (size, size):
        picture = ImageOps.fit(picture.convert("RGB"), (size, size))
    return np.asarray(picture.convert("RGB"))


def _picture(data: bytes, inputs: Inputs) -> np.ndarray:
    return _square(decode_picture(data), inputs.size)[None]


def _clip(data: bytes, inputs: Inputs) -> np.ndarray:
    frames = decode_frames(data, inputs.frames)
    return np.stack([_square(frame, inputs.size) for frame in frames])


def _sound(data: bytes, inputs: Inputs) -> np.ndarray:
    samples = decode_sound(data, inputs.rate)[: int(inputs.seconds * inputs.rate)]
    mel = log_mel(samples, inputs.rate, inputs.hop, inputs.mels)
    return mel - mel.mean(0) if inputs.centred else mel


_DECODE = {"image": _picture, "video": _clip, "audio": _sound}


def log_mel(sound: np.ndarray, rate: int, hop: int, mels: int) -> np.ndarray:
    """Log mel energies of Hann windows of two hops: float32 (frames, mels), at least one frame."""
    window = 2 * hop
    padded = np.pad(sound, (hop // 2, window))
    count = max(1, len(sound) // hop)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][:count]
    size = max(512, 1 << (window - 1).bit_length())
    power = np.abs(np.fft.rfft(frames * np.hanning(window), size)) ** 2
    bank = _bank(size // 2 + 1, mels, rate)
    return np.log(power @ bank + QUIET).astype(np.float32)


@lru_cache(maxsize=4)
def _bank(bins: int, mels: int, rate: int) -> np.ndarray:
    from transformers.audio_utils import mel_filter_bank

    return mel_filter_bank(bins, mels, 0.0, rate / 2, rate, norm=None, mel_scale="htk")


def _sounds(values: list[np.ndarray], inputs: Inputs, facts: dict | None) -> Side:
    length = np.array([len(v) for v in values], np.int64)
    if facts is None:
        whole = np.concatenate(values)
        moments = {"mean": float(whole.mean()), "deviation": float(whole.std())}
        facts = {"kind": "audio", "sizes": {"mels": inputs.mels}, **moments}
    mel = np.zeros((len(values), int(length.max()), inputs.mels), np.float32)
    for row, value in zip(mel, values, strict=True):
        row[: len(value)] = (value - facts["mean"]) / facts["deviation"]
    return Side({"mel": mel, "length": length}, facts)


def _texts(pairs: str | Path, inputs: Inputs, facts: dict | None) -> Side:
    from mindgap.train.words import count_words, split_words

    captions = read_column(pairs, "text")
    if not all(captions):
        empty = [not some for some in captions].index(True)
        raise UserError(f"{pairs}: item {empty} has no caption; add one or remove the item")
    texts = [text for some in captions for text in some]
    if facts is None:
        words = count_words(texts, inputs.words)
        sizes = {"vocabulary": len(words) + 2, "context": inputs.context}
        facts = {"kind": "text", "sizes": sizes, "words": words}
    number = {word: i + 2 for i, word in enumerate(facts["words"])}  # 0 is padding, 1 unknown
    split = [split_words(text)[: inputs.context] for text in texts]
    ids = np.zeros((len(texts), max(1, max(map(len, split)))), np.int64)
    for row, words in zip(ids, split, strict=True):
        row[: len(words)] = [number.get(word, 1) for word in words]
    length = np.array([len(words) for words in split], np.int64)
    if not length.all():
        raise UserError(
            f"{pairs}: the caption {texts[int(length.argmin())]!r} has no word; change or remove it"
        )
    count = np.array([len(some) for some in captions], np.int64)
    return Side({"ids": ids, "length": length}, facts, np.cumsum(count) - count, count)
