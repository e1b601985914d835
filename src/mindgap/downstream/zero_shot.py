"""Zero-shot classification while both modalities are shifted along the gap.

Liang et al., NeurIPS 2022, Table 1: an item belongs to the class whose prompt is nearest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from mindgap.shift.moves import (
    amounts,
    reciprocal_norms,
    shifted_distance,
    shifted_scores,
)


@dataclass(frozen=True)
class Classified:
    """What S shifts make of n items.

    Attributes
    ----------
    shifts
        (S,) delta, a length along the unit gap direction; positive closes the gap.
    distance
        (S,) signed distance between the mean of the items and the mean of the class vectors.
    predicted
        (S, n) number of the nearest class.
    margin
        (S, n) cosine with class 1 less that with class 0, where there are two classes.
    """

    shifts: np.ndarray
    distance: np.ndarray
    predicted: np.ndarray
    margin: np.ndarray | None


def classify(
    x: np.ndarray, classes: np.ndarray, direction: np.ndarray, shifts: np.ndarray, sides: str
) -> Classified:
    """Classify unit rows (n, d) by unit class vectors (C, d) under each shift; float64."""
    size = len(shifts), len(x)
    predicted = np.empty(size, np.int32)
    margin = np.empty(size) if len(classes) == 2 else None
    along, steps = x @ direction, amounts(shifts, sides)
    for rows, k, scores in shifted_scores(x, classes, direction, shifts, sides):
        predicted[k, rows] = scores.argmax(axis=1)
        if margin is not None:
            scale = reciprocal_norms(along[rows], -steps[k][0])
            margin[k, rows] = (scores[:, 1] - scores[:, 0]) * scale
    distance = shifted_distance(x, classes, direction, shifts, sides)
    return Classified(np.asarray(shifts, float), distance, predicted, margin)


def roc_auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties half.

    For two classes the softmax of the cosines grows with their difference, so that difference has
    the same area at any temperature. NaN where one of the two kinds is absent.
    """
    n = int(positive.sum())
    if n in (0, len(positive)):
        return float("nan")
    above = stats.rankdata(scores)[positive].sum() - n * (n + 1) / 2
    return float(above / (n * (len(positive) - n)))


def accuracy_curve(found: Classified, labels: np.ndarray) -> pd.DataFrame:
    """One row per shift: shift, distance, n, accuracy, balanced_accuracy, roc_auc (two classes)."""
    correct = found.predicted == labels
    present = np.unique(labels)
    balanced = np.mean([correct[:, labels == k].mean(axis=1) for k in present], axis=0)
    auc = np.full(len(found.shifts), np.nan)
    if found.margin is not None:
        auc = [roc_auc(row, labels == 1) for row in found.margin]
    return pd.DataFrame(
        {
            "shift": found.shifts,
            "distance": found.distance,
            "n": len(labels),
            "accuracy": correct.mean(axis=1),
            "balanced_accuracy": balanced,
            "roc_auc": auc,
        }
    )
