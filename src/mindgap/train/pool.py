"""Decoded pictures and token ids of a data set, ready to be drawn from in any order."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mindgap.data.medium import BadItem
from mindgap.data.pairs import count_rows, open_pairs, read_pairs
from mindgap.embed.encoders.base import Adapter
from mindgap.runtime.errors import UserError
from mindgap.train.augment import Draws

IN_MEMORY = 1 << 31  # bytes of pictures that are held in memory; more go to a file


@dataclass
class Pool:
    """A data set as an encoder takes it.

    Attributes
    ----------
    pictures
        Output of the encoder's preprocessing, (n, ...); uint8 in most cases.
    tokens
        Input name -> int64 (m, length), one row per caption.
    first, count
        Where the captions of an item start, and how many there are: int64 (n,).
    labels
        Class of each item, or None.
    padding
        Token that fills short captions.
    """

    pictures: np.ndarray
    tokens: dict[str, np.ndarray]
    first: np.ndarray
    count: np.ndarray
    labels: list[str | None] = field(default_factory=list)
    padding: int = 0

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(
        self,
        items: np.ndarray,
        captions: np.ndarray,
        trim: bool,
        draws: Draws | None = None,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Pictures of some items and token ids of some captions.

        `trim` leaves out the columns that are padding in every row; `draws` change pictures and
        captions, see `mindgap.train.augment`.
        """
        pictures = self.pictures[items]
        tokens = {key: rows[captions] for key, rows in self.tokens.items()}
        if draws is not None:
            pictures, tokens = draws.change(pictures, tokens, self.padding)
        if trim and "attention_mask" in tokens:
            used = int(tokens["attention_mask"].sum(axis=1).max())
            tokens = {key: rows[:, :used] for key, rows in tokens.items()}
        return (
            torch.from_numpy(np.ascontiguousarray(pictures)),
            {key: torch.from_numpy(np.ascontiguousarray(rows)) for key, rows in tokens.items()},
        )


def load_pool(pairs: str | Path, encoder: Adapter, threads: int, scratch: str | Path) -> Pool:
    """Decode every picture once and tokenise every caption once.

    If the pictures take more than `IN_MEMORY` bytes, they are held in a file below `scratch`.
    """
    total = count_rows(pairs)
    pictures, texts, counts, labels = None, [], [], []
    names = ["id", "image", "text", *(["label"] if _has(pairs, "label") else [])]
    with (
        ThreadPoolExecutor(threads) as workers,
        tqdm(total=total, desc="decode", unit=" items", mininterval=1) as bar,
    ):
        for rows in read_pairs(pairs, names, rows=256):
            start = len(counts)
            values = workers.map(
                partial(_decode, encoder, pairs), rows["id"].to_pylist(), rows["image"].to_pylist()
            )
            for i, value in enumerate(values):
                if not isinstance(value, np.ndarray):
                    raise UserError(
                        f"{encoder.folder}: the number of patches varies between pictures, so they "
                        "cannot form batches; train a model with a fixed resolution"
                    )
                if pictures is None:
                    pictures = _hold((total, *value.shape), value.dtype, scratch)
                pictures[start + i] = value
            some = rows["text"].to_pylist()
            texts += [text for captions in some for text in captions]
            counts += [len(captions) for captions in some]
            labels += rows["label"].to_pylist() if "label" in names else [None] * len(some)
            bar.update(len(some))
    if not all(counts):
        raise UserError(
            f"{pairs}: item {counts.index(0)} has no caption; add one or remove the item"
        )
    count = np.array(counts, np.int64)
    tokens, padding = tokenise(encoder, texts), encoder.tokenizer.pad_token_id or 0
    return Pool(pictures, tokens, np.cumsum(count) - count, count, labels, padding)


def _decode(encoder: Adapter, pairs: str | Path, name: str, data: bytes) -> np.ndarray:
    try:
        return encoder.preprocess("image", data)
    except BadItem as failure:
        raise UserError(f"{pairs}: item {name}: {failure}; remove it from the pairs") from failure


def read_texts(pairs: str | Path) -> Iterator[str]:
    """Every caption of a set."""
    for rows in read_pairs(pairs, ["text"]):
        for captions in rows["text"].to_pylist():
            yield from captions


def tokenise(encoder: Adapter, texts: list[str]) -> dict[str, np.ndarray]:
    """Token ids of many texts, padded to the longest of them all: name -> int64 (m, length)."""
    rest, parts = iter(texts), []
    while some := list(islice(rest, 4096)):
        parts.append({k: v.numpy() for k, v in encoder.tokenise(some).items()})
    width = max(part["input_ids"].shape[1] for part in parts)
    padding = encoder.tokenizer.pad_token_id or 0
    joined = {}
    for key in parts[0]:
        fill = padding if key == "input_ids" else 0
        joined[key] = np.concatenate(
            [
                np.pad(p[key], [(0, 0), (0, width - p[key].shape[1])], constant_values=fill)
                for p in parts
            ]
        )
    return joined


def _hold(shape: tuple[int, ...], dtype: np.dtype, scratch: str | Path) -> np.ndarray:
    if int(np.prod(shape)) * np.dtype(dtype).itemsize <= IN_MEMORY:
        return np.empty(shape, dtype)
    Path(scratch).mkdir(parents=True, exist_ok=True)
    return np.lib.format.open_memmap(
        Path(scratch) / "pictures.npy", mode="w+", dtype=dtype, shape=shape
    )


def _has(pairs: str | Path, column: str) -> bool:
    return column in open_pairs(pairs).schema_arrow.names
