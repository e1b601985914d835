"""Retrieval across modalities while both are shifted along the gap."""

from __future__ import annotations

import numba as nb
import numpy as np
import pandas as pd

from mindgap.embed.store import Embeddings
from mindgap.gap.cosines import unit_rows
from mindgap.gap.retrieval import TIE, recall
from mindgap.shift.moves import amounts, gap_direction, reciprocal_norms, shifted_distance

_ENTRIES = 1 << 23  # similarities held at a time: 64 MB
RECALL_AT = (1, 5, 10)


def shifted_ranks(
    queries: np.ndarray,
    gallery: np.ndarray,
    query_items: np.ndarray,
    gallery_items: np.ndarray,
    direction: np.ndarray,
    steps: list[tuple[float, float]],
) -> np.ndarray:
    """Ranks as `gap.retrieval.match_ranks` has them, under every shift from one product.

    Parameters
    ----------
    queries, gallery
        Unit rows (m, d) and (n, d), float64.
    query_items, gallery_items
        Item of each row; rows of the same item match.
    direction, steps
        Unit vector u, and how far each shift moves the two sets along it: queries by -a u, gallery
        rows by b u.

    Returns
    -------
    int64 of shape (S, m): wrong gallery rows at least as similar as the best right one. A query's
    own norm changes no rank.
    """
    order = np.argsort(gallery_items, kind="stable")
    gallery, items = gallery[order], gallery_items[order]
    first = np.searchsorted(items, query_items, "left")
    last = np.searchsorted(items, query_items, "right")
    along_q, along_g = queries @ direction, gallery @ direction
    a, b = np.array(steps, float).T
    scale = np.stack([reciprocal_norms(along_g, by) for by in b])
    ranks = np.empty((len(steps), len(queries)), np.int64)
    block = max(1, _ENTRIES // len(gallery))
    for i in range(0, len(queries), block):
        part = slice(i, i + block)
        products = queries[part] @ gallery.T
        _count(
            products,
            along_q[part],
            along_g,
            scale,
            a,
            b,
            first[part],
            last[part],
            TIE,
            ranks[:, part],
        )
    return ranks


@nb.njit(nogil=True, cache=True)
def _count(products, along_q, along_g, scale, a, b, first, last, tie, ranks):
    """Count, for each shift and query, the wrong rows that reach the best right one."""
    n = products.shape[1]
    for i in range(products.shape[0]):
        row = products[i]
        for s in range(len(a)):
            more, best = b[s] * along_q[i] - a[s] * b[s], -np.inf
            for j in range(first[i], last[i]):
                best = max(best, (row[j] + more - a[s] * along_g[j]) * scale[s, j])
            count, bar = 0, best - tie
            for j in range(n):
                count += (row[j] + more - a[s] * along_g[j]) * scale[s, j] >= bar
            for j in range(first[i], last[i]):
                count -= (row[j] + more - a[s] * along_g[j]) * scale[s, j] >= bar
            ranks[s, i] = count


def retrieval_curve(
    embeddings: Embeddings, shifts: np.ndarray, sides: str, queries: int, seed: int
) -> pd.DataFrame:
    """R@1, R@5, R@10 and median rank both ways, one row per shift and direction.

    Columns shift, distance, direction (`ab` retrieves b for a), queries, gallery, recall_at_1,
    recall_at_5, recall_at_10, median_rank (1 is the best). The first row of each item makes
    the gap; every row takes part in retrieval. Of more than `queries` queries a sample is asked,
    always against the whole gallery.
    """
    a, b = embeddings.rows
    firsts = [unit_rows(embeddings.first(m)) for m in (a, b)]
    direction = gap_direction(*firsts)
    distance = shifted_distance(*firsts, direction, shifts, sides)
    x, y = ((unit_rows(embeddings.rows[m]), embeddings.index(m)) for m in (a, b))
    steps = amounts(shifts, sides)
    # For the other way round the two sets change places, and u its sign.
    ways = {
        "ab": (x, y, direction, steps),
        "ba": (y, x, -direction, [(b, a) for a, b in steps]),
    }
    rows = []
    for way, ((asking, items), (gallery, places), u, moves) in ways.items():
        some = np.sort(np.random.default_rng(seed).permutation(len(asking))[:queries])
        ranks = shifted_ranks(asking[some], gallery, items[some], places, u, moves)
        for shift, far, found in zip(shifts, distance, ranks, strict=True):
            row = {"shift": float(shift), "distance": float(far), "direction": way}
            row |= {"queries": len(some), "gallery": len(gallery)}
            row |= {f"recall_at_{k}": recall(found, k) for k in RECALL_AT}
            rows.append({**row, "median_rank": float(np.median(found)) + 1})
    return pd.DataFrame(rows)
