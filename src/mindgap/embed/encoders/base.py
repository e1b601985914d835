"""The protocol of an encoder, and what the adapters of transformers models share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch

from mindgap.embed.decode import decode_picture
from mindgap.embed.pixels import Pixels
from mindgap.runtime.errors import UserError

Inputs = dict[str, torch.Tensor]
#: For all loaders of the library: no network, and no code that a checkpoint brings along.
LOCAL = {"local_files_only": True, "trust_remote_code": False}
_UNBOUNDED = 1_000_000  # tokenizers without a limit of their own give 1e30


class Encoder(Protocol):
    """What the extraction engine asks of a model.

    Attributes
    ----------
    modalities
        One name for a single tower, two for a dual encoder; names of columns of the pairs table.
    dimension
        d of the (n, d) vectors.
    facts
        What the checkpoint says of itself: activation, padding, image processor, pooling.
    """

    modalities: tuple[str, ...]
    dimension: int
    facts: dict[str, Any]

    def preprocess(self, modality: str, value: Any) -> Any:
        """Decode one item; `BadItem` if it cannot be. Runs in worker threads."""

    def collate(self, modality: str, items: list[Any]) -> Inputs:
        """Put preprocessed items into one batch of CPU tensors. Runs in worker threads."""

    def encode(self, modality: str, inputs: Inputs) -> torch.Tensor:
        """Vectors of a batch that lies on the model's device: (n, d), not normalised."""

    def to(self, device: torch.device) -> Encoder:
        """Move the model to a device and return the encoder."""


class Adapter:
    """A transformers model that embeds pictures and texts; families override what differs.

    Parameters
    ----------
    model
        In eval mode.
    folder
        Checkpoint folder with the tokenizer and processor files.
    """

    modalities: tuple[str, ...] = ("image", "text")
    #: "longest" of the batch, or "max_length" where the model was trained on full-length texts.
    padding: ClassVar[str] = "longest"
    #: Inputs of the text tower, of those that the tokenizer gives.
    text_keys: ClassVar[tuple[str, ...]] = ("input_ids", "attention_mask")
    #: Which vector of an item is taken, in words.
    pooling: ClassVar[str] = "projection"
    #: Weights that a checkpoint may lack, because the features do not use them.
    unused: ClassVar[tuple[str, ...]] = ()

    def __init__(self, model: torch.nn.Module, folder: str | Path) -> None:
        self.model, self.folder, self.config = model, Path(folder), model.config
        self.facts: dict[str, Any] = {
            "model_type": self.config.model_type,
            "dimension": self.dimension,
            "pooling": self.pooling,
        }
        if {"image", "video"} & set(self.modalities):
            self.load_pixels()
        if "text" in self.modalities:
            self.load_tokenizer()

    @property
    def dimension(self) -> int:
        """Size of the shared space."""
        return self.config.projection_dim

    @property
    def vision(self) -> Any:
        """Configuration of the picture tower."""
        return getattr(self.config, "vision_config", self.config)

    @property
    def language(self) -> Any:
        """Configuration of the text tower."""
        return getattr(self.config, "text_config", self.config)

    def to(self, device: torch.device) -> Adapter:
        """Move the model to a device and return the adapter."""
        self.model.to(device)
        return self

    # Pictures

    def load_pixels(self) -> None:
        """Load the image processor, without torchvision, and check it against the model."""
        from transformers import AutoImageProcessor

        processor = AutoImageProcessor.from_pretrained(self.folder, backend="pil", **LOCAL)
        self.pixels = Pixels(processor)
        self.facts["image_processor"] = self.pixels.facts
        self.facts["activation_image"] = getattr(self.vision, "hidden_act", None)
        size, made = getattr(self.vision, "image_size", None), self.pixels.side
        if isinstance(size, int) and made is not None and made != (size, size):
            raise UserError(
                f"{self.folder}: its image processor makes pictures of {made[0]} x {made[1]} "
                f"pixels, its model takes {size} x {size}; this is the processor of another model"
            )

    def collate_pictures(self, items: list[np.ndarray]) -> Inputs:
        """Batch of `pixel_values`, still as the fast way leaves them."""
        return {"pixel_values": torch.from_numpy(np.stack(items))}

    # Texts

    def load_tokenizer(self) -> None:
        """Load the tokenizer, find the longest text, and check both against the model."""
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(self.folder, **LOCAL)
        positions = getattr(self.language, "max_position_embeddings", None) or _UNBOUNDED
        if getattr(self.language, "model_type", "").startswith(("clap", "altclip")):
            # RoBERTa counts positions from the id of its padding on.
            positions -= self.language.pad_token_id + 1
        self.context = min(positions, self.tokenizer.model_max_length)
        if self.context >= _UNBOUNDED:
            raise UserError(
                f"{self.folder}: neither its tokenizer nor its model has a maximum length"
            )
        vocabulary = self.tokenizer.get_vocab()
        if set(vocabulary) <= set(self.tokenizer.all_special_tokens):
            raise UserError(f"{self.folder}: its tokenizer knows no word; copy its files again")
        known = max(vocabulary.values()) + 1
        rows = self.language.vocab_size
        if known > rows:
            raise UserError(
                f"{self.folder}: its tokenizer knows {known} tokens, its model {rows}; "
                "this is the tokenizer of another model"
            )
        upper, lower = self.tokenizer(["A CAT", "a cat"])["input_ids"]
        self.facts |= {
            "activation_text": getattr(self.language, "hidden_act", None),
            "tokenizer": type(self.tokenizer).__name__,
            "lowercase": upper == lower,
            "padding": self.padding,
            "padding_side": self.tokenizer.padding_side,
            "max_length": self.context,
        }

    def tokenise(self, texts: list[str]) -> Inputs:
        """Token ids and what goes with them, as int64 tensors."""
        given = self.tokenizer(
            texts,
            padding="max_length" if self.padding == "max_length" else True,
            truncation=True,
            max_length=self.context,
            return_tensors="pt",
        )
        return {key: given[key] for key in self.text_keys if key in given}

    # The protocol

    def preprocess(self, modality: str, value: Any) -> Any:
        """Decode one item; texts pass as they are."""
        return self.pixels(decode_picture(value)) if modality == "image" else value

    def collate(self, modality: str, items: list[Any]) -> Inputs:
        """Put preprocessed items into one batch of CPU tensors."""
        return self.tokenise(items) if modality == "text" else self.collate_pictures(items)

    def encode(self, modality: str, inputs: Inputs) -> torch.Tensor:
        """Vectors of a batch: (n, d), not normalised."""
        if modality == "text":
            return self.texts(inputs)
        return self.pictures({"pixel_values": self.pixels.to_tensor(inputs["pixel_values"])})

    def pictures(self, inputs: Inputs) -> torch.Tensor:
        """Vectors of a batch of pictures."""
        return vectors(self.model.get_image_features(**inputs))

    def texts(self, inputs: Inputs) -> torch.Tensor:
        """Vectors of a batch of token ids."""
        return vectors(self.model.get_text_features(**inputs))


def vectors(output: Any) -> torch.Tensor:
    """The vectors of a feature function; newer releases wrap them in an output object."""
    return output if isinstance(output, torch.Tensor) else output.pooler_output
