"""Say what a cosine means: how likely the nearest row of the other modality is the match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mindgap.downstream.calibration import (
    Logistic,
    best_scores,
    calibration_error,
    calibration_error_of_chance,
    find_threshold,
    fit_logistic,
    reliability,
)
from mindgap.downstream.significance import rate_interval
from mindgap.downstream.trial import split
from mindgap.gap.cosines import unit_rows
from mindgap.inputs import two_modalities
from mindgap.runtime.errors import UserError
from mindgap.runtime.extras import extra

if TYPE_CHECKING:
    import pandas as pd

LEAST = 20


@dataclass(frozen=True)
class Calibration:
    """Probability that the nearest row of the other modality is the match, for each direction.

    Attributes
    ----------
    rows
        One row per direction: `query` and `gallery`, the modalities; `slope` and `intercept` of
        P(match | s) = 1 / (1 + exp(-(slope s + intercept))); on held-out queries
        `calibration_error` and what of it a finite sample explains (`of_chance`); `precision`,
        the wanted one, the `threshold` of the cosine for it with its interval `threshold_low` to
        `threshold_high`, and what it gives held-out queries: `achieved` with its interval
        `achieved_low` to `achieved_high`, and `answered`, the share of queries above it.
        `recall_at_1` is the share of matches without a threshold, ties counted as misses.
    curves
        The reliability curve of held-out queries: bins of the probability with `predicted` and
        `observed` share of matches, interval `low` to `high`.
    """

    rows: list[dict[str, Any]]
    curves: list[dict[str, Any]]

    def to_frame(self) -> pd.DataFrame:
        """One row per direction."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def find(self, query: str) -> dict[str, Any]:
        """The row of the direction in which a modality asks."""
        for row in self.rows:
            if row["query"] == query:
                return row
        known = " and ".join(row["query"] for row in self.rows)
        raise UserError(f"unknown modality {query!r} (known: {known})")

    def probability(self, cosines: Any, query: str) -> np.ndarray:
        """Probability that the nearest row is the match, of its cosine.

        Parameters
        ----------
        cosines
            Cosines of queries with their nearest row, of any shape.
        query
            Modality of the queries.
        """
        row = self.find(query)
        return Logistic(row["slope"], row["intercept"])(cosines)

    def __str__(self) -> str:
        return "\n".join(line for row in self.rows for line in _say(row))

    def plot(self, ax: Any = None) -> Any:
        """Draw the reliability curves of both directions; returns the matplotlib axes."""
        with extra("plot", "plots need"):
            import matplotlib.pyplot as plt

        ax = ax or plt.subplots()[1]
        ax.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for row in self.rows:
            curve = [c for c in self.curves if c["query"] == row["query"]]
            x, y = ([c[name] for c in curve] for name in ("predicted", "observed"))
            low = [c["observed"] - c["low"] for c in curve]
            high = [c["high"] - c["observed"] for c in curve]
            label = f"{row['query']} to {row['gallery']}"
            ax.errorbar(x, y, yerr=[low, high], fmt="o-", capsize=2, label=label)
        ax.set(xlabel="probability of a match", ylabel="share of matches, held out")
        ax.legend()
        return ax


def calibrate(
    first: Any,
    second: Any = None,
    *,
    precision: float = 0.9,
    calibration: float = 0.5,
    confidence: float = 0.95,
    seed: int = 0,
) -> Calibration:
    """Turn cosines into probabilities of a match, and find the threshold for a wanted precision.

    Each query of one modality takes the nearest of all rows of the other. A logistic curve is fit
    to the cosines of one part of the queries (Platt 1999) and measured on the rest. The numbers
    belong to a gallery of this size and kind: among more rows a wrong one is nearest more often.

    Parameters
    ----------
    first, second
        (n, d) rows of two modalities, or a mapping of two, as in `measure`.
    precision
        Wanted share of matches among the queries above the threshold.
    calibration
        Share of the queries that the curve is fit on.
    confidence
        Coverage of the intervals.
    seed
        Seed of the split and the resamples.

    Returns
    -------
    Calibration, which prints as sentences.

    Raises
    ------
    UserError
        If the rows cannot be used, or fewer than 20 queries are left on one side of the split.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.standard_normal((400, 8))
    >>> noise = rng.standard_normal((2, 400, 8))
    >>> found = calibrate(shared + 0.4 * noise[0], shared + 0.4 * noise[1])
    >>> unlikely, likely = found.probability([0.7, 0.99], "image")
    >>> bool(unlikely < 0.5 < likely)
    True
    """
    if not 0 < precision < 1:
        raise UserError(f"precision={precision:g}: give a share between 0 and 1")
    rows = two_modalities(first, second)
    (a, x), (b, y) = ((name, unit_rows(each)) for name, each in rows.items())
    fit_on, held = split(len(x), calibration, seed, LEAST)
    held = np.sort(held)
    found, curves = [], []
    for (query, asking), (gallery, among) in (((a, x), (b, y)), ((b, y), (a, x))):
        scores, right = best_scores(asking, among)
        curve = fit_logistic(scores[fit_on], right[fit_on])
        p, hits = curve(scores[held]), right[held]
        threshold, low, high = find_threshold(
            scores[fit_on], right[fit_on], precision, confidence, seed
        )
        above = scores[held] >= threshold
        ends = (
            rate_interval(hits[above].sum(), above.sum(), confidence)
            if above.any()
            else (float("nan"),) * 2
        )
        found.append(
            {
                "query": query,
                "gallery": gallery,
                "rows": len(among),
                "recall_at_1": float(right.mean()),
                "slope": curve.slope,
                "intercept": curve.intercept,
                "calibration_error": calibration_error(p, hits),
                "of_chance": calibration_error_of_chance(p, seed),
                "precision": precision,
                "threshold": threshold,
                "threshold_low": low,
                "threshold_high": high,
                "achieved": float(hits[above].mean()) if above.any() else float("nan"),
                "achieved_low": ends[0],
                "achieved_high": ends[1],
                "answered": float(above.mean()),
                "n_fit": len(fit_on),
                "n_test": len(held),
            }
        )
        curves += [{"query": query, **each} for each in reliability(p, hits, confidence)]
    return Calibration(found, curves)


def _say(row: dict[str, Any]) -> list[str]:
    """One direction in sentences."""
    lines = [
        f"{row['query']} query, nearest of {row['rows']:,} {row['gallery']} rows: the match for "
        f"{row['recall_at_1']:.1%}",
        f"  P(match) = 1 / (1 + exp(-({row['slope']:.2f} cosine {row['intercept']:+.2f})))",
        f"  calibration error, held out: {row['calibration_error']:.3f} "
        f"({row['of_chance']:.3f} if the probabilities were exact)",
    ]
    if np.isnan(row["threshold"]):
        return [*lines, f"  no cosine is high enough for a precision of {row['precision']:.0%}"]
    high = "none" if np.isinf(row["threshold_high"]) else f"{row['threshold_high']:.3f}"
    interval = f"[{row['threshold_low']:.3f}, {high}]"
    lines.append(
        f"  precision {row['precision']:.0%}: accept cosines from {row['threshold']:.3f} {interval}"
    )
    if row["answered"] == 0:
        return [*lines, "    no held-out query reaches it"]
    achieved = f"{row['achieved']:.1%} [{row['achieved_low']:.1%}, {row['achieved_high']:.1%}]"
    return [*lines, f"    held out: {achieved} right, {row['answered']:.1%} of queries answered"]
