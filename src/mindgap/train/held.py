"""Held-out pairs of a training, and what the model makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mindgap.config.train import DualRecipe
from mindgap.data.prompts import fill
from mindgap.embed.encoders.base import Adapter
from mindgap.runtime.errors import UserError
from mindgap.train.dual import Dual
from mindgap.train.pool import Pool, load_pool, tokenise


@dataclass(frozen=True)
class HeldOut:
    """Pairs and, with a zero-shot set, labelled pictures.

    Attributes
    ----------
    captions
        Caption of each item of `pairs`.
    batch
        Items that are embedded at a time.
    singles
        Labelled pictures for zero-shot classification, or None.
    prompts
        Token ids of the class prompts, one row per class in the order of the classes' names.
    """

    pairs: Pool
    captions: np.ndarray
    batch: int
    singles: Pool | None = None
    prompts: dict[str, np.ndarray] | None = None

    def look(self, model: Dual) -> dict[str, np.ndarray]:
        """Rows of the model as it is: pairs `a`, `b`, `singles`, `prompts`, and its `scale`."""
        x, y = model.embed(self.pairs, self.captions, self.batch)
        rows = {"scale": torch.tensor(model.scale()), "a": x, "b": y}
        if self.singles is not None:
            tokens = {key: torch.from_numpy(ids) for key, ids in self.prompts.items()}
            with torch.inference_mode():
                rows["prompts"] = model.texts(tokens).float().cpu()
            rows["singles"] = model.embed_pictures(self.singles, self.batch)
        return {name: value.numpy() for name, value in rows.items()}

    def common(self) -> dict[str, np.ndarray]:
        """What is the same at all steps: equal captions have equal numbers, labels are classes."""
        ids = self.pairs.tokens["input_ids"][self.captions]
        found = {"captions": np.unique(ids, axis=0, return_inverse=True)[1].ravel()}
        if self.singles is not None:
            found["labels"] = np.unique(self.singles.labels, return_inverse=True)[1]
        return found


def load_held_out(
    pairs: dict[str, str],
    encoder: Adapter,
    recipe: DualRecipe,
    prompts: dict[str, Any] | None,
    threads: int,
    scratch: str | Path,
) -> HeldOut:
    """Load the sets of the roles `test` and, where there is one, `zero_shot`."""
    test = load_pool(pairs["test"], encoder, threads, Path(scratch, "test"))
    chosen = test.first + test.count - 1 if recipe.captions == "last" else test.first
    if "zero_shot" not in pairs:
        return HeldOut(test, chosen, recipe.batch)
    singles = load_pool(pairs["zero_shot"], encoder, threads, Path(scratch, "zero"))
    if None in singles.labels:
        raise UserError(
            f"{pairs['zero_shot']}: item {singles.labels.index(None)} has no label; zero-shot "
            "classification needs one for each item"
        )
    texts = [fill(prompts["template"], name) for name in sorted(set(singles.labels))]
    return HeldOut(test, chosen, recipe.batch, singles, tokenise(encoder, texts))
