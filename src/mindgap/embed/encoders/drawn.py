"""Encoders without files: architectures whose weights are drawn from a seed, again and again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from transformers import ResNetConfig, ResNetModel

from mindgap.embed import clip
from mindgap.embed.decode import decode_picture
from mindgap.embed.encoders.base import Inputs
from mindgap.runtime.errors import UserError

#: Hidden sizes, depths, picture side.
RESNETS = {
    "resnet-18": ((64, 128, 256, 512), (2, 2, 2, 2), 224),
    "resnet-tiny": ((16, 32), (1, 1), 32),
}


class Drawn:
    """What encoders without files share.

    Subclasses initialise anew from a seed in `draw(seed)`, on the CPU, so that every device has the
    same numbers, and give what stands before a projection in `pool(modality, inputs)`.
    """

    modalities: tuple[str, ...] = ("image",)
    #: Whether a projection follows the pooling.
    projects = False
    model: torch.nn.Module
    side: int

    def to(self, device: torch.device | str) -> Drawn:
        """Move the model to a device."""
        self.model.to(device)
        return self

    def project(self, modality: str, pooled: torch.Tensor) -> torch.Tensor:
        """Vectors of pooled rows."""
        return pooled

    def encode(self, modality: str, inputs: Inputs) -> torch.Tensor:
        """Vectors of a batch."""
        return self.project(modality, self.pool(modality, inputs))


class RandomClip(Drawn):
    """Both towers of CLIP with OpenAI's architecture and initialiser, and without a vocabulary."""

    modalities = ("image", "text")
    projects = True

    def __init__(self, architecture: str, seed: int = 0) -> None:
        self.model = clip.random_clip(architecture, seed)
        config = self.model.config
        self.dimension, self.side = config.projection_dim, config.vision_config.image_size
        self.context = config.text_config.max_position_embeddings
        self.facts: dict[str, Any] = {
            "model_type": "clip",
            "dimension": self.dimension,
            "activation_image": config.vision_config.hidden_act,
            "activation_text": config.text_config.hidden_act,
            "initialiser": "OpenAI's model definition",
            "tokenizer": "checksums of words",
        }

    def draw(self, seed: int) -> None:
        """Initialise anew from a seed, as `random_clip` does."""
        clip.initialise(self.model, torch.Generator().manual_seed(seed))

    def preprocess(self, modality: str, value: Any) -> Any:
        """Decode one item."""
        return value if modality == "text" else clip.preprocess(decode_picture(value), self.side)

    def collate(self, modality: str, items: list[Any]) -> Inputs:
        """Put preprocessed items into one batch."""
        if modality == "text":
            return {"input_ids": torch.from_numpy(clip.tokenise(items, self.context))}
        return {"pixel_values": torch.from_numpy(np.stack(items))}

    def pool(self, modality: str, inputs: Inputs) -> torch.Tensor:
        """Class token of pictures, end token of texts."""
        tower = self.model.text_model if modality == "text" else self.model.vision_model
        return tower(**inputs).pooler_output

    def project(self, modality: str, pooled: torch.Tensor) -> torch.Tensor:
        """Vectors in the shared space."""
        text = modality == "text"
        return (self.model.text_projection if text else self.model.visual_projection)(pooled)


class RandomResNet(Drawn):
    """A residual network without its classifier: the pooled output after the last ReLU.

    He et al. 2016 as implemented by `transformers`, initialised as torchvision does it: kernels
    normal with variance 2 / fan_out, batch norms 1 and 0. In eval mode, with running means 0 and
    variances 1, a batch norm of a random network is the identity.
    """

    def __init__(self, architecture: str) -> None:
        sizes, depths, self.side = RESNETS[architecture]
        config = ResNetConfig(
            embedding_size=sizes[0],
            hidden_sizes=list(sizes),
            depths=list(depths),
            layer_type="basic",
            hidden_act="relu",
        )
        self.model = ResNetModel(config).eval().to(memory_format=torch.channels_last)

    @torch.no_grad()
    def draw(self, seed: int) -> None:
        """Initialise anew from a seed."""
        generator = torch.Generator().manual_seed(seed)
        for module in self.model.modules():
            if isinstance(module, torch.nn.Conv2d):
                fan_out = module.out_channels * math.prod(module.kernel_size)
                # Drawn in the plain layout, so that a seed means the same kernel everywhere.
                kernel = torch.randn(module.weight.shape, generator=generator)
                module.weight.copy_(kernel * math.sqrt(2 / fan_out))
            elif isinstance(module, torch.nn.BatchNorm2d):
                module.reset_running_stats()
                module.weight.fill_(1.0)
                module.bias.zero_()

    def pool(self, modality: str, inputs: Inputs) -> torch.Tensor:
        """Mean over places."""
        x = inputs["pixel_values"].to(memory_format=torch.channels_last)
        return self.model(x).pooler_output.flatten(1)


def drawn_encoder(architecture: str) -> Drawn:
    """Encoder of an architecture; its weights are drawn with `draw`."""
    known = (*RESNETS, *clip.ARCHITECTURES)
    if architecture not in known:
        raise UserError(f"no architecture is called {architecture!r} (known: {', '.join(known)})")
    return (RandomResNet if architecture in RESNETS else RandomClip)(architecture)


def picture_side(architecture: str) -> int:
    """Side of the pictures that an architecture takes."""
    if architecture in RESNETS:
        return RESNETS[architecture][2]
    return clip.ARCHITECTURES[architecture].get("vision_config", {}).get("image_size", 224)
