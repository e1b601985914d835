"""Stream a pairs file through an encoder."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from mindgap.data.pairs import count_rows, read_pairs
from mindgap.embed.clip import encode_images, encode_texts, random_clip
from mindgap.embed.store import Embeddings
from mindgap.errors import UserError


def choose_device(name: str) -> torch.device:
    """Return the torch device for a config's `device`; `auto` prefers an accelerator."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def choose_captions(captions: list[str], which: str) -> list[str]:
    """Captions of one item to embed: `first`, `last` or `all`."""
    if not captions:
        raise UserError("an item has no caption; give it one or remove it from the pairs")
    return {"first": captions[:1], "last": captions[-1:], "all": captions}[which]


def embed_clip(
    pairs: str | Path,
    architecture: str,
    seed: int,
    captions: str,
    batch_size: int,
    device: torch.device,
) -> Embeddings:
    """Embed the pictures and captions of a pairs file with a randomly initialised CLIP model.

    Rows come out in the file's order; with `captions="all"` the item of each caption stands beside
    the text rows.
    """
    model = random_clip(architecture, seed).to(device)
    images, texts, items, done = [], [], [], 0
    with tqdm(total=count_rows(pairs), unit=" items", desc=f"embed on {device}") as bar:
        for batch in read_pairs(pairs, ["image", "text"], rows=batch_size):
            pictures = [Image.open(io.BytesIO(b.as_py())) for b in batch["image"]]
            images.append(encode_images(model, pictures))
            chosen = [choose_captions(c.as_py(), captions) for c in batch["text"]]
            items += [done + i for i, some in enumerate(chosen) for _ in some]
            done += len(batch)
            flat = [text for some in chosen for text in some]
            texts += [
                encode_texts(model, flat[i : i + batch_size])
                for i in range(0, len(flat), batch_size)
            ]
            bar.update(len(batch))
    index = {"text": np.array(items, np.int64)} if captions == "all" else {}
    return Embeddings({"image": np.concatenate(images), "text": np.concatenate(texts)}, index)
