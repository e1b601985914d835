"""Many initialisations of one architecture, each run over the same inputs (Fig 2a and 2c)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from tqdm import tqdm
from transformers import ResNetConfig, ResNetModel

from mindgap.cone.inputs import Inputs
from mindgap.cone.layers import Draws, Layers, Network
from mindgap.embed.clip import ARCHITECTURES, initialise, random_clip
from mindgap.embed.store import check_rows
from mindgap.runtime.errors import UserError

#: Hidden sizes, depths, picture side.
RESNETS = {
    "resnet-18": ((64, 128, 256, 512), (2, 2, 2, 2), 224),
    "resnet-tiny": ((16, 32), (1, 1), 32),
}
MODELS = (*RESNETS, *ARCHITECTURES)


class ResNet:
    """A residual network without its classifier: the pooled output after the last ReLU.

    He et al. 2016 as implemented by `transformers`, initialised as torchvision does it: kernels
    normal with variance 2 / fan_out, batch norms 1 and 0. In eval mode, with running means 0 and
    variances 1, a batch norm of a random network is the identity.
    """

    modalities = ("image",)

    def __init__(self, name: str):
        sizes, depths, self.size = RESNETS[name]
        self.model = ResNetModel(
            ResNetConfig(
                embedding_size=sizes[0],
                hidden_sizes=list(sizes),
                depths=list(depths),
                layer_type="basic",
                hidden_act="relu",
            )
        ).eval()
        self.model = self.model.to(memory_format=torch.channels_last)

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

    def __call__(self, modality: str, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Embed a batch of pixels."""
        x = x.to(memory_format=torch.channels_last)
        return {"": self.model(x).pooler_output.flatten(1)}


class Clip:
    """Both towers of CLIP with OpenAI's initialiser; also what they pool before the projection."""

    modalities = ("image", "text")

    def __init__(self, name: str):
        self.model = random_clip(name, 0)
        self.size = self.model.config.vision_config.image_size

    def draw(self, seed: int) -> None:
        """Initialise anew from a seed, as `random_clip` does."""
        initialise(self.model, torch.Generator().manual_seed(seed))

    def __call__(self, modality: str, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Embed a batch of pixels or of token ids."""
        if modality == "image":
            pooled = self.model.vision_model(pixel_values=x).pooler_output
            return {"": self.model.visual_projection(pooled), ".pooled": pooled}
        pooled = self.model.text_model(input_ids=x).pooler_output
        return {"": self.model.text_projection(pooled), ".pooled": pooled}


def picture_side(name: str) -> int:
    """Side of the pictures that an architecture takes."""
    return RESNETS[name][2] if name in RESNETS else 32 if name == "tiny" else 224


def build_towers(name: str) -> ResNet | Clip:
    """Return the towers of an architecture; its weights are drawn with `draw`."""
    if name not in MODELS:
        raise UserError(f"no architecture is called {name!r} (known: {', '.join(MODELS)})")
    return ResNet(name) if name in RESNETS else Clip(name)


@contextmanager
def without_normalisation(model: torch.nn.Module) -> Iterator[None]:
    """Let every layer norm of a model pass its input on unchanged."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.LayerNorm)]
    hooks = [m.register_forward_hook(lambda _module, inputs, _output: inputs[0]) for m in norms]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@torch.inference_mode()
def run_towers(
    towers: ResNet | Clip, inputs: Inputs, batch: int, device: torch.device, raw: bool = False
) -> dict[str, np.ndarray]:
    """Embed one set of inputs with towers as they are: modality -> float32 of shape (n, d).

    What CLIP pools before its projection stands beside, as `{modality}.pooled`. `raw` leaves
    pictures unstandardised.
    """
    found: dict[str, list[np.ndarray]] = {}
    for modality in (m for m in towers.modalities if m in inputs.modalities):
        for start in range(0, inputs.count, batch):
            stop = min(start + batch, inputs.count)
            if modality == "image":
                x = inputs.pixels(start, stop, towers.size, raw)
            else:
                x = inputs.tokens(start, stop)
            for name, rows in towers(modality, x.to(device)).items():
                found.setdefault(modality + name, []).append(rows.float().cpu().numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def embed_initialisations(
    name: str,
    seeds: Sequence[int],
    inputs: Iterable[Inputs],
    few: Iterable[Inputs],
    few_seeds: int,
    batch: int,
    device: torch.device,
) -> dict[str, np.ndarray]:
    """Embed the inputs with every initialisation of an architecture.

    Parameters
    ----------
    name
        One of `MODELS`.
    seeds
        One initialisation a seed; all see the same inputs.
    inputs, few
        Sets for all seeds, and sets for the first `few_seeds` of them, which also see `inputs`
        without any normalisation (for architectures with layer norms): no layer norms and no
        standardised pixels, under the name `{inputs} unnormalised`.

    Returns
    -------
    `{inputs}/{modality}` -> float32 of shape (seeds, n, d), and for CLIP
    `{inputs}/{modality}.pooled`, what stands before the projection.
    """
    towers, found = build_towers(name), {}
    inputs, few = list(inputs), list(few)

    def keep(label: str, embedded: dict[str, np.ndarray]) -> None:
        for modality, rows in embedded.items():
            check_rows(rows, f"{name} on {label}, {modality}")
            found.setdefault(f"{label}/{modality}", []).append(rows)

    for k, seed in enumerate(tqdm(seeds, desc=f"{name} on {device}", unit=" initialisations")):
        towers.model.to("cpu")  # every device draws the same numbers
        towers.draw(seed)
        towers.model.to(device)
        for some in [*inputs, *few] if k < few_seeds else inputs:
            keep(some.name, run_towers(towers, some, batch, device))
        if k < few_seeds and isinstance(towers, Clip):
            with without_normalisation(towers.model):
                for some in inputs:
                    embedded = run_towers(towers, some, batch, device, raw=True)
                    keep(f"{some.name} unnormalised", embedded)
    return {label: np.stack(rows) for label, rows in found.items()}


def embed_mlp(
    depth: int, width: int, seeds: Sequence[int], inputs: int, seed: int, threads: int
) -> dict[str, np.ndarray]:
    """Embed the same standard normal rows with a random ReLU network a seed: `noise/vector`."""
    network = Network("relu", "normal", width=width)
    rows = Draws([seed], 9).normal(inputs, width).expand(len(seeds), -1, -1)
    layers = Layers([network], seeds, threads)
    for _ in range(depth):
        layers.draw()
        rows = layers.apply(network, rows)
    return {"noise/vector": rows.numpy()}
