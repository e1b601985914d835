"""Dual encoders of pictures and texts: CLIP and its relatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mindgap.embed.decode import decode_picture, stack
from mindgap.embed.encoders.base import Adapter, Inputs, vectors


class Clip(Adapter):
    """CLIP (Radford et al., ICML 2021), OpenAI's and OpenCLIP's checkpoints."""


class Siglip(Adapter):
    """SigLIP (Zhai et al., ICCV 2023), and SigLIP 2 at fixed resolution.

    It was trained on texts of full length whose padding is read like any other token, so there is
    no attention mask, whatever the tokenizer offers. It was also trained on lower-case texts, which
    the published tokenizer of SigLIP 2, Gemma's, does not see to.
    """

    padding = "max_length"
    text_keys = ("input_ids",)
    pooling = "attention head (image), last token (text)"

    @property
    def dimension(self) -> int:
        """Width of the picture tower, which the text head is projected to."""
        return self.config.vision_config.hidden_size

    def load_tokenizer(self) -> None:
        """Load the tokenizer; texts reach it in lower case."""
        super().load_tokenizer()
        self.facts["lowercase"] = True

    def tokenise(self, texts: list[str]) -> Inputs:
        """Token ids of the texts in lower case, padded to full length."""
        return super().tokenise([text.lower() for text in texts])


class Siglip2(Siglip):
    """SigLIP 2 with native aspect ratios: a picture is a list of patches with its own shape."""

    def load_pixels(self) -> None:
        """Load the image processor; it makes patches, so there is no fast way."""
        super().load_pixels()
        self.pixels.exact = self.pixels.facts["fast"] = False

    def preprocess(self, modality: str, value: Any) -> Any:
        """Patches, their mask and their shape; texts pass as they are."""
        if modality == "text":
            return value
        return {k: v[0] for k, v in self.pixels.by_processor(decode_picture(value)).items()}

    def collate_pictures(self, items: list[dict[str, np.ndarray]]) -> Inputs:
        """Batch of patches, masks and shapes."""
        return {key: torch.from_numpy(value) for key, value in stack(items).items()}

    def encode(self, modality: str, inputs: Inputs) -> torch.Tensor:
        """Vectors of a batch."""
        return self.texts(inputs) if modality == "text" else self.pictures(inputs)


class Align(Adapter):
    """ALIGN (Jia et al., ICML 2021): the picture's vector is the pooled feature map itself."""

    text_keys = ("input_ids", "attention_mask", "token_type_ids")
    pooling = "feature map (image), first token projected (text)"
    unused = ("text_model.pooler.",)


class AltClip(Adapter):
    """AltCLIP (Chen et al., 2022): XLM-R in place of CLIP's text tower."""

    pooling = "projection of the class token (image), of the first token (text)"
    unused = ("text_model.pooler.", "text_model.roberta.pooler.")


class ChineseClip(Adapter):
    """Chinese-CLIP (Yang et al., 2022): a Chinese BERT as text tower."""

    text_keys = ("input_ids", "attention_mask", "token_type_ids")
    pooling = "projection of the class token (image), of the first token (text)"
    unused = ("text_model.pooler.",)


class Flava(Adapter):
    """FLAVA (Singh et al., CVPR 2022).

    Its feature functions project every token; the contrastive loss reads the first.
    """

    text_keys = ("input_ids", "attention_mask", "token_type_ids")
    pooling = "projection of the first token"
    # Poolers are not read, and dual checkpoints may come without the multimodal tower.
    unused = ("text_model.pooler.", "image_model.pooler.", "multimodal_model.")

    @property
    def vision(self) -> Any:
        """Configuration of the picture tower."""
        return self.config.image_config

    def pictures(self, inputs: Inputs) -> torch.Tensor:
        """First token of each picture."""
        return vectors(self.model.get_image_features(**inputs))[:, 0]

    def texts(self, inputs: Inputs) -> torch.Tensor:
        """First token of each text."""
        return vectors(self.model.get_text_features(**inputs))[:, 0]
