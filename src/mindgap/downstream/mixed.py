"""Retrieval among items that are shown as a row of one modality or of the other.

A corpus shows a share of its items as texts and the rest in the other modality. A gap lets the rows
of the query's own modality outrank the right one, so that corpora of one kind are searched well
and mixed ones badly: the U-shaped curve of GR-CLIP.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
from threadpoolctl import threadpool_limits

from mindgap.gap.retrieval import TIE

_ENTRIES = 1 << 22  # similarities of a block: 16 MB a product
#: Products run in float32; what lies closer to the right row than this share of the two norms is
#: computed again in float64, so that ranks and ties are those of float64.
_SLACK = 1e-5
DEPTH = 10


@dataclass(frozen=True)
class Corpora:
    """Corpora over the same n items, and who asks.

    The items come in a random order, so that the corpus of a share is told by a cut: the items
    before it are shown as texts, the others in the other modality.

    Attributes
    ----------
    shares
        (K,) share of the items that a corpus shows as texts, ascending.
    n
        Number of items.
    mixed
        How many items ask in the mixed corpora.
    asking
        (q,) items that ask in plain retrieval; the first `mixed` of them ask in the corpora too.
    """

    shares: np.ndarray
    n: int
    mixed: int
    asking: np.ndarray

    @classmethod
    def draw(cls, n: int, shares: list[float], queries: int, mixed: int, seed: int) -> Corpora:
        """Draw the queries among n items from one seed."""
        asking = np.random.default_rng(seed).permutation(n)[: max(queries, mixed)]
        return cls(np.sort(np.array(shares, float)), n, min(mixed, n), asking)

    @property
    def cuts(self) -> np.ndarray:
        """(K,) number of items that are shown as texts."""
        return np.round(self.shares * self.n).astype(np.int64)


@dataclass(frozen=True)
class Ranks:
    """Ranks from 0 of the right row.

    Attributes
    ----------
    ab, ba
        (q,) for a query of the first and of the second modality.
    mixed
        How the query is made -> (K, m) ranks in the mixed corpora.
    """

    ab: np.ndarray
    ba: np.ndarray
    mixed: dict[str, np.ndarray]

    def curves(self, corpora: Corpora) -> list[dict[str, Any]]:
        """NDCG@10 over the share of texts, one row per share and way to ask."""
        return [
            {
                "query": query,
                "text_share": float(share),
                "queries": len(row),
                "corpus": corpora.n,
                "ndcg_at_10": ndcg(row),
            }
            for query, ranks in self.mixed.items()
            for share, row in zip(corpora.shares, ranks, strict=True)
        ]


def ndcg(ranks: np.ndarray, depth: int = DEPTH) -> float:
    """NDCG where one item is relevant: mean of 1/log2(rank + 2), rank from 0, none past `depth`."""
    return float(np.where(ranks < depth, 1 / np.log2(ranks + 2.0), 0.0).mean())


class Rows:
    """Rows as documents: float64 for ties, float32 for speed, and both ways to weigh them."""

    def __init__(self, rows: np.ndarray) -> None:
        self.exact = np.ascontiguousarray(rows)
        self.fast = rows.astype(np.float32)
        self.norms = np.linalg.norm(rows, axis=1)
        self.scales = np.stack([np.ones(len(rows)), 1 / np.maximum(self.norms, 1e-300)])

    def bars(self, queries: np.ndarray, own: np.ndarray) -> np.ndarray:
        """(2, q): similarity of each query with its right row, by dot product and by cosine."""
        return np.einsum("ij,ij->i", queries, self.exact[own]) * self.scales[:, own] - TIE

    def reach(self, queries: np.ndarray, bars: np.ndarray, edges: np.ndarray) -> np.ndarray:
        """(2, q, s): rows within each of s segments whose similarity reaches a query's bar."""
        products = queries.astype(np.float32) @ self.fast.T
        longest = np.array([self.norms.max(), 1.0])
        slack = _SLACK * longest[:, None] * np.linalg.norm(queries, axis=1)
        return _reach(products, queries, self.exact, self.scales, bars, slack, edges)


