"""Train a dual encoder, and leave a checkpoint that any encoder can be loaded from."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from mindgap.config.train import DualRecipe, SmallClip
from mindgap.embed.checkpoint import describe_folder
from mindgap.embed.device import choose_device
from mindgap.embed.encoders.base import Adapter
from mindgap.embed.encoders.load import load_encoder
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import replacing_files, write_json
from mindgap.train.amend import fit_amendment
from mindgap.train.batches import Batches, wrong_partners
from mindgap.train.build import write_small_clip
from mindgap.train.dual import Dual
from mindgap.train.held import load_held_out
from mindgap.train.job import Job
from mindgap.train.loop import make_optimiser, run_steps
from mindgap.train.parallel import Group
from mindgap.train.pool import load_pool, read_texts
from mindgap.train.state import State
from mindgap.train.trainer import schedule_temperature, train_step


class DualJob(Job):
    """Training of a dual encoder of pictures and texts.

    Attributes
    ----------
    sizes
        Sizes of a small CLIP that is built for the occasion; None with `start`.
    prompts
        Template of the class prompts of the zero-shot set.
    start
        Checkpoint folder to go on from, or None.
    random
        Whether to draw the weights from the training's seed instead of reading those of `start`.
    expect
        Facts that the checkpoint to start from must have, see `load_encoder`.
    """

    options: DualRecipe
    sizes: SmallClip | None = None
    prompts: dict[str, Any] | None = None
    start: str | None = None
    random: bool = False
    expect: dict[str, Any] | None = None

    def settled(self) -> list[Any]:
        """What decides the numbers."""
        start = describe_folder(self.start) if self.start else None
        sizes = self.sizes and self.sizes.model_dump()
        return [*super().settled(), sizes, self.prompts, start, self.random, self.expect]

    def train(self, state: State, group: Group) -> None:
        """Train, and leave the checkpoint and the held-out rows."""
        recipe = self.options
        with tempfile.TemporaryDirectory() as scratch:
            encoder = self._load(state, group)
            pool = load_pool(self.pairs["train"], encoder, self.threads, scratch)
            model = Dual(encoder, recipe.loss, recipe.temperature, recipe.inverse_temperature)
            model = model.to(choose_device(self.device))
            partner = wrong_partners(len(pool), recipe.wrong_captions, self.seed)
            batches = Batches(
                pool.first,
                pool.count,
                recipe.batch,
                recipe.captions,
                partner,
                self.seed,
                recipe.augmentation,
                recipe.word_dropout,
            )
            if recipe.amend != "none" and not state.file.exists():
                start = model.embed(pool, pool.first, recipe.batch)
                unit = (F.normalize(z, dim=1) for z in start)
                model.amendment = fit_amendment(recipe.amend, *unit)
            held = None
            if group.first:
                held = load_held_out(
                    self.pairs, encoder, recipe, self.prompts, self.threads, scratch
                )
            optimiser = make_optimiser(model, recipe)

            def one_step(step: int) -> float:
                schedule_temperature(model, recipe, step)
                return train_step(model, optimiser, pool, batches[step], recipe, group)

            def look(step: int) -> dict[str, np.ndarray]:
                schedule_temperature(model, recipe, step)
                return held.look(model)

            run_steps(model, optimiser, recipe, one_step, look, state, group)
            if group.first:
                amendment = {k: v.numpy() for k, v in model.amendment.tensors().items()}
                state.collect(self.rows, held.common() | amendment, {"train_pairs": len(pool)})
                self._save(model)

    def _load(self, state: State, group: Group) -> Adapter:
        """The encoder to train; a small one is built by the first process and read by all."""
        folder = self.start or state.folder / "start"
        if self.start is None and group.first:
            texts = read_texts(self.pairs["train"])
            with replacing_files(folder, last="model.safetensors") as part:
                write_small_clip(part, texts, self.seed, self.sizes)
        group.wait()
        weights = "random" if self.random else "trained"
        encoder = load_encoder(folder, weights, self.seed, expect=self.expect)
        group.wait()
        if self.start is None and group.first:
            shutil.rmtree(folder)
        if set(encoder.modalities) != {"image", "text"}:
            raise UserError(
                f"{self.start} embeds {' and '.join(encoder.modalities)}; only an encoder of "
                "image and text can be trained"
            )
        projection = getattr(encoder.model, "text_projection", None)
        if self.options.amend == "procrustes" and not isinstance(projection, torch.nn.Linear):
            raise UserError(
                f"{self.start}: amend: procrustes needs a text tower that ends in a linear "
                "projection, into which the rotation is folded; set amend to none or centre"
            )
        return encoder

    def _save(self, model: Dual) -> None:
        """Write a checkpoint folder as `save_pretrained` does: each file whole, weights last.

        A turn of the texts is folded into the text projection, so that the checkpoint embeds as the
        trained model does; centres cannot be, and stand in amendment.safetensors.
        """
        towers, amendment = model.towers, model.amendment
        with torch.no_grad():
            if hasattr(towers, "logit_scale"):
                towers.logit_scale.copy_(model.log_scale)
            if amendment.turn is not None:
                weight = towers.text_projection.weight
                weight.copy_(amendment.turn.to(weight) @ weight)
        with replacing_files(self.folder, last="model.safetensors") as part:
            if amendment.centres is not None:
                save_file(amendment.tensors(), part / "amendment.safetensors")
            model.encoder.tokenizer.save_pretrained(part)
            model.encoder.pixels.processor.save_pretrained(part)
            towers.save_pretrained(part)
        about = {**self.about, "start": self.start, "logit_scale": model.scale()}
        write_json(self.folder / "training.json", {**about, "options": self.recorded()})
