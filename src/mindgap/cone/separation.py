"""Fig 2c in numbers: does each initialisation have a cone of its own?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mindgap.cone.store import Clouds, as_built
from mindgap.config.cone import CloudMeasures
from mindgap.gap.cosines import mean_cosine, unit_rows


def separation_row(stack: np.ndarray, most: int, seed: int) -> dict[str, float]:
    """Numbers behind the scatter of many initialisations on the same inputs.

    Parameters
    ----------
    stack
        Rows of shape (members, n, d), at least two members.
    most
        Rows that the nearest-neighbour vote uses; more are sampled.

    Returns
    -------
    between_share
        Share of the variance of all unit rows that lies between the members' centroids.
    within_cosine, between_cosine
        Mean cosine of two rows of one member, and of rows of two members.
    large_values
        Number of singular values of the centred rows before the largest relative drop, among the
        first twice as many as there are members: members - 1 where each is a tight cluster.
    drop
        That drop: the last large singular value over the next.
    naming
        Leave-one-out accuracy of naming a row's member by its nearest neighbour, and `chance`.
    total_variance, first_share
        Mean squared distance of a unit row from the mean, and the first component's share of it.
    """
    members, n, d = stack.shape
    x = np.concatenate([unit_rows(rows) for rows in stack])
    means = x.reshape(members, n, d).mean(axis=1)
    centre = x.mean(axis=0)
    total = float(np.einsum("ij,ij->", x, x) / len(x) - centre @ centre)
    between = float(np.square(means - centre).sum() / members)
    grand = means.sum(axis=0)
    across = (grand @ grand - np.square(means).sum()) / (members * (members - 1))
    values = singular_values(x - centre)
    stop = min(2 * members, len(values) - 1)
    ratios = values[:stop] / np.maximum(values[1 : stop + 1], 1e-9 * values[0])
    large = int(ratios.argmax()) + 1
    naming, chance = name_members(x, np.repeat(np.arange(members), n), most, seed)
    return {
        "members": members,
        "n": n,
        "d": d,
        "between_share": between / total,
        "within_cosine": float(np.mean([mean_cosine(r) for r in x.reshape(members, n, d)])),
        "between_cosine": float(across),
        "large_values": large,
        "drop": float(ratios[large - 1]),
        "naming": naming,
        "chance": chance,
        "total_variance": total,
        "first_share": float(values[0] ** 2 / (total * len(x))),
    }


def singular_values(centred: np.ndarray) -> np.ndarray:
    """Singular values of rows, largest first, from the smaller of the two Gram matrices."""
    n, d = centred.shape
    gram = centred.T @ centred if d <= n else centred @ centred.T
    return np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0))


def name_members(x: np.ndarray, member: np.ndarray, most: int, seed: int) -> tuple[float, float]:
    """Leave-one-out accuracy of the nearest neighbour (largest cosine) at naming a row's member."""
    if len(x) > most:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(x))[:most])
        x, member = x[chosen], member[chosen]
    right = 0
    for start in range(0, len(x), 1024):
        cosines = x[start : start + 1024] @ x.T
        own = np.arange(len(cosines))
        cosines[own, start + own] = -np.inf
        right += int((member[cosines.argmax(axis=1)] == member[start : start + 1024]).sum())
    share = np.unique(member, return_counts=True)[1] / len(x)
    chance = float((share * (share * len(x) - 1)).sum() / (len(x) - 1))
    return right / len(x), chance


def separation_tables(
    clouds: Clouds, key: dict, options: CloudMeasures, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Numbers, singular values (50 at most) and two-dimensional points of every set of inputs.

    The three tables have one row per set of inputs and modality, per singular value, and per row
    and method (`umap` or `pca`). Only sets that all members saw take part.
    """
    rows, spectra, points = [], [], []
    most = max(len(stack) for _, stack in as_built(clouds))
    for cloud, stack in as_built(clouds):
        if not 1 < most == len(stack):
            continue
        name = {**key, "inputs": cloud.label, "modality": cloud.modality}
        rows.append({**name, **separation_row(stack, options.neighbour_rows, seed)})
        x = np.concatenate([unit_rows(r) for r in stack])
        values = singular_values(x - x.mean(axis=0))[:50]
        spectra.append(
            pd.DataFrame({**name, "rank": np.arange(1, len(values) + 1), "value": values})
        )
        for method in options.methods:
            points.append(_points(stack, method, options, seed).assign(**name, method=method))
    return tuple(
        pd.concat(t, ignore_index=True) if t else pd.DataFrame()
        for t in ([pd.DataFrame(rows)] if rows else [], spectra, points)
    )


def _points(stack: np.ndarray, method: str, options: CloudMeasures, seed: int) -> pd.DataFrame:
    from mindgap.gap.projection import project_umap

    members, n, _ = stack.shape
    items = np.arange(min(n, max(2, options.points // members)))
    x = np.concatenate([unit_rows(rows[items]) for rows in stack])
    if method == "pca":
        centred = x - x.mean(axis=0)
        _, vectors = np.linalg.eigh(centred.T @ centred)
        flat = centred @ vectors[:, :-3:-1]
        flat *= np.where(np.abs(flat).max(axis=0) == flat.max(axis=0), 1.0, -1.0)  # sign is free
    else:
        flat = project_umap(x, options.neighbours, options.min_dist, seed)
    member, item = np.divmod(np.arange(len(x)), len(items))
    return pd.DataFrame({"member": member, "item": item, "x": flat[:, 0], "y": flat[:, 1]})
