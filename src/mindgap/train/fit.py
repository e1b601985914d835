"""Train one model from its options, and leave a checkpoint that any encoder can be loaded from.

Called as a module by torchrun, with the path of a JSON file that holds the arguments of `fit`.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from mindgap.data.prompts import fill
from mindgap.embed.checkpoint import describe_folder
from mindgap.embed.device import choose_device
from mindgap.embed.encoders.base import Adapter
from mindgap.embed.encoders.load import load_encoder
from mindgap.embed.history import digest
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import replacing_files, sha256, write_text
from mindgap.train.amend import fit_amendment
from mindgap.train.batches import Batches, wrong_partners
from mindgap.train.build import write_small_clip
from mindgap.train.dual import Dual
from mindgap.train.measure import HeldOut, gap_bounds, measure, recall_ceiling
from mindgap.train.parallel import Group, join_group
from mindgap.train.pool import load_pool, read_texts, tokenise
from mindgap.train.trainer import Recipe, train


@dataclass(frozen=True)
class Job:
    """What one training reads and writes.

    Attributes
    ----------
    options
        Everything that decides its numbers: recipe, loss, seed, amendment, captions.
    sizes
        Sizes of a small CLIP that is built for the occasion; None with `start`.
    pairs
        Role (train, test, zero_shot) -> pairs file.
    prompts
        Template of the class prompts of the zero-shot set.
    start
        Checkpoint folder to go on from, or None.
    folder
        Where the trained checkpoint goes.
    state
        File of the last good state, for a restart.
    device, threads
        Where and how.
    weights
        Of the checkpoint to start from: trained, or random, which the training's seed draws.
    expect
        Facts that the checkpoint to start from must have, see `load_encoder`.
    """

    options: dict[str, Any]
    sizes: dict[str, int] | None
    pairs: dict[str, str]
    prompts: dict[str, Any] | None
    start: str | None
    folder: str
    state: str
    device: str = "auto"
    threads: int = 1
    weights: str = "trained"
    expect: dict[str, Any] | None = None


def fit(job: Job, group: Group | None = None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Train, save the checkpoint, and return the trajectory and the final measures."""
    group, options = group or Group(), job.options
    torch.set_num_threads(job.threads)
    torch.manual_seed(options["seed"])
    if group.first:
        _forget_another(job)
    with tempfile.TemporaryDirectory() as scratch:
        encoder = _start(job, group)
        pool = load_pool(job.pairs["train"], encoder, job.threads, scratch)
        recipe = Recipe(**{f.name: options[f.name] for f in fields(Recipe) if f.name in options})
        model = Dual(encoder, options["loss"], recipe.temperature, recipe.inverse_temperature).to(
            choose_device(job.device)
        )
        partner = wrong_partners(len(pool), options["wrong_captions"], options["seed"])
        batches = Batches(
            pool.first,
            pool.count,
            recipe.batch,
            options["captions"],
            partner,
            options["seed"],
            options.get("augmentation", "none"),
            options.get("word_dropout", 0.0),
        )
        if options["amend"] != "none" and not Path(job.state).exists():
            x, y = model.embed(pool, pool.first, recipe.batch)
            model.amendment = fit_amendment(options["amend"], x, y)
        held = _held_out(job, encoder, scratch) if group.first else None
        look = (lambda m: measure(m, held)) if held else (lambda m: {"gap": float("nan")})
        rows = train(model, pool, batches, recipe, look, job.state, group)
        if not group.first:
            return rows, {}
        final = {
            **rows[-1],
            **recall_ceiling(held),
            "pairs": len(held.pairs),
            "train_pairs": len(pool),
        }
        x, y = (z.numpy() for z in model.embed(held.pairs, held.captions, held.batch))
        final |= gap_bounds(x, y, options["bootstrap"], options["confidence"], options["seed"])
        save_checkpoint(model, job.folder)
    return rows, final


def _forget_another(job: Job) -> None:
    """Drop a state that another training left: other options, other pairs, another start."""
    start = describe_folder(job.start) if job.start else None
    pairs = [sha256(path) for path in job.pairs.values()]
    key = digest(job.options, job.sizes, job.prompts, job.weights, job.expect, start, pairs)
    record = Path(f"{job.state}.key")
    if not record.exists() or record.read_text() != key:
        Path(job.state).unlink(missing_ok=True)
        write_text(record, key)


def _start(job: Job, group: Group) -> Adapter:
    """The encoder to train; a small one is built by the first process and read by all."""
    folder = job.start or f"{job.state}.start"
    if job.start is None and group.first:
        texts = read_texts(job.pairs["train"])
        with replacing_files(folder, last="model.safetensors") as part:
            write_small_clip(part, texts, job.options["seed"], job.sizes)
    group.wait()
    encoder = load_encoder(folder, job.weights, job.options["seed"], expect=job.expect)
    group.wait()
    if job.start is None and group.first:
        shutil.rmtree(folder)
    if not {"image", "text"} <= set(encoder.modalities) or len(encoder.modalities) != 2:
        raise UserError(
            f"{job.start} embeds {' and '.join(encoder.modalities)}, not pictures and texts"
        )
    projection = getattr(encoder.model, "text_projection", None)
    if job.options["amend"] == "procrustes" and not isinstance(projection, torch.nn.Linear):
        raise UserError(
            f"{job.start}: amend: procrustes needs a text tower that ends in a linear projection, "
            "which takes up the rotation; this model has none"
        )
    return encoder


def _held_out(job: Job, encoder: Adapter, scratch: str) -> HeldOut:
    which = job.options["captions"]
    pairs = load_pool(job.pairs["test"], encoder, job.threads, Path(scratch, "test"))
    last = pairs.first + pairs.count - 1
    held = HeldOut(pairs, last if which == "last" else pairs.first, batch=job.options["batch"])
    if "zero_shot" in job.pairs:
        held.singles = load_pool(
            job.pairs["zero_shot"], encoder, job.threads, Path(scratch, "zero")
        )
        held.classes = tuple(sorted(set(held.singles.labels)))
        if None in held.singles.labels:
            raise UserError(f"{job.pairs['zero_shot']}: zero-shot needs a label for each item")
        texts = [fill(job.prompts["template"], name) for name in held.classes]
        held.prompts = tokenise(encoder, texts)
    return held


def save_checkpoint(model: Dual, folder: str | Path) -> None:
    """Write a checkpoint folder as `save_pretrained` does: each file whole, weights last.

    A turn of the texts is folded into the text projection, so that the checkpoint embeds as the
    trained model does; centres cannot be, and stand in amendment.safetensors.
    """
    from safetensors.torch import save_file

    towers, amendment = model.towers, model.amendment
    with torch.no_grad():
        if hasattr(towers, "logit_scale"):
            towers.logit_scale.copy_(model.log_scale)
        if amendment.turn is not None:
            weight = towers.text_projection.weight
            weight.copy_(amendment.turn.to(weight) @ weight)
    with replacing_files(folder, last="model.safetensors") as part:
        if amendment.centres is not None:
            save_file(amendment.tensors(), part / "amendment.safetensors")
        model.encoder.tokenizer.save_pretrained(part)
        model.encoder.pixels.processor.save_pretrained(part)
        towers.save_pretrained(part)


def _main(path: str) -> None:
    group = join_group()
    rows, final = fit(Job(**json.loads(Path(path).read_text())), group)
    if group.first:
        Path(path).with_suffix(".done").write_text(json.dumps([rows, final]))


if __name__ == "__main__":
    try:
        _main(sys.argv[1])
    except UserError as error:
        sys.exit(f"error: {error}")
