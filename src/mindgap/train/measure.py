"""Measures of the held-out rows that a training has left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from mindgap.gap.bootstrap import bootstrap_means, distance_interval
from mindgap.gap.cosines import mean_cosine, unit_rows
from mindgap.gap.measures import modality_gap
from mindgap.gap.retrieval import match_ranks, recall
from mindgap.train.amend import Amendment
from mindgap.train.losses import cross_entropy
from mindgap.train.rows import read_rows


def measure_training(
    path: str | Path, resamples: int, confidence: float, seed: int
) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Measures at each step of a rows file, and those at the end with more that is measured once.

    The gap is that of Mind the Gap: rows normalised first, means not again, in float64. The loss
    is the symmetric cross-entropy over all pairs as one batch, whatever the model is trained on.
    """
    about, arrays = read_rows(path)
    rows = {
        step: {k: torch.from_numpy(v) for k, v in some.items()} for step, some in arrays.items()
    }
    common, steps = rows[None], []
    amendment = Amendment.of_tensors(common)
    for step in about["steps"]:
        found = rows[step]
        x, y = amended(amendment, found["a"], found["b"])
        row = {
            "step": step,
            "logit_scale": float(found["scale"]),
            "loss": float(cross_entropy(x.double(), y.double(), found["scale"].double(), None)),
            **rows_measures(x.numpy(), y.numpy()),
        }
        if "singles" in found:
            pictures, prompts = amended(amendment, found["singles"], found["prompts"])
            row |= zero_shot(pictures, prompts, common["labels"])
        steps.append(row)
    return steps, {
        **steps[-1],
        "recall_ceiling": recall_ceiling(common["captions"].numpy()),
        "pairs": len(x),
        "train_pairs": about["train_pairs"],
        **gap_bounds(x.numpy(), y.numpy(), resamples, confidence, seed),
    }


def amended(
    amendment: Amendment, x: torch.Tensor, y: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit rows as the loss sees them."""
    return amendment(F.normalize(x, dim=1), F.normalize(y, dim=1))


def rows_measures(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Gap, cosines and retrieval of paired rows."""
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


def zero_shot(
    pictures: torch.Tensor, prompts: torch.Tensor, labels: torch.Tensor
) -> dict[str, float]:
    """Accuracy of the nearest class prompt, and the gap between pictures and prompts.

    Row i of `prompts` is that of class i; `labels` has the class of each picture.
    """
    pictures, prompts = F.normalize(pictures.double(), dim=1), F.normalize(prompts.double(), dim=1)
    right = (pictures @ prompts.T).argmax(dim=1) == labels
    return {
        "zero_shot_accuracy": int(right.sum()) / len(right),
        "zero_shot_gap": float((pictures.mean(0) - prompts.mean(0)).norm()),
    }


def recall_ceiling(captions: np.ndarray) -> float:
    """R@1 of a perfect model from picture to text where captions repeat and a tie is a miss."""
    counts = np.bincount(captions)
    return float((counts[captions] == 1).mean())
