"""Compare the ways of closing the gap on held-out items, and say which to take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mindgap.api.decision import name_of, sentences
from mindgap.downstream.methods import Affine, all_methods
from mindgap.downstream.rows import UnitRows
from mindgap.downstream.scores import SCORINGS
from mindgap.downstream.trial import (
    RESAMPLES,
    Rows,
    Trial,
    accuracy,
    class_means,
    class_numbers,
    estimate_all,
    split,
    try_rows,
    with_lengths,
)
from mindgap.gap.bootstrap import bootstrap_means, distance_interval
from mindgap.gap.cosines import unit_rows
from mindgap.gap.estimators import modality_gap
from mindgap.inputs import two_modalities
from mindgap.runtime.errors import UserError
from mindgap.runtime.extras import extra

if TYPE_CHECKING:
    import pandas as pd

DROP = (1, 8, 32)


@dataclass(frozen=True)
class Fixes:
    """What each way of closing the gap does to held-out items.

    Attributes
    ----------
    rows
        One row per method, variant and use: `method`, `changes` (rows or scores), `renormalised`,
        `use`, `measure`, `estimate` with its interval `low` to `high`, `difference` from leaving
        the rows alone with its interval and `sure`, a lower bound that holds for all methods at
        once, `fitted`: the estimate on the items that the method was fit on, and `queries`.
        R@1 counts a tie as a miss.
    mixed
        The mixed corpus by who asks: one row per method, variant and `query`, the modality of the
        queries, whose right documents are of the other one: NDCG@10 as `estimate` with its
        interval, and `share`, the share of the first ten documents that are of the second modality.
    gap
        The gap of all pairs with its interval `gap_low` to `gap_high`, and `pairs`.
    modalities
        Names of the two modalities.
    text_share
        Share of the mixed corpus that shows its second modality.
    confidence
        Coverage of the intervals.
    """

    rows: list[dict[str, Any]]
    mixed: list[dict[str, Any]]
    gap: dict[str, float]
    modalities: tuple[str, str]
    text_share: float
    confidence: float = field(default=0.95)

    def to_frame(self) -> pd.DataFrame:
        """Every row."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    @property
    def uses(self) -> list[str]:
        """Uses that were tried: retrieval both ways, the mixed corpus, zero-shot."""
        return list(dict.fromkeys(row["use"] for row in self.rows))

    def best(self, use: str, changes: str | None = None) -> dict[str, Any]:
        """The row with the highest held-out estimate for a use, of all fixes or one sort alone."""
        rows = [r for r in self.rows if r["use"] == use and changes in (None, r["changes"])]
        if not rows:
            raise UserError(f"unknown use {use!r} (tried: {', '.join(self.uses)})")
        return max(rows, key=lambda row: row["estimate"])

    def find(self, method: str, use: str, renormalised: bool = True) -> dict[str, Any]:
        """The row of one method and use."""
        for row in self.rows:
            if (row["method"], row["use"]) == (method, use) and row["renormalised"] == renormalised:
                return row
        raise UserError(f"{method} was not tried for {use}")

    def __str__(self) -> str:
        return "\n".join(self.decide())

    def decide(self, files: dict[str, str] | None = None) -> list[str]:
        """The decision in sentences: the gap, then for each use the best fix and its price.

        Parameters
        ----------
        files
            Modality -> file, for the command that fits the map; by default `{modality}.npy`.
        """
        return list(sentences(self, files))

    def plot(self, use: str = "mixed corpus", ax: Any = None) -> Any:
        """Draw the estimates for one use with their intervals, best first; returns the axes."""
        with extra("plot", "plots need"):
            import matplotlib.pyplot as plt

        self.best(use)
        rows = sorted((r for r in self.rows if r["use"] == use), key=lambda r: r["estimate"])
        ax = ax or plt.subplots(figsize=(6, 0.3 * len(rows) + 1))[1]
        for place, row in enumerate(rows):
            ax.plot([row["low"], row["high"]], [place, place], color="0.6")
            ax.plot(row["estimate"], place, "o", color="C0" if row["changes"] == "rows" else "C1")
        ax.set(yticks=range(len(rows)), yticklabels=[name_of(row) for row in rows])
        ax.set(xlabel=f"{use}: {rows[0]['measure']}, held out")
        return ax


