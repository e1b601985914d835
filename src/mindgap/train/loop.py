"""The training loop: one step after another, resumed where it was left."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm

from mindgap.runtime.errors import UserError
from mindgap.train.parallel import Group
from mindgap.train.rows import grid
from mindgap.train.state import State

if TYPE_CHECKING:
    from mindgap.config.train import Recipe


def rate(recipe: Recipe, step: int) -> float:
    """Learning rate of a step, counted from 0."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    if recipe.schedule == "constant":
        return recipe.learning_rate
    share = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.learning_rate * (1 + math.cos(math.pi * share)) / 2


def cast(recipe: Recipe, device: torch.device | str) -> torch.autocast:
    """Context in which the encoders compute; the loss is always float32."""
    kind = torch.device(device).type
    half = recipe.precision == "auto" and kind == "cuda"
    return torch.autocast(kind, torch.bfloat16, enabled=half)


def make_optimiser(model: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Optimiser of all parameters, with weight decay on every one of them, as published."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    kind = {"adamw": torch.optim.AdamW, "adam_l2": torch.optim.Adam}[recipe.optimiser]
    return kind(
        parameters,
        lr=recipe.learning_rate,
        betas=recipe.betas,
        eps=recipe.epsilon,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def run_steps(
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
    one_step: Callable[[int], float],
    look: Callable[[int], dict[str, np.ndarray]],
    state: State,
    group: Group,
) -> None:
    """Take the steps that are left, and keep the held-out rows at the grid of steps.

    `one_step` takes a step and returns its loss; `look` returns the held-out rows before a step. An
    interrupted and resumed training makes the same numbers as an undisturbed one.
    """
    step = state.restore(model, optimiser)
    wanted = set(grid(recipe.steps))
    with tqdm(
        total=recipe.steps * recipe.batch,
        initial=step * recipe.batch,
        unit=" items",
        mininterval=1,
        desc=f"train on {next(model.parameters()).device}",
        disable=not group.first,
    ) as bar:
        while True:
            if group.first and step in wanted:
                state.keep(step, look(step))
            if step == recipe.steps:
                return
            for settings in optimiser.param_groups:
                settings["lr"] = rate(recipe, step)
            loss = one_step(step)
            if not math.isfinite(loss):
                raise UserError(
                    f"the loss is {loss} at step {step}; the last saved state, {state.file}, is "
                    f"that of step {state.last()}; lower learning_rate or raise warmup"
                )
            step += 1
            bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            bar.update(recipe.batch)
            if group.first and state.due():
                state.save(model, optimiser, step)
