"""Train one codebook from its options; leave its weights, its measures and the held-out codes.

Called as a module by torchrun, with the path of a JSON file that holds the arguments of `fit`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mindgap.codebook.measure import LIGHT_PAIRS, as_vectors, measure_held, retrieval_rows
from mindgap.codebook.model import Seen, Tokens, TwoPaths
from mindgap.codebook.share import carry_back, gather
from mindgap.codebook.sides import Job, Sides, load_sides
from mindgap.codebook.store import leave
from mindgap.embed.device import choose_device
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import sha256, write_text
from mindgap.train.batches import Batches
from mindgap.train.parallel import Group, join_group
from mindgap.train.trainer import Recipe, make_optimiser, run_steps

START_TOKENS = 64  # tokens a code that the k-means start looks at, if the batches have them


@dataclass
class Held:
    """What a model makes of held-out pairs.

    Attributes
    ----------
    vectors
        Name (final, continuous, discrete) -> float32 (2, n, d).
    codes
        int16 (n, L) of each modality, -1 for padding; None before the start.
    log_shares
        log P(v|H), float32 (2, n, V), or None.
    """

    vectors: dict[str, np.ndarray]
    codes: tuple[np.ndarray, np.ndarray] | None
    log_shares: np.ndarray | None


@dataclass
class Result:
    """What a training leaves.

    Attributes
    ----------
    model
        The trained model.
    facts
        Modality -> what its encoder is made for; needed to use the model again.
    steps
        Measures over the steps: step, vector, and its measures.
    final
        The measures at the end, a row a vector.
    retrieval
        A row a vector, level and random set.
    held
        Vectors and codes of the held-out pairs.
    """

    model: TwoPaths
    facts: dict[str, Any]
    steps: list[dict[str, Any]]
    final: list[dict[str, Any]]
    retrieval: list[dict[str, Any]]
    held: Held


def fit(job: Job, group: Group | None = None) -> Result | None:
    """Train, and measure what came of it; of several processes only the first one measures."""
    group, options = group or Group(), job.options
    torch.set_num_threads(job.threads)
    torch.manual_seed(options["seed"])
    if group.first:
        _forget_another(job)
    group.wait()
    train_set = load_sides(job, "train", None)
    facts = {
        m: s.facts for m, s in zip(options["modalities"], (train_set.a, train_set.b), strict=True)
    }
    test_set = load_sides(job, "test", facts)
    device = choose_device(job.device)
    model = TwoPaths(facts, options, options["seed"]).to(device)
    recipe = Recipe(**{f.name: options[f.name] for f in fields(Recipe) if f.name in options})
    most = max((train_set.a, train_set.b), key=lambda side: int(side.count.max()))
    n = np.arange(len(train_set))
    batches = Batches(most.first, most.count, recipe.batch, options["captions"], n, options["seed"])
    optimiser = make_optimiser(model, recipe)
    cast = torch.autocast(
        device.type, torch.bfloat16, enabled=recipe.precision == "auto" and device.type == "cuda"
    )
    own = group.own(recipe.batch)

    def see(step: int, shares: bool) -> tuple[Tokens, Tokens, Seen]:
        """What this process made of its items, what all made of theirs, and the whole batch."""
        items, captions = batches[step][:2]
        with cast:
            mine = model.encode(train_set.batch(items[own], captions[own], device))
            every = gather(mine, group)
            return mine, every, model.join(every, shares)

    def one_step(step: int) -> float:
        if model.quantiser is not None and step == options["start"]:
            if options["initial_codes"] == "kmeans":
                start_codes(model, see, step, options["codes"])
            model.started.fill_(True)
        mine, every, seen = see(step, bool(options["matching"]))
        items = batches[step][0]
        sources = train_set.sources
        loss = model.loss(
            seen, None if sources is None else torch.from_numpy(sources[items]).to(device)
        )
        optimiser.zero_grad(set_to_none=True)
        if torch.isfinite(loss):
            loss.backward()
            if group.size > 1:
                carry_back(mine, every, model, group)
            if options["clip"]:
                torch.nn.utils.clip_grad_norm_(model.parameters(), options["clip"])
            optimiser.step()
            if len(seen.codes):
                model.quantiser.update(seen.rows, seen.codes, seen.modality)
        return float(loss.detach())

    def look(held: Held, pairs: int) -> dict[str, dict[str, float]]:
        size = 0 if model.quantiser is None else len(model.quantiser.table())
        return measure_held(held.vectors, held.codes, size, pairs, options["seed"])

    def measure(model: TwoPaths) -> dict[str, Any]:
        if not group.first:
            return {"gap": float("nan")}
        found = look(
            embed(model, test_set, recipe.batch, most=options["measure_items"]), LIGHT_PAIRS
        )
        return {"gap": found["final"]["gap"], "found": found}

    rows = run_steps(model, optimiser, recipe, one_step, measure, job.state, group)
    if not group.first:
        return None
    held = embed(model, test_set, recipe.batch, shares=True)
    vectors = {name: tuple(pair) for name, pair in held.vectors.items()}
    if held.log_shares is not None:
        vectors["codes"] = as_vectors(held.log_shares)
    labels = test_set.labels if options["classes"] else None
    retrieval = retrieval_rows(
        vectors, labels, options["sets"], options["set_items"], options["seed"]
    )
    steps = [{"step": row["step"], **one} for row in rows for one in tidy(row["found"])]
    return Result(model, facts, steps, tidy(look(held, options["max_pairs"])), retrieval, held)


def tidy(found: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """A row a vector; the usage of the codes stands beside each of them."""
    usage = found.get("codes", {})
    return [{"vector": n, **row, **usage} for n, row in found.items() if n != "codes"]


@torch.no_grad()
def start_codes(model: TwoPaths, see: Any, step: int, codes: int) -> None:
    """Set the codes from the tokens of the next batches, `START_TOKENS` a code if they suffice."""
    rows, which, tokens = [], [], 0
    for one in range(step, step + 8):
        seen = see(one, False)[2]
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
) -> Held:
    """Vectors and codes of a set, or of its first `most` items; the first caption of each."""
    model.eval()
    n = min(len(sides), most or len(sides))
    device = next(model.parameters()).device
    continuous, discrete, pooled, codes, logs = [], [], [], ([], []), []
    for start in range(0, n, batch):
        items = np.arange(start, min(start + batch, n))
        seen = model(sides.batch(items, None, device), shares)
        continuous.append(seen.continuous.cpu())
        discrete.append(seen.discrete.cpu())
        pooled.append(seen.pooled.cpu())
        if len(seen.codes):
            for m in (0, 1):
                codes[m].append(_lay_out(seen.codes[seen.modality == m], seen.masks[m]))
        if seen.log_shares is not None:
            logs.append(seen.log_shares.cpu())
    one, other = (torch.cat(parts, 1).numpy() for parts in (continuous, discrete))
    vectors = {"final": one + other}
    if model.options["paths"] == "both":
        vectors |= {"continuous": one, "discrete": other}
    if model.quantiser is not None:
        vectors["pooled"] = torch.cat(pooled, 1).numpy()
    model.train()
    laid = tuple(_join(side) for side in codes) if codes[0] else None
    return Held(vectors, laid, torch.cat(logs, 1).numpy() if logs else None)


def _lay_out(codes: torch.Tensor, mask: torch.Tensor) -> np.ndarray:
    laid = torch.full(mask.shape, -1, dtype=torch.int16, device=mask.device)
    laid[mask] = codes.to(torch.int16)
    return laid.cpu().numpy()


def _join(parts: list[np.ndarray]) -> np.ndarray:
    width = max(part.shape[1] for part in parts)
    return np.concatenate(
        [np.pad(p, [(0, 0), (0, width - p.shape[1])], constant_values=-1) for p in parts]
    )


def _forget_another(job: Job) -> None:
    """Drop a state that another training left: other options or other inputs."""
    files = [*job.pairs.values(), *(p for one in job.arrays.values() for p in one.values())]
    made = json.dumps([job.options, [sha256(path) for path in files]], sort_keys=True)
    key = hashlib.sha256(made.encode()).hexdigest()
    record = Path(f"{job.state}.key")
    if not record.exists() or record.read_text() != key:
        Path(job.state).unlink(missing_ok=True)
        write_text(record, key)


def _main(path: str) -> None:
    group, job = join_group(), Job(**json.loads(Path(path).read_text()))
    found = fit(job, group)
    if found is not None:
        leave(found, job)
        Path(path).with_suffix(".done").write_text("true")


if __name__ == "__main__":
    try:
        _main(sys.argv[1])
    except UserError as error:
        sys.exit(f"error: {error}")
