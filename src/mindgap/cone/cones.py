"""How narrow is the cone of each initialisation, and how far apart are two of them?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from mindgap.cone.kernels import cap_log2
from mindgap.gap.cosines import histogram, mean_cosine, unit_rows, within_statistics

_EXACT = 1024  # rows up to which quantiles come from the cosines themselves
_FINE = 4096  # bins between the extremes beyond that
STATISTICS = ("mean", "sd", "min", "q25", "median", "q75", "max", "angle", "cap_log2")


def cone_row(rows: np.ndarray, bins: int, threads: int = 1) -> tuple[dict, np.ndarray]:
    """Statistics of the cosines of all pairs of distinct rows, and their histogram over [-1, 1].

    Keys n, d, and `STATISTICS`: mean and sd over pairs (closed forms: the sum of all squared
    cosines is |X'X|^2), minimum, quartiles, maximum; `angle`, the paper's full angle of the cone in
    degrees, arccos of the mean; and `cap_log2`, the log2 of the share of the sphere inside a
    cone of that full angle. Up to 1,024 rows quartiles are exact, beyond that right to a 4,096th
    of the range; no n x n matrix is held then.
    """
    x = unit_rows(rows)
    n, d = x.shape
    mean = mean_cosine(x)
    if n <= _EXACT:
        cosines = (x @ x.T)[np.triu_indices(n, 1)]
        extremes = cosines.min(), cosines.max()
        quartiles = np.quantile(cosines, [0.25, 0.5, 0.75])
        counts, sd = histogram(cosines, bins), float(cosines.std())
    else:
        coarse = within_statistics(x, bins, threads=threads)
        extremes, counts = (coarse.minimum, coarse.maximum), coarse.counts
        top = np.nextafter(extremes[1], 2)
        fine = within_statistics(x, _FINE, threads=threads, span=(extremes[0], top))
        quartiles = [fine.quantile(share) for share in (0.25, 0.5, 0.75)]
        gram = x.T @ x if d < n else x @ x.T
        square = ((gram * gram).sum() - np.square(np.einsum("ij,ij->i", x, x)).sum()) / (
            n * (n - 1)
        )
        sd = float(np.sqrt(max(square - mean**2, 0.0)))
    found = {"n": n, "d": d, "mean": mean, "sd": sd, "min": extremes[0]}
    found |= dict(zip(("q25", "median", "q75"), map(float, quartiles), strict=True))
    angle = float(np.degrees(np.arccos(np.clip(mean, -1, 1))))
    found |= {"max": extremes[1], "angle": angle, "cap_log2": cap_log2(mean, d)}
    return found, counts


def cone_tables(
    tensors: Mapping[str, np.ndarray], key: dict, members: list, bins: int, threads: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row an input set, modality and member; and their histograms (only bins that hold pairs).

    `tensors` maps `{inputs}/{modality}` to rows of shape (members, n, d); pooled ones and those
    without normalisation are left out.
    """
    rows, bars = [], []
    edges = np.linspace(-1, 1, bins + 1)
    for inputs, modality, stack in embeddings(tensors):
        for member, some in zip(members, stack, strict=False):
            found, counts = cone_row(some, bins, threads)
            name = {**key, "inputs": inputs, "modality": modality, "member": member}
            rows.append({**name, **found})
            held = np.flatnonzero(counts)
            bar = {
                "low": edges[held],
                "high": edges[held + 1],
                "share": counts[held] / counts.sum(),
            }
            bars.append(pd.DataFrame({**name, **bar}))
    return pd.DataFrame(rows), pd.concat(bars) if bars else pd.DataFrame()


def embeddings(tensors: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str, np.ndarray]]:
    """Input set, modality and rows of what the towers put out as built."""
    for label, stack in tensors.items():
        inputs, _, modality = label.rpartition("/")
        if not modality.endswith(".pooled") and not inputs.endswith(" unnormalised"):
            yield inputs, modality, stack


def summarise(table: pd.DataFrame, by: list[str], values: list[str]) -> pd.DataFrame:
    """Mean, sd, lowest and highest of each value over the members: one row a group and value."""
    long = table.melt(by, values, "statistic", "value")
    groups = long.groupby([*by, "statistic"], sort=False, dropna=False)["value"]
    return groups.agg(members="size", mean="mean", sd="std", low="min", high="max").reset_index()


