"""Join the shards of a set into one file without ever holding more than one of them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

from mindgap.embed.store import load_embeddings, plain_items
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import replacing

_SAME = ("model", "dataset", "dataset_sha256", "options", "encoder", "checkpoint", "precision")


def join_files(
    shards: list[str | Path], target: str | Path, most: int | None = None
) -> dict[str, int]:
    """Join shards row after row; where they hold more than `most` items, keep an even sample.

    Shards that differ in model, data, checkpoint or precision are refused. Returns the number of
    rows of each modality.
    """
    heads = [_head(shard) for shard in shards]
    for path, (about, _) in zip(shards, heads, strict=True):
        for key in _SAME:
            if about.get(key) != heads[0][0].get(key):
                raise UserError(
                    f"{path} and {shards[0]} differ in {key}; delete the shards and run again"
                )
    total = max(about["rows"][1] for about, _ in heads)
    items: dict[str, list[np.ndarray]] = {}
    for path in shards:
        for modality, rows in load_embeddings(path).items.items():
            items.setdefault(modality, []).append(rows[sampled(rows, total, most)])
    index = {m: np.concatenate(parts) for m, parts in items.items()}
    first = heads[0][0]
    about = {
        **first,
        "rows": [0, total],
        "shards": len(shards),
        "failed": sum(one["failed"] for one, _ in heads),
    }
    if most is not None and most < total:
        about["sampled"] = most
    widths = heads[0][1]
    shapes = {m: (len(index[m]), widths[m]) for m in first["modalities"]}
    with replacing(target) as part, open(part, "wb") as stream:
        plain = plain_items(index)
        _write_header(stream, shapes, plain, about)
        for modality in shapes:
            for path in shards:
                whole = load_embeddings(path)
                keep = sampled(whole.items[modality], total, most)
                stream.write(np.ascontiguousarray(whole.rows[modality][keep]).tobytes())
        for rows in plain.values():
            stream.write(rows.astype("<i8").tobytes())
    return {m: n for m, (n, _) in shapes.items()}


def sampled(items: np.ndarray, total: int, most: int | None) -> np.ndarray:
    """Mask of the items of an even sample of `most` out of `total`; all where that is enough."""
    if most is None or most >= total:
        return np.ones(len(items), bool)
    return (items + 1) * most // total != items * most // total


def _head(path: str | Path) -> tuple[dict, dict[str, int]]:
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        about = json.loads(file.metadata()["mindgap"])
        widths = {m: file.get_slice(m).get_shape()[1] for m in about["modalities"]}
    return about, widths


def _write_header(stream, shapes: dict, items: dict[str, np.ndarray], about: dict) -> None:
    """Header of the safetensors format: its length, then the place of every tensor as JSON."""
    head: dict = {"__metadata__": {"mindgap": json.dumps(about, sort_keys=True)}}
    offset = 0
    for name, (rows, width) in shapes.items():
        end = offset + 4 * rows * width
        head[name] = {"dtype": "F32", "shape": [rows, width], "data_offsets": [offset, end]}
        offset = end
    for name, rows in items.items():
        end = offset + 8 * len(rows)
        head[f"{name}.items"] = {
            "dtype": "I64",
            "shape": [len(rows)],
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    stream.write(struct.pack("<Q", len(text)) + text)
