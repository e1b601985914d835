"""Training of a dual encoder: its temperature, and one step on one batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from mindgap.train.dual import Dual, chunks, trims
from mindgap.train.loop import cast
from mindgap.train.parallel import Group

if TYPE_CHECKING:
    from mindgap.config.train import DualRecipe
    from mindgap.train.pool import Pool


def scale(recipe: DualRecipe, step: int) -> float:
    """Scheduled 1/tau after `step` steps: geometrically from the first to the final one."""
    end = recipe.final_inverse_temperature or recipe.inverse_temperature
    share = min(1.0, step / max(1, recipe.steps - 1))
    return recipe.inverse_temperature ** (1 - share) * end**share


def schedule_temperature(model: Dual, recipe: DualRecipe, step: int) -> None:
    """Set the temperature of a step, where it is scheduled."""
    if recipe.temperature == "scheduled":
        model.log_scale.data.fill_(math.log(scale(recipe, step)))


def train_step(
    model: Dual,
    optimiser: torch.optim.Optimizer,
    pool: Pool,
    batch: tuple[Any, Any, Any],
    recipe: DualRecipe,
    group: Group,
) -> float:
    """One step on one batch; return its loss.

    The loss of the whole batch is a function of its embeddings. Where these are made in pieces
    (`accumulate`) or by several processes, its gradient with respect to the rows is taken first
    and carried back through the towers piece by piece, so that memory holds one piece at a time
    and the result is that of the undivided batch (Gao et al. 2021, "gradient cache").
    """
    items, captions, draws = batch
    own = group.own(len(items))
    pieces = chunks(own, -(-len(own) // recipe.accumulate))
    inputs = [
        pool.batch(items[p], captions[p], trims(model.encoder), None if draws is None else draws[p])
        for p in pieces
    ]
    computing = cast(recipe, model.log_scale.device)
    optimiser.zero_grad(set_to_none=True)
    if len(pieces) == 1 and group.size == 1:
        with computing:
            x, y = model(*inputs[0])
        loss = model.loss(x, y)
        if torch.isfinite(loss):
            loss.backward()
    else:
        with torch.no_grad(), computing:
            parts = [model(*one) for one in inputs]
        x, y = (torch.cat([part[side] for part in parts]) for side in (0, 1))
        x, y = (group.gather(z).requires_grad_(True) for z in (x, y))
        loss = model.loss(x, y)
        if torch.isfinite(loss):
            loss.backward()
            for one, piece in zip(inputs, pieces, strict=True):
                with computing:
                    a, b = model(*one)
                torch.autograd.backward([a, b], [x.grad[piece], y.grad[piece]])
            group.add_gradients(model.towers.parameters())
    if torch.isfinite(loss):
        optimiser.step()
        with torch.no_grad():
            model.log_scale.clamp_(
                max=math.log(max(recipe.largest_scale, recipe.inverse_temperature))
            )
    return float(loss.detach())
