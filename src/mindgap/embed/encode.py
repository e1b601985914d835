"""From a model's options to its embeddings of a pairs file."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mindgap.data.pairs import count_rows
from mindgap.embed.encoders.base import Encoder
from mindgap.embed.extract import Work, extract
from mindgap.embed.store import Embeddings, plain_items


def make_encoder(options: dict[str, Any], folder: str | Path | None = None) -> Encoder:
    """Encoder of a model of the kind `clip` or `encoder`; the latter lies in `folder`."""
    # Imported late: the adapters and their model classes are the larger part of the import.
    if options["kind"] == "clip":
        from mindgap.embed.encoders.drawn import RandomClip

        return RandomClip(options["architecture"], options["seed"])
    from mindgap.embed.encoders.load import load_encoder

    return load_encoder(
        folder,
        options["weights"],
        options.get("seed"),
        tuple(options["modalities"]),
        options.get("expect"),
    )


def embed_pairs(
    encoder: Encoder,
    pairs: str | Path,
    work: Work,
    device: torch.device,
    items: int | None = None,
) -> Embeddings:
    """Embed a pairs file, or its first items, at once and without parts to go on from."""
    count = count_rows(pairs)
    stop = count if items is None else min(items, count)
    with tempfile.TemporaryDirectory() as folder:
        found, failures = extract(encoder, pairs, 0, stop, work, device, folder, "whole")
    about = {"modalities": list(found.rows), "failures": [vars(one) for one in failures]}
    return replace(found, items=plain_items(found.items), about=about)
