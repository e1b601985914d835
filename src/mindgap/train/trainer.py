"""The training loop: one step after another, resumed where it was left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from mindgap.runtime.errors import UserError
from mindgap.runtime.files import full_disk, replacing
from mindgap.train.batches import Batches
from mindgap.train.dual import Dual, trims
from mindgap.train.measure import grid
from mindgap.train.parallel import Group
from mindgap.train.pool import Pool


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes
    ----------
    steps, batch
        Length, and pairs a step over all processes.
    accumulate
        Pieces that a batch is embedded in; the loss is that of the whole batch all the same.
    optimiser
        `adamw`, or `adam_l2`: Adam with the weight decay added to the gradient, as published.
    schedule
        `cosine` or `constant`, after `warmup` steps of linear growth.
    temperature, inverse_temperature, final_inverse_temperature
        `learned`, `fixed` or `scheduled` (geometrically from one to the other); 1/tau.
    largest_scale
        Bound of a learned logit scale.
    precision
        `auto` computes the towers in bfloat16 on CUDA; the loss is always float32.
    save_every
        Seconds between checkpoints for a restart.
    """

    steps: int
    batch: int
    accumulate: int = 1
    optimiser: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = 1e-6
    schedule: str = "cosine"
    warmup: int = 0
    temperature: str = "learned"
    inverse_temperature: float = 1 / 0.07
    final_inverse_temperature: float | None = None
    largest_scale: float = 100.0
    precision: str = "auto"
    save_every: float = 30.0

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if self.schedule == "constant":
            return self.learning_rate
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * (1 + math.cos(math.pi * share)) / 2

    def scale(self, step: int) -> float:
        """Scheduled 1/tau after `step` steps."""
        end = self.final_inverse_temperature or self.inverse_temperature
        share = min(1.0, step / max(1, self.steps - 1))
        return self.inverse_temperature ** (1 - share) * end**share


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


def train(
    model: Dual,
    pool: Pool,
    batches: Batches,
    recipe: Recipe,
    measure: Callable[[Dual], dict[str, float]],
    state: str | Path,
    group: Group | None = None,
) -> list[dict[str, float]]:
    """Train a model in place and return its measures on the log grid of steps.

    The model stays in eval mode (no dropout), as in the published code. See `run_steps`.
    """
    group = group or Group()
    optimiser = make_optimiser(model, recipe)

    def prepare(step: int) -> None:
        if recipe.temperature == "scheduled":
            model.log_scale.data.fill_(math.log(recipe.scale(step)))

    def one_step(step: int) -> float:
        return train_step(model, optimiser, pool, batches[step], recipe, group)

    return run_steps(model, optimiser, recipe, one_step, measure, state, group, prepare)


def run_steps(
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
    one_step: Callable[[int], float],
    measure: Callable[[Any], dict[str, float]],
    state: str | Path,
    group: Group,
    prepare: Callable[[int], None] = lambda step: None,
) -> list[dict[str, float]]:
    """Take the steps that are left and return the measures on the log grid of steps.

    `one_step` takes a step and returns its loss, `prepare` is called before a measure. `state`
    holds what a restart needs: it is written beside and renamed, so that a kill or a full disk
    leaves the last good one, and an interrupted and resumed run makes the same numbers as an
    undisturbed one.
    """
    step, rows = _restore(model, optimiser, Path(state))
    wanted = set(grid(recipe.steps))
    saved = time.monotonic()
    with tqdm(
        total=recipe.steps * recipe.batch,
        initial=step * recipe.batch,
        unit=" items",
        mininterval=1,
        desc=f"train on {next(model.parameters()).device}",
        disable=not group.first,
    ) as bar:
        while True:
            prepare(step)
            if step in wanted and (not rows or rows[-1]["step"] != step):
                rows.append({"step": step, **measure(model)})
                bar.set_postfix_str(f"gap {rows[-1]['gap']:.3f}", refresh=False)
            if step == recipe.steps:
                return rows
            for settings in optimiser.param_groups:
                settings["lr"] = recipe.rate(step)
            loss = one_step(step)
            if not math.isfinite(loss):
                raise UserError(
                    f"the loss is {loss} at step {step}; the last good checkpoint is that of step "
                    f"{_last(Path(state))} ({state}); lower learning_rate, or raise warmup"
                )
            step += 1
            bar.update(recipe.batch)
            if group.first and time.monotonic() - saved >= recipe.save_every:
                save_state(model, optimiser, step, rows, state)
                saved = time.monotonic()


def train_step(
    model: Dual,
    optimiser: torch.optim.Optimizer,
    pool: Pool,
    batch: tuple[Any, Any, Any],
    recipe: Recipe,
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
    pieces = [p for p in _split(own, recipe.accumulate) if len(p)]
    inputs = [
        pool.batch(items[p], captions[p], trims(model.encoder), None if draws is None else draws[p])
        for p in pieces
    ]
    device = model.log_scale.device.type
    half = recipe.precision == "auto" and device == "cuda"
    cast = torch.autocast(device, torch.bfloat16, enabled=half)
    optimiser.zero_grad(set_to_none=True)
    if len(pieces) == 1 and group.size == 1:
        with cast:
            x, y = model(*inputs[0])
        loss = model.loss(x, y)
        if torch.isfinite(loss):
            loss.backward()
    else:
        with torch.no_grad(), cast:
            parts = [model(*one) for one in inputs]
        x, y = (torch.cat([part[side] for part in parts]) for side in (0, 1))
        x, y = (group.gather(z).requires_grad_(True) for z in (x, y))
        loss = model.loss(x, y)
        if torch.isfinite(loss):
            loss.backward()
            start = 0
            for one, piece in zip(inputs, pieces, strict=True):
                with cast:
                    a, b = model(*one)
                rows = slice(int(own[0]) + start, int(own[0]) + start + len(piece))
                torch.autograd.backward([a, b], [x.grad[rows], y.grad[rows]])
                start += len(piece)
            group.add_gradients(model.towers.parameters())
    if torch.isfinite(loss):
        optimiser.step()
        with torch.no_grad():
            model.log_scale.clamp_(
                max=math.log(max(recipe.largest_scale, recipe.inverse_temperature))
            )
    return float(loss.detach())


def _split(items: Any, pieces: int) -> list[Any]:
    size = -(-len(items) // pieces)
    return [items[i : i + size] for i in range(0, len(items), size)]


def save_state(
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    step: int,
    rows: list[dict[str, float]],
    path: str | Path,
) -> None:
    """Write what a restart needs, whole or not at all."""
    state = {
        "step": step,
        "rows": rows,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "generator": torch.get_rng_state(),
    }
    try:
        # Through a stream of our own, because the library's drops the reason of a failure.
        with replacing(path) as part, open(part, "wb") as stream:
            torch.save(state, stream)
    except (UserError, OSError, RuntimeError) as error:
        raise UserError(
            f"the checkpoint of step {step} cannot be written to {path} "
            f"({full_disk(error) or error}); the last good "
            f"one is that of step {_last(Path(path))}: make room and run again"
        ) from error


def _read_state(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged one fails in many ways, and a pickle is not opened
        why = str(error).partition("\n")[0].partition(". ")[0]
        raise UserError(
            f"{path} is not a readable state of a training ({why}); delete it and run again"
        ) from error


def _restore(
    model: torch.nn.Module, optimiser: torch.optim.Optimizer, path: Path
) -> tuple[int, list[dict[str, float]]]:
    if not path.exists():
        return 0, []
    state = _read_state(path)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["generator"])
    return state["step"], state["rows"]


def _last(path: Path) -> int:
    return int(_read_state(path)["step"]) if path.exists() else 0
