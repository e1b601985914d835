"""What the vectors of both paths do on held-out pairs: gap, cone, retrieval."""

from __future__ import annotations

from typing import Any

import numpy as np

from mindgap.codebook.usage import measure_usage
from mindgap.gap.cosines import mean_cosine, unit_rows
from mindgap.gap.measures import modality_gap, relative_gap, separability
from mindgap.gap.retrieval import match_ranks, recall

LIGHT_PAIRS = 200  # pairs of the separability of a step


def measure_pairs(x: np.ndarray, y: np.ndarray, pairs: int, seed: int) -> dict[str, float]:
    """Gap, relative gap, separability (of at most `pairs` pairs) and cones of paired rows."""
    x, y = unit_rows(x), unit_rows(y)
    cosines = float((x * y).sum(1).mean()), mean_cosine(x), mean_cosine(y)
    some = np.sort(np.random.default_rng(seed).permutation(len(x))[:pairs])
    return {
        "gap": modality_gap(x, y),
        "relative_gap": relative_gap(*cosines),
        "separability": separability(x[some], y[some], 5, seed),
        "cosine_matched": cosines[0],
        "cosine_a": cosines[1],
        "cosine_b": cosines[2],
    }


def measure_held(
    vectors: dict[str, np.ndarray],
    codes: tuple[np.ndarray, np.ndarray] | None,
    size: int,
    pairs: int,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Measures of each vector by its name; usage of the codes under `codes`.

    R@1 is by plain dot products, as the model is trained; the gap is that of unit rows.
    """
    found = {}
    for name, (x, y) in vectors.items():
        items = np.arange(len(x))
        x, y = x.astype(np.float64), y.astype(np.float64)
        found[name] = measure_pairs(x, y, pairs, seed) | {
            "recall_at_1_ab": recall(match_ranks(x, y, items, items), 1),
            "recall_at_1_ba": recall(match_ranks(y, x, items, items), 1),
        }
    if codes is not None:
        found["codes"] = measure_usage(*codes, size)
    return found


def as_vectors(log_shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose dot product is S_code = sum_v P log Q + Q log P, from log shares (2, n, V)."""
    a, b = log_shares.astype(np.float64)
    return np.concatenate([np.exp(a), a], 1), np.concatenate([b, np.exp(b)], 1)


def retrieval_rows(
    vectors: dict[str, tuple[np.ndarray, np.ndarray]],
    labels: list[str] | None,
    sets: int,
    set_items: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Recall and median rank both ways, a row a vector, level and random set.

    Parameters
    ----------
    vectors
        Name -> rows of both modalities, (n, d) each; the score is their dot product.
    labels
        Class of each item, for the level `class`, where any item of the class is right.
    sets, set_items
        Random sets of pairs, as in Monfort et al. 2021: five of 1,000. A set that is not larger
        is taken whole, once.
    """
    n = len(next(iter(vectors.values()))[0])
    rng = np.random.default_rng([seed, 3])
    chosen = [np.arange(n)]
    if n > set_items:
        chosen = [np.sort(rng.permutation(n)[:set_items]) for _ in range(sets)]
    rows = []
    for number, some in enumerate(chosen):
        levels = {"item": np.arange(len(some))}
        if labels is not None:
            levels["class"] = np.unique(np.array(labels)[some], return_inverse=True)[1]
        for name, (x, y) in vectors.items():
            x, y = (z[some].astype(np.float64) for z in (x, y))
            for level, items in levels.items():
                row = {"vector": name, "level": level, "set": number, "items": len(some)}
                for way, (one, other) in {"ab": (x, y), "ba": (y, x)}.items():
                    ranks = match_ranks(one, other, items, items)
                    row |= {f"recall_at_{k}_{way}": recall(ranks, k) for k in (1, 5, 10)}
                    row[f"median_rank_{way}"] = float(np.median(ranks) + 1)
                rows.append(row)
    return rows
