"""Retrieval across modalities: ranks, recall, ties against the model."""

from __future__ import annotations

import numpy as np

#: Cosines closer than this are equal: identical rows tie whatever order a product is summed in.
TIE = 1e-10
_ENTRIES = 1 << 24  # similarities held at a time: 128 MB


def match_ranks(
    queries: np.ndarray,
    gallery: np.ndarray,
    query_items: np.ndarray,
    gallery_items: np.ndarray,
) -> np.ndarray:
    """Count, for each query, the wrong gallery rows at least as similar as its best right one.

    Parameters
    ----------
    queries, gallery
        Unit rows of shape (m, d) and (n, d), float64.
    query_items, gallery_items
        Item of each row; a gallery row is right for a query of the same item.

    Returns
    -------
    int64 of shape (m,): 0 is a hit at rank one. A wrong row that ties with the right one counts
    against the model, so a model that gives every item the same vector scores zero, not one.
    """
    ranks = np.empty(len(queries), np.int64)
    step = max(1, _ENTRIES // len(gallery))
    for i in range(0, len(queries), step):
        similar = queries[i : i + step] @ gallery.T
        right = query_items[i : i + step, None] == gallery_items[None, :]
        best = np.where(right, similar, -np.inf).max(axis=1, keepdims=True)
        ranks[i : i + step] = ((similar >= best - TIE) & ~right).sum(axis=1)
    return ranks


def recall(ranks: np.ndarray, k: int) -> float:
    """Share of queries whose right row is among the first `k`."""
    return float((ranks < k).mean())
