"""Single towers, for cones: one modality, one tensor."""

from __future__ import annotations

from typing import Any

import torch

from mindgap.embed.encoders.base import Adapter, Inputs


class Tower(Adapter):
    """A transformer whose vector is its pooler's output, or its first token where it has none.

    Checkpoints of classifiers come without the pooler's weights; the library would draw them at
    random without an error.
    """

    unused = ("pooler.",)

    def __init__(self, model: torch.nn.Module, folder: Any) -> None:
        self.pooled = model.pooler is not None
        self.pooling = "pooler" if self.pooled else "first token"
        super().__init__(model, folder)

    @property
    def dimension(self) -> int:
        """Width of the pooler or of the tower."""
        width = self.config.hidden_size
        return (getattr(self.config, "pooler_output_size", None) or width) if self.pooled else width

    def read(self, output: Any) -> torch.Tensor:
        """The one vector of each item."""
        return output.pooler_output if self.pooled else output.last_hidden_state[:, 0]

    def pictures(self, inputs: Inputs) -> torch.Tensor:
        """Vectors of a batch of pictures."""
        return self.read(self.model(**inputs))

    def texts(self, inputs: Inputs) -> torch.Tensor:
        """Vectors of a batch of texts."""
        return self.read(self.model(**inputs))


class Vit(Tower):
    """Vision transformer (Dosovitskiy et al., ICLR 2021)."""

    modalities = ("image",)


class Bert(Tower):
    """BERT (Devlin et al., NAACL 2019)."""

    modalities = ("text",)
    text_keys = ("input_ids", "attention_mask", "token_type_ids")


class ResNet(Adapter):
    """ResNet (He et al., CVPR 2016): averaged over places after the last ReLU, so never negative.

    In eval mode a random network's batch norms are the identity.
    """

    modalities = ("image",)
    pooling = "mean over places, after the last ReLU"

    @property
    def dimension(self) -> int:
        """Channels of the last stage."""
        return self.config.hidden_sizes[-1]

    def pictures(self, inputs: Inputs) -> torch.Tensor:
        """Vectors of a batch of pictures."""
        return self.model(**inputs).pooler_output.flatten(1)
