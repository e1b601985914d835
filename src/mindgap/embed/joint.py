"""Small encoders of several modalities, trained together to one shared space."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from mindgap.codebook.encoders import make_encoder
from mindgap.codebook.inputs import Side, load_side
from mindgap.codebook.model import Head, pool
from mindgap.config.codebook import Inputs
from mindgap.config.models import JointModel
from mindgap.runtime.errors import UserError
from mindgap.train.batches import Batches
from mindgap.train.losses import cross_entropy

Sides = dict[str, Side]


class Tower(torch.nn.Module):
    """A fine-grained encoder, its tokens pooled (mean and maximum) and projected."""

    def __init__(self, facts: dict[str, Any], width: int, layers: int, dimension: int) -> None:
        super().__init__()
        self.encoder = make_encoder(facts, width, layers)
        self.head = Head(2 * width, 2 * width, dimension)

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Vectors of a batch, float32 (B, dimension), not normalised."""
        return self.head(pool(*self.encoder(inputs), "mean_max"))


def load_joint(
    pairs: str, modalities: list[str], inputs: Inputs, known: Sides | None, threads: int
) -> Sides:
    """Modality -> its decoded media; `known` are those of the training set, if this is another."""
    return {m: load_side(pairs, m, inputs, known and known[m].facts, threads) for m in modalities}


def train_joint(sides: Sides, model: JointModel, device: torch.device | str) -> torch.nn.ModuleDict:
    """Train one tower for each modality.

    The loss is the mean, over all pairs of modalities, of CLIP's symmetric cross-entropy at a fixed
    temperature (Radford et al. 2021), as ImageBind and AudioCLIP take it for some of the pairs.

    Parameters
    ----------
    sides
        Modality -> decoded media of the training set; where an item has several captions, the first
        one counts.
    model
        Sizes of the towers and how they are trained.

    Raises
    ------
    UserError
        If the batch is larger than the set, or the loss is not finite.
    """
    sizes = model.width, model.layers, model.dimension
    with torch.random.fork_rng():
        torch.manual_seed(model.seed)
        towers = torch.nn.ModuleDict({m: Tower(s.facts, *sizes) for m, s in sides.items()})
    towers.to(device)
    optimiser = torch.optim.AdamW(towers.parameters(), model.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, model.steps)
    scale = torch.tensor(model.inverse_temperature, device=device)
    items = np.arange(len(next(iter(sides.values()))))
    one_caption = (items, np.ones_like(items), model.batch, "first", items)
    batches = Batches(*one_caption, model.seed, augmentation="none", word_dropout=0)
    for step in tqdm(range(model.steps), desc=f"train on {device}", unit=" steps"):
        chosen = batches[step][0]
        rows = [
            F.normalize(towers[m](side.batch(side.first[chosen], device)), dim=1)
            for m, side in sides.items()
        ]
        each = [cross_entropy(x, y, scale, None) for x, y in combinations(rows, 2)]
        loss = torch.stack(each).mean()
        if not torch.isfinite(loss):
            raise UserError(f"the loss is {loss:g} at step {step}; lower learning_rate")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return towers


@torch.inference_mode()
def embed_joint(
    towers: torch.nn.ModuleDict, sides: Sides, batch: int, device: torch.device | str
) -> dict[str, np.ndarray]:
    """Modality -> vectors of the items of a set, float32 (n, dimension), not normalised."""
    return {
        m: torch.cat(
            [
                towers[m](side.batch(side.first[start : start + batch], device)).cpu()
                for start in range(0, len(side), batch)
            ]
        ).numpy()
        for m, side in sides.items()
    }
