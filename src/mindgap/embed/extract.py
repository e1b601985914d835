"""Embed a range of a pairs table in numbered parts, so that a killed run goes on where it was."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from tqdm import tqdm

from mindgap.embed.encoders.base import Encoder
from mindgap.embed.items import read_items
from mindgap.embed.run import Runner, ahead, choose_precision, prepare
from mindgap.embed.store import Embeddings, join, load_embeddings, save_embeddings
from mindgap.runtime.errors import UserError


@dataclass(frozen=True)
class Work:
    """How a range is embedded.

    Attributes
    ----------
    captions
        `first`, `last` or `all` captions of an item.
    batch_size
        Items of a batch at most; a full memory halves it.
    precision
        auto, float32, bfloat16 or float16; what the vectors are computed in, not what they are.
    part_items
        Items of a part, the unit that a restart repeats.
    threads
        Threads that decode.
    """

    captions: str = "first"
    batch_size: int = 32
    precision: str = "auto"
    part_items: int = 4096
    threads: int = 2


@dataclass(frozen=True)
class Failure:
    """An item that is in no tensor: its row, its id, and why."""

    row: int
    id: str
    reason: str


def choose_captions(captions: list[str] | None, which: str) -> list[str]:
    """Captions of one item to embed: `first`, `last` or `all`."""
    if not captions:
        raise UserError("an item has no caption; give it one or remove it from the pairs")
    return {"first": captions[:1], "last": captions[-1:], "all": captions}[which]


def shard_range(items: int, shard: int, shards: int) -> tuple[int, int]:
    """Rows of shard 0, 1, ... of `shards`: all rows once, sizes that differ by one at most."""
    return items * shard // shards, items * (shard + 1) // shards


def extract(
    encoder: Encoder,
    pairs: str | Path,
    start: int,
    stop: int,
    work: Work,
    device: torch.device,
    folder: str | Path,
    key: str,
) -> tuple[Embeddings, list[Failure]]:
    """Embed the rows `start` to `stop` of a pairs file.

    Parameters
    ----------
    folder
        Where finished parts lie until the whole is saved; `discard` removes it.
    key
        Digest of everything that decides the vectors. A part with another key is made again.

    Returns
    -------
    Rows in the file's order with the row number of each item in `items`, and the items that could
    not be decoded. Items in = items out + failures, or it raises.
    """
    folder = Path(folder)
    bounds = [(i, min(i + work.part_items, stop)) for i in range(start, stop, work.part_items)]
    files = [folder / f"{number:05d}.safetensors" for number in range(len(bounds))]
    finished = [_is_part(file, key) for file in files]
    if any(finished):
        logging.info("%d of %d parts are there already", sum(finished), len(files))
    there = sum(b - a for (a, b), done in zip(bounds, finished, strict=True) if done)
    runner = Runner(encoder, device, choose_precision(work.precision, device))
    with (
        ThreadPoolExecutor(work.threads) as pool,
        tqdm(total=stop - start, initial=there, unit=" items", desc=f"embed on {device}") as bar,
    ):
        for (low, high), file, done in zip(bounds, files, finished, strict=True):
            if not done:
                found = _embed_part(runner, pool, pairs, low, high, work, bar)
                save_embeddings(file, found, {"key": key})
    parts = [load_embeddings(file) for file in files]
    whole = join(parts)
    failures = [Failure(**one) for part in parts for one in part.about["failures"]]
    for modality in encoder.modalities:
        out = len(np.unique(whole.items[modality]))
        if out + len(failures) != stop - start:
            raise AssertionError(
                f"{modality}: {stop - start} in, {out} out, {len(failures)} failed"
            )
    if len(failures) == stop - start:
        first = failures[0]
        raise UserError(
            f"{pairs}: none of {len(failures)} items can be embedded, the first is {first.id}: "
            f"{first.reason}"
        )
    return whole, failures


def discard(folder: str | Path) -> None:
    """Remove the parts, once the whole is saved."""
    shutil.rmtree(folder, ignore_errors=True)


def _is_part(file: Path, key: str) -> bool:
    try:
        with safe_open(file, "np") as part:
            return f'"key": "{key}"' in (part.metadata() or {}).get("mindgap", "")
    except (FileNotFoundError, SafetensorError):
        return False


def _embed_part(
    runner: Runner,
    pool: ThreadPoolExecutor,
    pairs: str | Path,
    low: int,
    high: int,
    work: Work,
    bar: tqdm,
) -> Embeddings:
    encoder = runner.encoder
    step = 1 / len(encoder.modalities)
    columns = list(encoder.modalities)
    texts: list[list[str]] = []
    ids: list[str] = []
    rows, failed = {}, {}

    def blocks(medium: str | None) -> Iterator[list]:
        for block in read_items(pairs, ["id", *columns], low, high, work.batch_size):
            ids.extend(block["id"])
            if "text" in columns:
                texts.extend(choose_captions(c, work.captions) for c in block["text"])
            yield block[medium] if medium else []

    medium = next((m for m in columns if m != "text"), None)
    if medium:
        found, seen = [], 0
        job = partial(prepare, encoder, medium)
        for inputs, kept, bad in ahead(pool, job, blocks(medium), work.threads + 1):
            failed |= {seen + position: reason for position, reason in bad}
            seen += len(kept) + len(bad)
            if inputs is not None:
                found.append(runner(medium, inputs))
            bar.update(step * (len(kept) + len(bad)))
        rows[medium] = _gather(found, encoder.dimension)
    else:
        for _ in blocks(None):
            pass
    good = [row for row in range(high - low) if row not in failed]
    items = {m: np.array(good, np.int64) + low for m in rows}
    if "text" in columns:
        flat = [text for row in good for text in texts[row]]
        rows["text"] = embed_texts(runner, pool, flat, work)
        items["text"] = np.repeat(np.array(good, np.int64) + low, [len(texts[r]) for r in good])
        bar.update(step * (high - low))
    about = {
        "modalities": columns,
        "failures": [
            {"row": low + row, "id": str(ids[row]), "reason": reason}
            for row, reason in sorted(failed.items())
        ],
    }
    return Embeddings({m: rows[m] for m in columns}, {m: items[m] for m in columns}, about)


def embed_prompts(
    encoder: Encoder, texts: list[str], work: Work, device: torch.device
) -> np.ndarray:
    """Vectors of texts that belong to no item, float32 (m, d), in their order."""
    runner = Runner(encoder, device, choose_precision(work.precision, device))
    with ThreadPoolExecutor(work.threads) as pool:
        return embed_texts(runner, pool, texts, work)


def embed_texts(
    runner: Runner, pool: ThreadPoolExecutor, texts: list[str], work: Work
) -> np.ndarray:
    """Each different text once, in order of length, so that a batch holds little padding."""
    different = sorted(set(texts), key=lambda text: (len(text), text))
    size = work.batch_size
    batches = [different[i : i + size] for i in range(0, len(different), size)]
    job = partial(prepare, runner.encoder, "text")
    found = [
        runner("text", inputs)
        for inputs, _, _ in ahead(pool, job, batches, work.threads + 1)
        if inputs is not None
    ]
    place = {text: row for row, text in enumerate(different)}
    rows = _gather(found, runner.encoder.dimension)
    if len(rows) > 1 and (rows == rows[0]).all():
        raise UserError(
            f"the model maps all {len(rows)} different texts to one vector; check its tokenizer "
            "and its weights"
        )
    return rows[[place[text] for text in texts]] if texts else rows


def _gather(found: list[torch.Tensor], dimension: int) -> np.ndarray:
    """Vectors of all batches, float32 (n, d), from the device."""
    if not found:
        return np.zeros((0, dimension), np.float32)
    return torch.cat(found).cpu().numpy()
