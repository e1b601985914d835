"""What a model under training does on held-out pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from mindgap.gap.bootstrap import bootstrap_means, distance_interval
from mindgap.gap.cosines import mean_cosine, unit_rows
from mindgap.gap.measures import modality_gap
from mindgap.gap.retrieval import match_ranks, recall
from mindgap.train.dual import Dual
from mindgap.train.losses import cross_entropy
from mindgap.train.pool import Pool


@dataclass
class HeldOut:
    """Pairs and, where the set has classes, labelled pictures to measure on.

    Attributes
    ----------
    pairs
        Held-out pairs.
    captions
        Caption of each item.
    singles
        Labelled pictures for zero-shot classification, or None.
    prompts
        Token ids of the class prompts, one row a class of `classes`.
    """

    pairs: Pool
    captions: np.ndarray
    singles: Pool | None = None
    classes: tuple[str, ...] = ()
    prompts: dict[str, np.ndarray] | None = None
    batch: int = 256


def measure(model: Dual, held: HeldOut) -> dict[str, float]:
    """Gap, cosines, loss and retrieval of held-out pairs, and zero-shot classification.

    The gap is that of Mind the Gap: rows normalised first, means not again, in float64. The loss
    is the symmetric cross-entropy over all pairs as one batch, whatever the model is trained on.
    """
    x, y = model.embed(held.pairs, held.captions, held.batch)
    scale = model.log_scale.detach().exp().cpu()
    row = {
        "logit_scale": float(scale),
        "loss": float(cross_entropy(x.double(), y.double(), scale.double(), None)),
        **rows_measures(x.numpy(), y.numpy()),
    }
    if held.singles is not None:
        row |= zero_shot(model, held)
    return row


def rows_measures(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Measures of paired rows that need no model."""
    x, y = unit_rows(x), unit_rows(y)
    items = np.arange(len(x))
    ab, ba = match_ranks(x, y, items, items), match_ranks(y, x, items, items)
    return {
        "gap": modality_gap(x, y),
        "cosine_a": mean_cosine(x),
        "cosine_b": mean_cosine(y),
        "cosine_matched": float((x * y).sum(axis=1).mean()),
        **{f"recall_at_{k}_ab": recall(ab, k) for k in (1, 5, 10)},
        **{f"recall_at_{k}_ba": recall(ba, k) for k in (1, 5, 10)},
    }


def gap_bounds(
    x: np.ndarray, y: np.ndarray, resamples: int, confidence: float, seed: int
) -> dict[str, float]:
    """Interval of the gap over resampled pairs: gap_low, gap_high."""
    difference = unit_rows(x) - unit_rows(y)
    squares = np.square(bootstrap_means(difference, resamples, seed)).sum(axis=1)
    gap = float(np.linalg.norm(difference.mean(axis=0)))
    low, high = distance_interval(squares, gap, confidence)
    return {"gap_low": low, "gap_high": high}


@torch.inference_mode()
def zero_shot(model: Dual, held: HeldOut) -> dict[str, float]:
    """Accuracy of the nearest class prompt, and the gap between pictures and prompts."""
    pool = held.singles
    dummy = pool.first
    pictures, _ = model.embed(pool, dummy, held.batch, amended=False)
    tokens = {key: torch.from_numpy(rows) for key, rows in held.prompts.items()}
    prompts = model.texts(tokens).float().cpu()
    if model.amendment.tensors():
        # The maps of the two sides are separate, so unequal numbers of rows do no harm.
        pictures, _ = model.amendment(pictures, pictures)
        _, prompts = model.amendment(prompts, prompts)
    pictures, prompts = F.normalize(pictures.double(), dim=1), F.normalize(prompts.double(), dim=1)
    found = (pictures @ prompts.T).argmax(dim=1).tolist()
    right = [held.classes[i] == label for i, label in zip(found, pool.labels, strict=True)]
    return {
        "zero_shot_accuracy": sum(right) / len(right),
        "zero_shot_gap": float((pictures.mean(0) - prompts.mean(0)).norm()),
    }


def grid(steps: int) -> list[int]:
    """Steps at which a run is measured: 0, then doubling, then the last."""
    doubling = [2**k for k in range(steps.bit_length()) if 2**k < steps]
    return [0, *doubling, steps]


def recall_ceiling(held: HeldOut) -> dict[str, Any]:
    """R@1 of a perfect model from picture to text where captions repeat and a tie is a miss."""
    key = held.pairs.tokens["input_ids"][held.captions]
    _, inverse, counts = np.unique(key, axis=0, return_inverse=True, return_counts=True)
    return {"recall_ceiling": float((counts[inverse] == 1).mean())}
