"""From a model's options to its embeddings of a pairs file."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mindgap.data.pairs import count_rows
from mindgap.embed import clip
from mindgap.embed.decode import decode_picture
from mindgap.embed.encoders.base import Encoder, Inputs, vectors
from mindgap.embed.extract import Work, extract
from mindgap.embed.store import Embeddings, plain_items


class RandomClip:
    """The kind `clip`: OpenAI's architecture and initialiser, without files or a vocabulary."""

    modalities = ("image", "text")

    def __init__(self, architecture: str, seed: int) -> None:
        self.model = clip.random_clip(architecture, seed)
        self.dimension = self.model.config.projection_dim
        self.context = self.model.config.text_config.max_position_embeddings
        self.facts: dict[str, Any] = {
            "model_type": "clip",
            "dimension": self.dimension,
            "activation_image": self.model.config.vision_config.hidden_act,
            "activation_text": self.model.config.text_config.hidden_act,
            "initialiser": "OpenAI's model definition",
            "tokenizer": "checksums of words",
        }

    def to(self, device: torch.device) -> RandomClip:
        """Move the model to a device."""
        self.model.to(device)
        return self

    def preprocess(self, modality: str, value: Any) -> Any:
        """Decode one item."""
        if modality == "text":
            return value
        return clip.preprocess(decode_picture(value), self.model.config.vision_config.image_size)

    def collate(self, modality: str, items: list[Any]) -> Inputs:
        """Put preprocessed items into one batch."""
        if modality == "text":
            return {"input_ids": torch.from_numpy(clip.tokenise(items, self.context))}
        return {"pixel_values": torch.from_numpy(np.stack(items))}

    def encode(self, modality: str, inputs: Inputs) -> torch.Tensor:
        """Vectors of a batch."""
        run = self.model.get_text_features if modality == "text" else self.model.get_image_features
        return vectors(run(**inputs))


def make_encoder(options: dict[str, Any], folder: str | Path | None = None) -> Encoder:
    """Encoder of a model of the kind `clip` or `encoder`; the latter lies in `folder`."""
    if options["kind"] == "clip":
        return RandomClip(options["architecture"], options["seed"])
    # Imported late: the adapters and their model classes are the larger part of the import.
    from mindgap.embed.encoders.load import load_encoder

    return load_encoder(
        folder,
        options["weights"],
        options.get("seed"),
        tuple(options["modalities"]),
        options.get("expect"),
    )


def embed_pairs(
    encoder: Encoder, pairs: str | Path, work: Work, device: torch.device
) -> Embeddings:
    """Embed a whole pairs file at once, for a notebook or a test."""
    with tempfile.TemporaryDirectory() as folder:
        found, failures = extract(
            encoder, pairs, 0, count_rows(pairs), work, device, folder, "whole"
        )
    about = {"modalities": list(found.rows), "failures": [vars(one) for one in failures]}
    return replace(found, items=plain_items(found.items), about=about)
