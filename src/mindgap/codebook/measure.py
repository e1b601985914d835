"""Measures of the held-out rows of a codebook: gap, cone, retrieval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mindgap.codebook.usage import measure_usage
from mindgap.gap.cosines import mean_cosine, unit_rows
from mindgap.gap.measures import modality_gap, relative_gap, separability
from mindgap.gap.retrieval import match_ranks, recall
from mindgap.train.rows import read_rows

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


def measure_codebook(
    path: str | Path,
    labels: list[str] | None,
    max_pairs: int,
    sets: int,
    set_items: int,
    seed: int,
) -> dict[str, list[dict[str, Any]]]:
    """Tables of a training from its held-out rows: `trajectory`, `final` and `retrieval`.

    Parameters
    ----------
    labels
        Class of each held-out item, or None.
    max_pairs
        Pairs of the final separability at most.
    sets, set_items
        As `retrieval_rows` takes them.
    """
    steps, (about, rows) = [], read_rows(path)
    end, size = rows[None], about["size"]
    for step in about["steps"]:
        found = measure_held(rows[step], size, LIGHT_PAIRS, seed)
        steps += [{"step": step, **row} for row in found]
    vectors = vectors_of(end)
    if "log_shares" in end:
        vectors["codes"] = as_vectors(end["log_shares"])
    return {
        "trajectory": steps,
        "final": measure_held(end, size, max_pairs, seed),
        "retrieval": retrieval_rows(vectors, labels, sets, set_items, seed),
    }


def vectors_of(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Name -> vectors (2, n, d): `final`, the sum of the paths; each of two paths; `pooled`."""
    paths = {name: rows[name] for name in ("continuous", "discrete") if name in rows}
    found = {"final": sum(paths.values())} | (paths if len(paths) > 1 else {})
    return found | ({"pooled": rows["pooled"]} if "pooled" in rows else {})


def measure_held(
    rows: dict[str, np.ndarray], size: int, pairs: int, seed: int
) -> list[dict[str, Any]]:
    """Measures of held-out pairs, one row per vector; the usage of the codes beside each.

    R@1 is by plain dot products, as the model is trained; the gap is that of unit rows.
    """
    usage = measure_usage(rows["codes_a"], rows["codes_b"], size) if "codes_a" in rows else {}
    found = []
    for name, (x, y) in vectors_of(rows).items():
        items = np.arange(len(x))
        x, y = x.astype(np.float64), y.astype(np.float64)
        recalls = {
            "recall_at_1_ab": recall(match_ranks(x, y, items, items), 1),
            "recall_at_1_ba": recall(match_ranks(y, x, items, items), 1),
        }
        found.append({"vector": name, **measure_pairs(x, y, pairs, seed), **recalls, **usage})
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
    """Recall and median rank both ways, one row per vector, level and random set.

    Parameters
    ----------
    vectors
        Name -> rows of both modalities, (n, d) each; the score is their dot product.
    labels
        Class of each item, for the level `class`, where any item of the class is right.
    sets, set_items
        Random sets of pairs, as in Monfort et al. 2021: five of 1,000. With no more pairs than
        that, all of them make one set.
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
            levels["class"] = np.unique(np.array(labels, str)[some], return_inverse=True)[1]
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
