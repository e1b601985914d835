"""Compare the ways of closing the gap on held-out items, and say which to take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mindgap.downstream.methods import Affine, all_methods
from mindgap.downstream.rows import UnitRows
from mindgap.downstream.scores import SCORINGS
from mindgap.downstream.trial import Rows, accuracy, estimate_all, try_rows, with_lengths
from mindgap.gap.cosines import unit_rows
from mindgap.inputs import named_rows
from mindgap.runtime.errors import UserError
from mindgap.runtime.extras import extra

if TYPE_CHECKING:
    import pandas as pd

DROP = (1, 8, 32)
#: A fix was learnt by heart where the rows it was fit on do better than held-out ones by so much.
BY_HEART = 0.05


@dataclass(frozen=True)
class Fixes:
    """What each way of closing the gap does to held-out items.

    Attributes
    ----------
    rows
        One row per method, variant and use: `method`, `changes` (rows or scores), `renormalised`,
        `use`, `measure`, `estimate` with its interval `low` to `high`, `difference` from leaving
        the rows alone with its interval and `sure`, a lower bound that holds for all methods at
        once, `fitted`: the estimate on the items that the method was
        fit on, and `queries`.
    modalities
        Names of the two modalities.
    text_share
        Share of the mixed corpus that shows its second modality.
    """

    rows: list[dict[str, Any]]
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

    def decide(self) -> list[str]:
        """The decision in sentences: for each use the best fix, its gain, price and command."""
        a, b = self.modalities
        lines = []
        for use in self.uses:
            row, plain = self.best(use), self.find("none", use)
            what = use.replace("a to b", f"{a} to {b}").replace("b to a", f"{b} to {a}")
            lines.append(f"{what}: {row['measure']} {plain['estimate']:.3f} as it is")
            if row["sure"] <= 0:
                lines[-1] += "; no fix is surely better"
                continue
            lines += self._advise(row)
            if row["changes"] == "scores" and self.best(use, "rows")["sure"] > 0:
                lines += self._advise(self.best(use, "rows"))
        return lines

    def _advise(self, row: dict[str, Any]) -> Iterator[str]:
        """What one fix brings, what it costs, and how to apply it."""
        interval = f"[{row['low']:.3f}, {row['high']:.3f}]"
        yield f"  {row['estimate']:.3f} {interval} with {_name(row)} ({row['changes']})"
        if not row["use"].startswith("retrieval"):
            yield from self._price(row)
        if row["fitted"] - row["estimate"] > BY_HEART and row["fitted"] > row["high"]:
            yield (
                f"    learnt by heart: {row['fitted']:.3f} on the items that it was fit on; "
                "more pairs would help"
            )
        if row["changes"] == "rows":
            a, b = self.modalities
            again = "" if row["renormalised"] else " --no-renormalise"
            yield f"    mindgap fit {row['method']} {a}={a}.npy {b}={b}.npy{again}"

    def _price(self, row: dict[str, Any]) -> Iterator[str]:
        """What a fix costs in retrieval across modalities."""
        for use in ("retrieval a to b", "retrieval b to a"):
            for other in self.rows:
                same = all(other[key] == row[key] for key in ("method", "renormalised"))
                if same and other["use"] == use:
                    change = f"{other['difference']:+.3f}"
                    interval = f"[{other['low_difference']:+.3f}, {other['high_difference']:+.3f}]"
                    way = use.removeprefix("retrieval ")
                    a, b = self.modalities
                    way = f"{a} to {b}" if way == "a to b" else f"{b} to {a}"
                    yield f"    price: R@1 {way} {change} {interval}"

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
        ax.set(yticks=range(len(rows)), yticklabels=[_name(row) for row in rows])
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
    rows = named_rows(first, second)
    if len(rows) != 2:
        raise UserError(f"fixes lie between two modalities, got {len(rows)}: choose two")
    x, y = (unit_rows(each) for each in rows.values())
    numbers = _numbers(labels, len(x))
    fit_on, held = _split(len(x), calibration, seed)
    trained = UnitRows(x[fit_on], unit=True), UnitRows(y[fit_on], unit=True)
    known = Rows(x[fit_on], y[fit_on])
    tries: dict[tuple, dict[str, tuple[np.ndarray, float]]] = {}
    for name, method in all_methods(list(DROP), x.shape[1]).items():
        maps = method(*trained)
        for renormalised in (True, False):
            parts = [
                _measure(x, y, part, maps, renormalised, text_share, queries, numbers, fit_on)
                for part in (held, fit_on)
            ]
            tries[name, "rows", renormalised] = {
                use: (values, float(parts[1][use].mean())) for use, values in parts[0].items()
            }
    for name, scoring in SCORINGS.items():
        found = try_rows(Rows(x[held], y[held]), text_share, queries, scoring, known)
        tries[name, "scores", True] = {
            use: (values, float("nan")) for use, values in _uses(found).items()
        }
    out = []
    for use in tries["none", "rows", True]:
        given = {key: found[use] for key, found in tries.items() if use in found}
        estimates = estimate_all([values for values, _ in given.values()], confidence, seed)
        for (key, (values, fitted)), estimate in zip(given.items(), estimates, strict=True):
            name, changes, renormalised = key
            facts = {"method": name, "changes": changes, "renormalised": renormalised}
            facts |= {"use": use, "measure": _MEASURES[use], **estimate, "fitted": fitted}
            facts |= {"queries": len(values), "n_fit": len(fit_on), "n_test": len(held)}
            out.append(facts)
    return Fixes(out, tuple(rows), text_share, confidence)


_MEASURES = {
    "retrieval a to b": "R@1",
    "retrieval b to a": "R@1",
    "mixed corpus": "NDCG@10",
    "zero-shot": "accuracy",
}


def _split(n: int, calibration: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Items to fit on, in order, and items to test on, in random order."""
    count = round(calibration * n)
    if count < 2 or n - count < 2:
        raise UserError(
            f"calibration={calibration:g} of {n} pairs leaves {count} to fit on and {n - count} to "
            "test on; both need two or more"
        )
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[:count]), order[count:]


