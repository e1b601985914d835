"""One table of methods: what each does to the gap, to retrieval, to zero-shot accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mindgap.downstream.classes import Labelled
from mindgap.downstream.methods import UNPAIRED, Maps, all_methods
from mindgap.downstream.mixed import Corpora, rank_everything
from mindgap.downstream.rows import UnitRows
from mindgap.downstream.trial import split
from mindgap.embed.store import Embeddings
from mindgap.gap.cosines import mean_cosine, unit_rows
from mindgap.gap.measures import modality_gap, relative_gap
from mindgap.gap.retrieval import recall


@dataclass(frozen=True)
class Pairs:
    """What the methods are compared on.

    Attributes
    ----------
    x, y
        (n, d) matched unit rows, float64.
    spare
        (n, d) unit rows of a second caption of each item, or None.
    classes
        (C, d) unit class vectors, or None.
    labels
        (n,) number of each item's class.
    """

    x: np.ndarray
    y: np.ndarray
    spare: np.ndarray | None = None
    classes: np.ndarray | None = None
    labels: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Pairs:
        """Some of the items."""
        spare, labels = (None if z is None else z[rows] for z in (self.spare, self.labels))
        return Pairs(self.x[rows], self.y[rows], spare, self.classes, labels)


def load_pairs(embeddings: Embeddings, known: Labelled | None) -> Pairs:
    """Pairs of a set: the first row of each item, a second caption where all have one, classes."""
    a, b = embeddings.rows
    x, y = (unit_rows(embeddings.first(m)) for m in (a, b))
    spare = unit_rows(embeddings.last(b)) if embeddings.several(b) else None
    if known is None:
        return Pairs(x, y, spare)
    return Pairs(x, y, spare, known.classes, known.labels.numbers)


def splits(n: int, calibration: float, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name -> rows to fit on and rows to test on.

    `held_out` fits on a draw of the share `calibration` and tests on the rest; `transductive` fits
    on the test rows themselves, all of them.
    """
    fit_on, held = split(n, calibration, seed, name="config: downstream.methods.calibration")
    every = np.arange(n)
    return {
        "held_out": (fit_on, np.sort(held)),
        "transductive": (every, every),
    }


def compare_methods(
    pairs: Pairs,
    *,
    drop: list[int],
    calibration: float,
    shares: list[float],
    queries: int,
    mixed_queries: int,
    seed: int,
    threads: int = 1,
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yield a row of measures, and the rows of the mixed corpora, of each method.

    Parameters
    ----------
    pairs
        The set.
    drop
        Numbers of dimensions to remove; those that would leave none are left out.
    calibration
        Share of the items that the methods are fit on; the rest tests them.
    shares
        Shares of texts in the mixed corpora.
    queries, mixed_queries
        Queries at most; the gallery is always whole.
    seed
        Seed of the split, the queries and the corpora.

    Each row says how the method was fit: `fit` (held_out or transductive, which saw the test rows),
    `text_rows` (`pairs`: the texts of the calibration items; `prompts`: the class prompts, once
    each), `renormalised`. `gap` is the distance of the means of the rows as the method leaves them,
    and `relative_gap` is measured on their cosines.
    """
    for fit, (train, test) in splits(len(pairs.x), calibration, seed).items():
        # The order of the test items is random: it decides which documents are texts.
        order = np.random.default_rng(seed).permutation(len(test))
        known, asked = pairs.take(train), pairs.take(test[order])
        corpora = Corpora.draw(len(test), shares, queries, mixed_queries, seed + 1)
        x, y = UnitRows(known.x, unit=True), UnitRows(known.y, unit=True)
        for name, method in all_methods(drop, pairs.x.shape[1]).items():
            maps = method(x, y)
            facts = {"fit": fit, "text_rows": "pairs", "method": name}
            facts |= {"n_fit": len(train), "n_test": len(test)}
            yield from _measure(facts, maps, asked, corpora, threads)
            if pairs.classes is not None and name in UNPAIRED[1:]:
                maps = method(x, UnitRows(pairs.classes, unit=True))
                yield from _measure(facts | {"text_rows": "prompts"}, maps, asked, None, threads)


def _measure(
    facts: dict[str, Any], maps: Maps, asked: Pairs, corpora: Corpora | None, threads: int
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Both variants of one fitted method; without `corpora` classification alone."""
    to_a, to_b = maps
    x, y = to_a(asked.x), to_b(asked.y)
    spare = None if asked.spare is None else to_b(asked.spare)
    classes = None if asked.classes is None else to_b(asked.classes)
    ux, uy = _unit(x), _unit(y)
    cosines = float(np.einsum("ij,ij->i", ux, uy).mean()), mean_cosine(ux), mean_cosine(uy)
    ranks = rank_everything(x, y, spare, corpora, threads) if corpora else ()
    for renormalised in (False, True):
        row = {**facts, "renormalised": int(renormalised)}
        row["gap"] = modality_gap(*((ux, uy) if renormalised else (x, y)))
        row["relative_gap"] = relative_gap(*cosines)
        row["accuracy"] = _accuracy(x, classes, asked.labels, renormalised)
        curves = []
        if corpora:
            own = ranks[int(renormalised)]
            row["recall_at_1_ab"], row["recall_at_1_ba"] = recall(own.ab, 1), recall(own.ba, 1)
            row["queries"] = len(own.ab)
            curves = [
                {**facts, "renormalised": int(renormalised), **found}
                for found in own.curves(corpora)
            ]
        yield row, curves


def _unit(rows: np.ndarray) -> np.ndarray:
    """Unit rows; a row that a method moved onto the origin stays there, and matches nothing."""
    if np.linalg.norm(rows, axis=1).min() > 0:
        return unit_rows(rows)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)


def _accuracy(
    x: np.ndarray, classes: np.ndarray | None, labels: np.ndarray | None, renormalised: bool
) -> float:
    if classes is None:
        return float("nan")
    classes = _unit(classes) if renormalised else classes
    return float(((x @ classes.T).argmax(axis=1) == labels).mean())
