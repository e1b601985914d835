"""Two-dimensional pictures of both modalities (Figure 1 and Supp. Figure 4 of Liang et al.)."""

from __future__ import annotations

import warnings
from functools import partial
from unittest import mock

import numpy as np
from threadpoolctl import threadpool_limits

from mindgap.gap.cosines import unit_rows


def sample_pairs(n: int, most: int, seed: int) -> np.ndarray:
    """Return `min(n, most)` sorted row numbers, drawn without replacement."""
    return np.sort(np.random.default_rng(seed).permutation(n)[:most])


def project_svd(stack: np.ndarray) -> np.ndarray:
    """Project unit rows on their first two right singular vectors, without centring: (2n, 2).

    These are the first two left singular vectors times their singular values, as in Supp. Figure
    4. The sign of an axis is free; here the larger part of each axis' mass is positive.
    """
    _, vectors = np.linalg.eigh(stack.T @ stack)
    points = stack @ vectors[:, :-3:-1]
    return points * np.where(np.abs(points).max(axis=0) == points.max(axis=0), 1.0, -1.0)


def project_umap(stack: np.ndarray, neighbours: int, min_dist: float, seed: int) -> np.ndarray:
    """Project unit rows with UMAP (McInnes et al. 2018), Euclidean metric: (2n, 2).

    Distances between clouds of a UMAP picture mean nothing; that there are two clouds does.
    """
    from scipy.sparse.linalg import eigsh
    from umap import UMAP

    neighbours = min(neighbours, len(stack) - 1)
    # The spectral start needs more points than neighbours by a margin; tiny sets start at random.
    start = "spectral" if len(stack) > 4 * neighbours else "random"
    # The spectral start of a graph in pieces, as repeated rows make it, meets invariant subspaces,
    # where `eigsh` continues from random numbers: new ones every time unless it has a seed.
    seeded = mock.patch("scipy.sparse.linalg.eigsh", partial(eigsh, rng=seed))
    with seeded, threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one seed means one thread, and it says so each time
        model = UMAP(n_neighbors=neighbours, min_dist=min_dist, init=start, random_state=seed)
        return model.fit_transform(stack.astype(np.float32))


def project(
    a: np.ndarray, b: np.ndarray, method: str, neighbours: int, min_dist: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Project the rows of two modalities together; each result has the shape (n, 2)."""
    stack = np.concatenate([unit_rows(a), unit_rows(b)])
    if method == "svd":
        points = project_svd(stack)
    elif method == "umap":
        points = project_umap(stack, neighbours, min_dist, seed)
    else:
        raise ValueError(f"no projection is called {method!r}")
    return points[: len(a)], points[len(a) :]