def _numbers(labels: Any, n: int) -> np.ndarray | None:
    if labels is None:
        return None
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise UserError(f"labels have the shape {labels.shape}; give one for each of {n} pairs")
    return np.unique(labels, return_inverse=True)[1]


def _measure(
    x: np.ndarray,
    y: np.ndarray,
    part: np.ndarray,
    maps: tuple[Affine, Affine],
    renormalised: bool,
    share: float,
    queries: int,
    numbers: np.ndarray | None,
    fit_on: np.ndarray,
) -> dict[str, np.ndarray]:
    """Use -> what each query of some items gets."""
    a, b = (with_lengths(to(z[part]), renormalised) for to, z in zip(maps, (x, y), strict=True))
    found = _uses(try_rows(Rows(a, b), share, queries))
    if numbers is not None:
        means = [y[fit_on][numbers[fit_on] == k] for k in range(numbers.max() + 1)]
        if not all(len(rows) for rows in means):
            raise UserError("a class has no pair among those that the methods are fit on")
        classes = unit_rows(np.stack([rows.mean(axis=0) for rows in means]))
        classes = with_lengths(maps[1](classes), renormalised)
        found["zero-shot"] = accuracy(a, classes, numbers[part])
    return found


def _uses(found: Any) -> dict[str, np.ndarray]:
    return {
        "retrieval a to b": found.hits["ab"],
        "retrieval b to a": found.hits["ba"],
        "mixed corpus": np.concatenate(list(found.gains.values())),
    }


def _name(row: dict[str, Any]) -> str:
    return row["method"] if row["renormalised"] else f"{row['method']}, not normalised again"
