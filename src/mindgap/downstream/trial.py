"""Try a way of closing the gap on held-out items: what each query gets out of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mindgap.downstream.mixed import DEPTH
from mindgap.downstream.scores import Scoring
from mindgap.gap.bootstrap import bootstrap_means, percentile_interval
from mindgap.gap.cosines import unit_rows
from mindgap.gap.retrieval import TIE
from mindgap.runtime.errors import UserError

RESAMPLES = 1000
_ENTRIES = 1 << 23  # scores held at a time: 64 MB


@dataclass(frozen=True)
class Rows:
    """Rows of both modalities as a method leaves them, item by item: (n, d) each."""

    a: np.ndarray
    b: np.ndarray


@dataclass(frozen=True)
class Trial:
    """What came of a method, query by query.

    Attributes
    ----------
    hits
        `ab`, `ba` -> (q,) 1 where the right row is at rank one, else 0.
    gains
        `a`, `b`, the modality of the query -> (m,) NDCG@10 in the mixed corpus, where the right
        document is of the other modality.
    shares
        The same -> (m,) share of the first ten documents that are of the second modality.
    """

    hits: dict[str, np.ndarray]
    gains: dict[str, np.ndarray]
    shares: dict[str, np.ndarray]


def split(
    n: int, calibration: float, seed: int, least: int = 2, name: str = "calibration"
) -> tuple[np.ndarray, np.ndarray]:
    """Items to fit on, in order, and items to test on, in random order; `least` of each or more."""
    count = round(calibration * n)
    if min(count, n - count) < least:
        raise UserError(
            f"{name}={calibration:g} of {n} pairs leaves {count} to fit on and {n - count} to "
            f"test on; both need {least} or more"
        )
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[:count]), order[count:]


def try_rows(
    test: Rows, share: float, queries: int, scoring: Scoring | None = None, bank: Rows | None = None
) -> Trial:
    """Retrieve across modalities and in a corpus that shows a share of its items as texts.

    Parameters
    ----------
    test
        Held-out items, in random order: the first ones are shown by their second modality (the
        texts) in the mixed corpus, the others by their first.
    share
        Share of texts.
    queries
        Queries at most of each kind; the gallery is always whole.
    scoring, bank
        Way of changing the scores, and the calibration items whose rows it learns from.
    """
    n = len(test.a)
    cut = round(share * n)
    corpus, kinds = np.concatenate([test.b[:cut], test.a[cut:]]), np.arange(n) < cut
    some = slice(0, queries)
    plain = np.zeros(n, np.int64)
    known = {"a": None, "b": None} if bank is None else {"a": bank.a, "b": bank.b}

    def ranks(
        asking: np.ndarray, side: str, documents: np.ndarray, right: np.ndarray, of: np.ndarray
    ):
        return list(_rank(asking, documents, right, of, scoring, known[side]))

    every = np.arange(n)
    hits = {}
    for way, asking, gallery in (("ab", test.a, test.b), ("ba", test.b, test.a)):
        found = ranks(asking[some], way[0], gallery, every[some], plain)
        hits[way] = np.concatenate([rank == 0 for rank, _ in found]).astype(float)
    gains, shares = {}, {}
    # An item asks in the modality that its document does not have, so no query meets itself.
    for side, asking, items in (("a", test.a, every[:cut]), ("b", test.b, every[cut:])):
        items = items[some]
        found = ranks(asking[items], side, corpus, items, kinds.astype(np.int64))
        if not found:
            continue
        rank = np.concatenate([part for part, _ in found])
        gains[side] = np.where(rank < DEPTH, 1 / np.log2(rank + 2.0), 0.0)
        shares[side] = np.concatenate([part for _, part in found])
    return Trial(hits, gains, shares)


def _rank(
    asking: np.ndarray,
    documents: np.ndarray,
    right: np.ndarray,
    kinds: np.ndarray,
    scoring: Scoring | None,
    known: np.ndarray | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield ranks from 0, ties against the model, and the share of kind 1 in the first ten."""
    step = max(1, _ENTRIES // len(documents))
    bank = known @ documents.T if scoring is not None else None
    for start in range(0, len(asking), step):
        scores = asking[start : start + step] @ documents.T
        if scoring is not None:
            scores = scoring(bank, scores, kinds)
        own = right[start : start + step, None]
        bar = np.take_along_axis(scores, own, axis=1) - TIE
        first = np.argpartition(-scores, min(DEPTH, scores.shape[1] - 1), axis=1)[:, :DEPTH]
        yield (scores >= bar).sum(axis=1) - 1, kinds[first].mean(axis=1)


def accuracy(x: np.ndarray, classes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n,) 1 where the nearest class vector is the right one, else 0."""
    return ((x @ classes.T).argmax(axis=1) == labels).astype(float)


def class_numbers(labels: Any, n: int) -> np.ndarray | None:
    """(n,) number of the class of each item, or None where there are no labels."""
    if labels is None:
        return None
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise UserError(f"labels have the shape {labels.shape}; give one for each of {n} pairs")
    return np.unique(labels, return_inverse=True)[1]


def class_means(rows: np.ndarray, numbers: np.ndarray, count: int) -> np.ndarray:
    """Unit vector of each of `count` classes, (count, d): the mean of its unit rows."""
    members = [rows[numbers == k] for k in range(count)]
    if not all(len(some) for some in members):
        raise UserError("a class has no pair among those that the methods are fit on")
    return unit_rows(np.stack([some.mean(axis=0) for some in members]))


def with_lengths(rows: np.ndarray, renormalised: bool) -> np.ndarray:
    """Unit rows if asked for; a row that was moved onto the origin stays there."""
    if not renormalised:
        return rows
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)


def estimate_all(values: list[np.ndarray], confidence: float, seed: int) -> list[dict[str, float]]:
    """Mean of each method with its interval, and its difference from the first one with its own.

    `sure` bounds all differences from below at once: the best of many is better by chance, so the
    bound is the difference less a quantile, over the resamples, of the largest error of any method.
    """
    columns = np.stack(values, axis=1)
    draws = bootstrap_means(columns, RESAMPLES, seed)
    mean = columns.mean(axis=0)
    change, changes = mean - mean[0], draws - draws[:, :1]
    largest = np.quantile((changes - change).max(axis=1), confidence)
    rows = []
    for k in range(columns.shape[1]):
        low, high = percentile_interval(draws[:, k], confidence)
        least, most = percentile_interval(changes[:, k], confidence)
        rows.append(
            {
                "estimate": float(mean[k]),
                "low": low,
                "high": high,
                "difference": float(change[k]),
                "low_difference": least,
                "high_difference": most,
                "sure": float(change[k] - largest),
            }
        )
    return rows
