"""How narrow is the cone of each initialisation, and how far apart are two of them?"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from mindgap.cone.kernels import cap_log2
from mindgap.cone.store import Cloud, Clouds, as_built
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
    clouds: Clouds, key: dict, members: list, bins: int, threads: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row per input set, modality and member; and their histograms (bins that hold pairs)."""
    rows, bars = [], []
    edges = np.linspace(-1, 1, bins + 1)
    for cloud, stack in as_built(clouds):
        for member, some in zip(members, stack, strict=False):
            found, counts = cone_row(some, bins, threads)
            name = {**key, "inputs": cloud.label, "modality": cloud.modality, "member": member}
            rows.append({**name, **found})
            held = np.flatnonzero(counts)
            bar = {
                "low": edges[held],
                "high": edges[held + 1],
                "share": counts[held] / counts.sum(),
            }
            bars.append(pd.DataFrame({**name, **bar}))
    return pd.DataFrame(rows), pd.concat(bars) if bars else pd.DataFrame()


def summarise(table: pd.DataFrame, by: list[str], values: list[str]) -> pd.DataFrame:
    """Mean, sd, lowest and highest of each value over the members: one row per group and value."""
    long = table.melt(by, values, "statistic", "value")
    groups = long.groupby([*by, "statistic"], sort=False, dropna=False)["value"]
    return groups.agg(members="size", mean="mean", sd="std", low="min", high="max").reset_index()


def centroids(stack: np.ndarray) -> np.ndarray:
    """Means of the unit rows of each member: (members, d), float64."""
    return np.stack([unit_rows(rows).mean(axis=0) for rows in stack])


def gap_table(
    clouds: Clouds, key: dict, members: list, sizes: list[int], seed: int
) -> pd.DataFrame:
    """Gap between the two towers of each initialisation, as built and changed.

    Variants: `built`; `unnormalised`, the same weights without layer norms and on pixels that are
    not standardised (after Supp. Fig. 15); `projected`, what the towers pool, through fresh
    projections N(0, 1/width) to each size (after Supp. Fig. 16). One row per set of inputs,
    variant, size and member.
    """
    rows: list[dict] = []

    def add(cloud: Cloud, variant: str, image: np.ndarray, text: np.ndarray) -> None:
        gaps = np.linalg.norm(centroids(image) - centroids(text), axis=1)
        name = {**key, "inputs": cloud.label, "variant": variant, "size": image.shape[-1]}
        for member, gap in zip(members, gaps, strict=False):
            rows.append({**name, "member": member, "gap": gap})

    for image in clouds:
        text = replace(image, modality="text")
        if image.pooled or image.modality != "image" or text not in clouds:
            continue
        add(image, "built" if image.normalised else "unnormalised", clouds[image], clouds[text])
        pooled = [clouds.get(replace(cloud, pooled=True)) for cloud in (image, text)]
        if image.normalised and all(stack is not None for stack in pooled):
            for size in sizes:
                both = (_project(stack, size, seed, k) for k, stack in enumerate(pooled))
                add(image, "projected", *both)
    columns = [*key, "inputs", "variant", "size", "member", "gap"]
    return pd.DataFrame(rows, columns=columns)


def _project(stack: np.ndarray, size: int, seed: int, tower: int) -> np.ndarray:
    width = stack.shape[-1]
    draws = [
        np.random.default_rng([seed, k, tower, size]).standard_normal((width, size), np.float32)
        for k in range(len(stack))
    ]
    return np.matmul(stack, np.stack(draws) * np.float32(width**-0.5))


def twin_table(clouds: Clouds, key: dict, dataset: str, drawings: str | None) -> pd.DataFrame:
    """How far apart two clouds lie when only the initialisation differs, or only the data.

    Every case compares the rows of two input sets (the same one for "the same inputs") through one
    initialisation or through two different ones: gap of the centroids over all (pairs of)
    initialisations, and the mean cosine of the two embeddings of one item.
    """
    same = [Cloud("noise", m) for m in ("image", "text", "vector")]
    same += [Cloud(dataset, m) for m in ("image", "text")]
    cases = [("the same inputs", cloud, cloud) for cloud in same]
    picture = Cloud(dataset, "image")
    cases += [("pictures, captions drawn", picture, replace(picture, drawn=True))]
    cases += [("two drawings", picture, Cloud(drawings or "", "image"))]
    rows = []
    for case, a, b in cases:
        if not {a, b} <= set(clouds):
            continue
        members = min(len(clouds[a]), len(clouds[b]))
        x, y = ([unit_rows(r) for r in clouds[cloud][:members]] for cloud in (a, b))
        name = {**key, "modality": a.modality, "case": case}
        name |= {"inputs_a": a.label, "inputs_b": b.label}
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