def rank_everything(
    x: np.ndarray, y: np.ndarray, spare: np.ndarray | None, corpora: Corpora, threads: int
) -> tuple[Ranks, Ranks]:
    """Ranks of plain and of mixed retrieval, by dot product and by cosine.

    In the mixed corpora an item asks, as `other`, in the modality that its document does *not*
    have, so that no query meets itself; and, where there is a second caption, as `caption` with
    that one, whatever its document is (as in GR-CLIP). No more than a block of products is held.

    Parameters
    ----------
    x, y
        (n, d) matched rows, of any norm, float64.
    spare
        (n, d) rows of second captions, or None.
    """
    sides = Rows(x), Rows(y)
    ways = {"other": (x, y)} | ({"caption": (spare, spare)} if spare is not None else {})
    step = max(1, min(_ENTRIES // len(x), -(-len(corpora.asking) // threads)))
    starts = range(0, len(corpora.asking), step)

    def work(start: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        own = corpora.asking[start : start + step]
        plain = np.stack([_plain(x, sides[1], own), _plain(y, sides[0], own)])
        own = own[: max(0, corpora.mixed - start)]
        return plain, {
            name: _mixed(*queries, *sides, own, corpora.cuts) for name, queries in ways.items()
        }

    # Threads take whole blocks, so the products inside them run on one thread each.
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(work, starts))
    plain = np.concatenate([part for part, _ in parts], axis=-1)
    mixed = {name: np.concatenate([part[name] for _, part in parts], axis=-1) for name in ways}
    dot, cosine = (Ranks(*plain[:, k], {n: m[k] for n, m in mixed.items()}) for k in (0, 1))
    return dot, cosine


def _plain(queries: np.ndarray, side: Rows, own: np.ndarray) -> np.ndarray:
    """(2, q) ranks among all rows of one modality."""
    some = queries[own]
    edges = np.array([0, len(side.exact)])
    return side.reach(some, side.bars(some, own), edges)[:, :, 0] - 1


def _mixed(
    for_texts: np.ndarray,
    for_others: np.ndarray,
    a: Rows,
    b: Rows,
    own: np.ndarray,
    cuts: np.ndarray,
) -> np.ndarray:
    """(2, K, m) ranks: an item asks with `for_texts` where its document is a text."""
    edges = np.concatenate([[0], cuts, [len(a.exact)]])
    found = []
    for queries, document in ((for_texts, b), (for_others, a)):
        some = queries[own]
        bars = document.bars(some, own)
        # Texts before each cut, others behind it.
        texts = b.reach(some, bars, edges).cumsum(axis=2)[:, :, :-1]
        others = a.reach(some, bars, edges)
        behind = others.sum(axis=2, keepdims=True) - others.cumsum(axis=2)[:, :, :-1]
        found.append(texts + behind - 1)
    is_text = own[:, None] < cuts
    return np.where(is_text, *found).swapaxes(1, 2)


@nb.njit(nogil=True, cache=True)
def _reach(products, queries, rows, scales, bars, slack, edges):
    """Rows whose scaled similarity reaches the bar: (scales, queries, segments)."""
    found = np.zeros((len(scales), len(products), len(edges) - 1), np.int64)
    for i in range(len(products)):
        row = products[i]
        for k in range(len(scales)):
            low, high = bars[k, i] - slack[k, i], bars[k, i] + slack[k, i]
            for s in range(len(edges) - 1):
                sure, near = 0, 0
                for j in range(edges[s], edges[s + 1]):
                    value = row[j] * scales[k, j]
                    sure += value > high
                    near += value >= low
                if near > sure:
                    for j in range(edges[s], edges[s + 1]):
                        value = row[j] * scales[k, j]
                        if low <= value <= high:
                            exact = 0.0
                            for c in range(rows.shape[1]):
                                exact += queries[i, c] * rows[j, c]
                            sure += exact * scales[k, j] >= bars[k, i]
                found[k, i, s] = sure
    return found
