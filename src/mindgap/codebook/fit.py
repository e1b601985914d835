"""Train a codebook; leave its weights, and what it makes of held-out pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from mindgap.codebook.encoders import Frames
from mindgap.codebook.model import Seen, Tokens, TwoPaths
from mindgap.codebook.share import carry_back, gather
from mindgap.codebook.sides import Sides, load_sides
from mindgap.config.codebook import Arrays, CodebookRecipe
from mindgap.embed.device import choose_device
from mindgap.runtime.files import replacing, sha256, write_json
from mindgap.train.batches import Batches
from mindgap.train.job import Job
from mindgap.train.loop import cast, make_optimiser, run_steps
from mindgap.train.parallel import Group
from mindgap.train.rows import save_tensors
from mindgap.train.state import State

START_TOKENS = 64  # tokens per code that the k-means start looks at, if the batches have them


class CodebookJob(Job):
    """Training of a codebook.

    Attributes
    ----------
    codes
        File for the codes of the held-out pairs at the end.
    arrays
        Files of tokens of another encoder, in place of that medium.
    """

    options: CodebookRecipe
    codes: str
    arrays: Arrays

    def settled(self) -> list[Any]:
        """What decides the numbers."""
        return [*super().settled(), [sha256(path) for path in self.arrays.files()]]

    def train(self, state: State, group: Group) -> None:
        """Train, and leave weights, codes and held-out rows."""
        options, pairs, threads = self.options, self.pairs, self.threads
        train_set = load_sides(pairs["train"], self.arrays.train, options, None, threads)
        sides = (train_set.a, train_set.b)
        facts = {m: s.facts for m, s in zip(options.modalities, sides, strict=True)}
        test_set = load_sides(pairs["test"], self.arrays.test, options, facts, threads)
        trainer = Trainer(train_set, facts, options, self.seed, choose_device(self.device), group)
        model = trainer.model

        def look(step: int) -> dict[str, np.ndarray]:
            return embed(model, test_set, options.batch, most=options.measure_items)

        run_steps(model, trainer.optimiser, options, trainer.step, look, state, group)
        if group.first:
            end = embed(model, test_set, options.batch, shares=True)
            about = self._describe(model, facts)
            state.collect(self.rows, end, {"size": about["size"]})
            codes = {side: end[f"codes_{side}"] for side in "ab" if f"codes_{side}" in end}
            save_tensors(self.codes, codes, about)
            weights = {k: v.contiguous().cpu() for k, v in model.state_dict().items()}
            with replacing(self.weights) as part:
                save_file(weights, part)
            made = {**self.about, "facts": facts, "options": self.recorded()}
            write_json(self.folder / "codebook.json", made)

    def _describe(self, model: TwoPaths, facts: dict[str, Any]) -> dict[str, Any]:
        """What is needed to read the codes."""
        inputs = self.options.inputs
        return {
            "size": 0 if model.quantiser is None else len(model.quantiser.table()),
            "modalities": self.options.modalities,
            "shapes": {m: getattr(e, "shape", ()) for m, e in model.encoders.items()},
            "token_s": Frames.STRIDE * inputs.hop / inputs.rate,
            "kinds": {m: one["kind"] for m, one in facts.items()},
        }


class Trainer:
    """A model with its data and its optimiser, which takes one step after another.

    Parameters
    ----------
    train_set
        Both modalities of the pairs to train on.
    facts
        Modality -> what its encoder is made for.
    group
        Processes that share each batch.
    """

    def __init__(
        self,
        train_set: Sides,
        facts: dict[str, Any],
        options: CodebookRecipe,
        seed: int,
        device: torch.device,
        group: Group,
    ) -> None:
        self.train_set, self.options, self.device, self.group = train_set, options, device, group
        self.model = TwoPaths(facts, options, seed).to(device)
        self.optimiser = make_optimiser(self.model, options)
        most = max((train_set.a, train_set.b), key=lambda side: int(side.count.max()))
        n, size = np.arange(len(train_set)), options.batch
        self.batches = Batches(most.first, most.count, size, options.captions, n, seed, "none", 0.0)

    def see(self, step: int, shares: bool) -> tuple[Tokens, Tokens, Seen]:
        """What this process made of its items, what all made of theirs, and the whole batch."""
        items, captions = self.batches[step][:2]
        own = self.group.own(len(items))
        with cast(self.options, self.device):
            mine = self.model.encode(self.train_set.batch(items[own], captions[own], self.device))
            every = gather(mine, self.group)
            return mine, every, self.model.join(every, shares)

    def step(self, step: int) -> float:
        """Take a step and return its loss."""
        model, options = self.model, self.options
        if model.quantiser is not None and step == options.start:
            if options.initial_codes == "kmeans":
                start_codes(model, lambda at: self.see(at, False)[2], step, options.codes)
            model.started.fill_(True)
        mine, every, seen = self.see(step, bool(options.matching))
        loss = model.loss(seen, self._sources(step))
        self.optimiser.zero_grad(set_to_none=True)
        if torch.isfinite(loss):
            loss.backward()
            if self.group.size > 1:
                carry_back(mine, every, model, self.group)
            if options.clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip)
            self.optimiser.step()
            if len(seen.codes):
                model.quantiser.update(seen.rows, seen.codes, seen.modality)
        return float(loss.detach())

    def _sources(self, step: int) -> torch.Tensor | None:
        sources = self.train_set.sources
        if sources is None:
            return None
        return torch.from_numpy(sources[self.batches[step][0]]).to(self.device)


@torch.no_grad()
def start_codes(model: TwoPaths, see: Callable[[int], Seen], step: int, codes: int) -> None:
    """Set the codes from the tokens of the next batches, up to `START_TOKENS` per code."""
    rows, which, tokens = [], [], 0
    for one in range(step, step + 8):
        seen = see(one)
        rows.append(seen.rows)
        which.append(seen.modality)
        tokens = len(seen.rows)
        if min(int((torch.cat(which) == m).sum()) for m in (0, 1)) >= START_TOKENS * codes // 2:
            break
    rows, which = torch.cat(rows), torch.cat(which)
    model.quantiser.start(rows, which, tokens)


@torch.inference_mode()
def embed(
    model: TwoPaths, sides: Sides, batch: int, shares: bool = False, most: int | None = None
) -> dict[str, np.ndarray]:
    """What a model makes of a set, or of its first `most` items; the first caption of each.

    Returns
    -------
    `continuous`, `discrete`, the vectors of the paths that the model has, and `pooled`, the mean
    code vectors: float32 (2, n, d); once the codes have started `codes_a`, `codes_b`: int16 (n, L),
    -1 for padding; and with `shares` `log_shares`, log P(v|H): float32 (2, n, V).
    """
    model.eval()
    n = min(len(sides), most or len(sides))
    device, paths = next(model.parameters()).device, model.options.paths
    names = [path for path in ("continuous", "discrete") if paths in (path, "both")]
    names += ["pooled"] if model.quantiser is not None else []
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    codes: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for start in range(0, n, batch):
        items = np.arange(start, min(start + batch, n))
        seen = model(sides.batch(items, None, device), shares)
        for name in names:
            parts[name].append(getattr(seen, name).cpu())
        if seen.log_shares is not None:
            parts.setdefault("log_shares", []).append(seen.log_shares.cpu())
        if len(seen.codes):
            for m in (0, 1):
                codes[m].append(_lay_out(seen.codes[seen.modality == m], seen.masks[m]))
    model.train()
    found = {name: torch.cat(some, 1).numpy() for name, some in parts.items()}
    laid = {f"codes_{side}": _join(some) for side, some in zip("ab", codes, strict=True) if some}
    return found | laid


def _lay_out(codes: torch.Tensor, mask: torch.Tensor) -> np.ndarray:
    laid = torch.full(mask.shape, -1, dtype=torch.int16, device=mask.device)
    laid[mask] = codes.to(torch.int16)
    return laid.cpu().numpy()


def _join(parts: list[np.ndarray]) -> np.ndarray:
    width = max(part.shape[1] for part in parts)
    return np.concatenate(
        [np.pad(p, [(0, 0), (0, width - p.shape[1])], constant_values=-1) for p in parts]
    )