def centroids(stack: np.ndarray) -> np.ndarray:
    """Means of the unit rows of each member: (members, d), float64."""
    return np.stack([unit_rows(rows).mean(axis=0) for rows in stack])


def gap_table(
    tensors: Mapping[str, np.ndarray], key: dict, members: list, sizes: list[int], seed: int
) -> pd.DataFrame:
    """Gap between the two towers of each initialisation, as built and changed.

    Variants: `built`; `unnormalised`, the same weights without layer norms and on pixels that are
    not standardised (after Supp. Fig. 15); `projected`, what the towers pool, through fresh
    projections N(0, 1/width) to each size (after Supp. Fig. 16). One row a set of inputs, variant,
    size and member.
    """
    rows: list[dict] = []

    def add(inputs: str, variant: str, image: np.ndarray, text: np.ndarray) -> None:
        gaps = np.linalg.norm(centroids(image) - centroids(text), axis=1)
        size = image.shape[-1]
        for member, gap in zip(members, gaps, strict=False):
            name = {**key, "inputs": inputs, "variant": variant, "size": size, "member": member}
            rows.append({**name, "gap": gap})

    for inputs in dict.fromkeys(label.rpartition("/")[0] for label in tensors):
        if f"{inputs}/image" not in tensors or f"{inputs}/text" not in tensors:
            continue
        plain = inputs.removesuffix(" unnormalised")
        variant = "built" if plain == inputs else "unnormalised"
        add(plain, variant, tensors[f"{inputs}/image"], tensors[f"{inputs}/text"])
        pooled = [tensors.get(f"{inputs}/{modality}.pooled") for modality in ("image", "text")]
        if plain == inputs and all(stack is not None for stack in pooled):
            for size in sizes:
                add(
                    inputs, "projected", *(_project(p, size, seed, k) for k, p in enumerate(pooled))
                )
    columns = [*key, "inputs", "variant", "size", "member", "gap"]
    return pd.DataFrame(rows, columns=columns)


def _project(stack: np.ndarray, size: int, seed: int, tower: int) -> np.ndarray:
    width = stack.shape[-1]
    draws = [
        np.random.default_rng([seed, k, tower, size]).standard_normal((width, size), np.float32)
        for k in range(len(stack))
    ]
    return np.matmul(stack, np.stack(draws) * np.float32(width**-0.5))


def twin_table(
    tensors: Mapping[str, np.ndarray], key: dict, dataset: str, drawings: str | None
) -> pd.DataFrame:
    """How far apart two clouds lie when only the initialisation differs, or only the data.

    Every case compares the rows of two input sets (the same one for "the same inputs") through one
    initialisation or through two different ones: gap of the centroids over all (pairs of)
    initialisations, and the mean cosine of the two embeddings of one item.
    """
    drawn = f"{dataset} captions drawn"
    cases = [("the same inputs", "noise", "noise", m) for m in ("image", "text", "vector")]
    cases += [("the same inputs", dataset, dataset, m) for m in ("image", "text")]
    cases += [("pictures, captions drawn", dataset, drawn, "image")]
    cases += [("two drawings", dataset, drawings, "image")]
    rows = []
    for case, a, b, modality in cases:
        if not {f"{a}/{modality}", f"{b}/{modality}"} <= set(tensors):
            continue
        members = min(len(tensors[f"{name}/{modality}"]) for name in (a, b))
        x, y = ([unit_rows(r) for r in tensors[f"{s}/{modality}"][:members]] for s in (a, b))
        name = {**key, "modality": modality, "case": case, "inputs_a": a, "inputs_b": b}
        if a != b:
            rows.append(
                {**name, "initialisations": 1, **_twins(x, y, [(k, k) for k in range(members)])}
            )
        if members > 1:
            pairs = list(combinations(range(members), 2))
            rows.append({**name, "initialisations": 2, **_twins(x, y, pairs)})
    return pd.DataFrame(rows)


def _twins(x: list[np.ndarray], y: list[np.ndarray], pairs: list[tuple[int, int]]) -> dict:
    gaps, paired = [], []
    for i, j in pairs:
        gaps.append(np.linalg.norm(x[i].mean(axis=0) - y[j].mean(axis=0)))
        paired.append(np.einsum("ij,ij->", x[i], y[j]) / len(x[i]))
    spread = {"gap": np.mean(gaps), "gap_low": min(gaps), "gap_high": max(gaps)}
    return {"pairs": len(pairs), **spread, "paired_cosine": np.mean(paired), "n": len(x[0])}