def compare_fixes(
    first: Any,
    second: Any = None,
    labels: Any = None,
    *,
    calibration: float = 0.5,
    text_share: float = 0.5,
    queries: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Fixes:
    """Fit every way of closing the gap on one part of the pairs and measure it on the rest.

    Parameters
    ----------
    first, second
        (n, d) rows of two modalities, or a mapping of two, as in `measure`.
    labels
        (n,) class of each item, for zero-shot classification: the vector of a class is the mean
        of its second-modality rows.
    calibration
        Share of the pairs that the methods are fit on.
    text_share
        Share of a mixed corpus that shows its second modality; the rest shows the first.
    queries
        Queries at most of each kind; galleries are whole.
    confidence
        Coverage of the intervals: bootstrap over the queries, the fitted method stays.
    seed
        Seed of the split, the corpus and the resamples.

    Returns
    -------
    Fixes, which prints as a decision.

    Notes
    -----
    The uses are retrieval across modalities (R@1, ties count against the model), a mixed corpus
    (NDCG@10 of queries whose right document is of the other modality, as in GR-CLIP) and zero-shot
    classification (accuracy). Fixes move rows, and are tried with and without normalising them
    again, or change scores, see `mindgap.downstream.scores`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.standard_normal((200, 16))
    >>> fixes = compare_fixes(shared + 1, shared - 1)
    >>> fixes.best("mixed corpus")["estimate"] > fixes.find("none", "mixed corpus")["estimate"]
    True
    """
    if not 0 <= text_share <= 1:
        raise UserError(f"text_share={text_share:g}: give a share between 0 and 1")
    rows = two_modalities(first, second)
    x, y = (unit_rows(each) for each in rows.values())
    numbers = class_numbers(labels, len(x))
    fit_on, held = split(len(x), calibration, seed)
    trained = UnitRows(x[fit_on], unit=True), UnitRows(y[fit_on], unit=True)
    known = Rows(x[fit_on], y[fit_on])
    tries: dict[tuple, tuple[Tried, Tried | None]] = {}
    for name, method in all_methods(list(DROP), x.shape[1]).items():
        maps = method(*trained)
        for renormalised in (True, False):
            tries[name, "rows", renormalised] = tuple(
                _try(x, y, part, maps, renormalised, text_share, queries, numbers, fit_on)
                for part in (held, fit_on)
            )
    for name, scoring in SCORINGS.items():
        found = try_rows(Rows(x[held], y[held]), text_share, queries, scoring, known)
        tries[name, "scores", True] = Tried(found), None
    sizes = {"n_fit": len(fit_on), "n_test": len(held)}
    out = []
    for use in tries["none", "rows", True][0].uses:
        given = {key: parts for key, parts in tries.items() if use in parts[0].uses}
        values = [parts[0].uses[use] for parts in given.values()]
        for (key, parts), estimate in zip(
            given.items(), estimate_all(values, confidence, seed), strict=True
        ):
            fitted = float("nan") if parts[1] is None else float(parts[1].uses[use].mean())
            facts = {**_facts(key), "use": use, "measure": _MEASURES[use], **estimate}
            out.append({**facts, "fitted": fitted, "queries": len(values[0]), **sizes})
    mixed = []
    for side, query in zip("ab", rows, strict=True):
        given = {
            key: parts[0].trial for key, parts in tries.items() if side in parts[0].trial.gains
        }
        values = [trial.gains[side] for trial in given.values()]
        for (key, trial), estimate in zip(
            given.items(), estimate_all(values, confidence, seed) if values else (), strict=True
        ):
            share = float(trial.shares[side].mean())
            facts = {**_facts(key), "query": query, **estimate, "share": share}
            mixed.append({**facts, "queries": len(values[0])})
    return Fixes(out, mixed, _gap(x, y, confidence, seed), tuple(rows), text_share, confidence)


@dataclass(frozen=True)
class Tried:
    """A trial, and the accuracy of each item where there are classes."""

    trial: Trial
    accuracy: np.ndarray | None = None

    @property
    def uses(self) -> dict[str, np.ndarray]:
        """Use -> what each query gets."""
        found = {
            "retrieval a to b": self.trial.hits["ab"],
            "retrieval b to a": self.trial.hits["ba"],
            "mixed corpus": np.concatenate(list(self.trial.gains.values())),
        }
        return found if self.accuracy is None else found | {"zero-shot": self.accuracy}


_MEASURES = {
    "retrieval a to b": "R@1",
    "retrieval b to a": "R@1",
    "mixed corpus": "NDCG@10",
    "zero-shot": "accuracy",
}


def _try(
    x: np.ndarray,
    y: np.ndarray,
    part: np.ndarray,
    maps: tuple[Affine, Affine],
    renormalised: bool,
    share: float,
    queries: int,
    numbers: np.ndarray | None,
    fit_on: np.ndarray,
) -> Tried:
    """Try fitted maps on some items."""
    a, b = (with_lengths(to(z[part]), renormalised) for to, z in zip(maps, (x, y), strict=True))
    trial = try_rows(Rows(a, b), share, queries)
    if numbers is None:
        return Tried(trial)
    classes = class_means(y[fit_on], numbers[fit_on], numbers.max() + 1)
    classes = with_lengths(maps[1](classes), renormalised)
    return Tried(trial, accuracy(a, classes, numbers[part]))


def _gap(x: np.ndarray, y: np.ndarray, confidence: float, seed: int) -> dict[str, float]:
    """The gap with its interval; as in `measure`, over all pairs."""
    gap = modality_gap(x, y)
    squares = np.square(bootstrap_means(x - y, RESAMPLES, seed)).sum(axis=1)
    low, high = distance_interval(squares, gap, confidence)
    return {"gap": gap, "gap_low": low, "gap_high": high, "pairs": len(x)}


def _facts(key: tuple[str, str, bool]) -> dict[str, Any]:
    return dict(zip(("method", "changes", "renormalised"), key, strict=True))
