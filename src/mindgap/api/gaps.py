"""Measure the gap between any number of modalities, and show what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from mindgap.embed.store import Embeddings
from mindgap.gap.measures import measure_gap
from mindgap.inputs import named_rows
from mindgap.runtime.extras import extra

if TYPE_CHECKING:
    import pandas as pd

#: What the short table shows: heading -> column, or columns of an estimate and its interval.
SHORT = {
    "pairs": "n",
    "gap": ("gap", "gap_low", "gap_high"),
    "cosine, matched": ("cosine_matched", "cosine_matched_low", "cosine_matched_high"),
    "cosine, unmatched": "cosine_unmatched",
    "R@1 ->": ("recall_at_1_ab", "recall_at_1_ab_low", "recall_at_1_ab_high"),
    "R@1 <-": ("recall_at_1_ba", "recall_at_1_ba_low", "recall_at_1_ba_high"),
    "told apart": "separability",
}


@dataclass(frozen=True)
class Gaps:
    """The gap between each pair of modalities.

    Attributes
    ----------
    rows
        One row per pair of modalities: `modality_a`, `modality_b` and every measure of `gap.csv`.
        `ab` retrieves rows of b for a query of a; ties count against the model.
    histograms
        (a, b) -> kind of pairs (`matched`, `unmatched`, `within a`, `within b`) -> counts over
        equal bins of the cosine between -1 and 1.
    confidence
        Coverage of the intervals `*_low` to `*_high`.
    """

    rows: list[dict[str, Any]]
    histograms: dict[tuple[str, str], dict[str, np.ndarray]] = field(repr=False)
    confidence: float

    def __getitem__(self, name: str) -> Any:
        """A measure by its column in `gap.csv`: of one pair its value, of several a list."""
        values = [row[name] for row in self.rows]
        return values[0] if len(values) == 1 else values

    def to_frame(self) -> pd.DataFrame:
        """Every measure: one row per pair of modalities."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def short(self) -> pd.DataFrame:
        """The measures that answer first, as text: one row per pair of modalities."""
        import pandas as pd

        lines = [
            {
                "pair": f"{row['modality_a']} - {row['modality_b']}",
                **{heading: _cell(row, columns) for heading, columns in SHORT.items()},
            }
            for row in self.rows
        ]
        return pd.DataFrame(lines).set_index("pair")

    def __str__(self) -> str:
        return self.short().T.to_string(index_names=False)

    def _repr_html_(self) -> str:
        return self.short().to_html()

    def plot(self, ax: Any = None) -> Any:
        """Draw the cosines of one pair of modalities, or the gaps of several as a heat map.

        Returns the matplotlib axes, which are made where none are given.
        """
        import pandas as pd

        with extra("plot", "plots need"):
            import matplotlib.pyplot as plt
            import seaborn as sns

        ax = ax or plt.subplots()[1]
        if len(self.rows) > 1:
            table = pd.DataFrame(
                [(r["modality_a"], r["modality_b"], r["gap"]) for r in self.rows],
                columns=["a", "b", "gap"],
            )
            names = list(dict.fromkeys([*table["a"], *table["b"]]))
            square = table.pivot(index="a", columns="b", values="gap").reindex(names, columns=names)
            square = square.combine_first(square.T).reindex(names)[names]
            sns.heatmap(square, annot=True, fmt=".3f", cmap="viridis", ax=ax)
            ax.set(xlabel="", ylabel="", title="gap")
            return ax
        for kind, counts in next(iter(self.histograms.values())).items():
            edges = np.linspace(-1, 1, len(counts) + 1)
            ax.stairs(counts / counts.sum() / np.diff(edges), edges, label=kind)
        ax.set(xlabel="cosine", ylabel="density")
        ax.legend()
        return ax


def measure(
    first: Any,
    second: Any = None,
    *,
    bootstrap: int = 1000,
    confidence: float = 0.95,
    folds: int = 5,
    max_pairs: int = 2000,
    bins: int = 200,
    seed: int = 0,
    threads: int = 2,
) -> Gaps:
    """Measure the gap between modalities whose rows lie side by side.

    Rows are L2-normalised first and then averaged; the gap is the Euclidean distance of the means
    (Liang et al. 2022, section 4.1). Intervals are bootstrap intervals over the pairs.

    Parameters
    ----------
    first, second
        Rows of images and of texts, each of shape (n, d), row i of both from one item; or, as
        `first` alone, a mapping of two or more modalities to such rows. numpy arrays, memory maps
        and torch tensors, of any norm.
    bootstrap, confidence
        Number of resamples and coverage of the intervals.
    folds, max_pairs
        Folds of the classifier that tells the modalities apart; it and the MMD use a sample of at
        most `max_pairs` pairs, everything else uses all.
    bins
        Bins of the cosine histograms.
    seed
        Seed of resamples, sample and folds.
    threads
        Threads of the statistics of all pairs; they change no number.

    Returns
    -------
    Gaps, which prints as a short table.

    Raises
    ------
    UserError
        If rows are missing, zero, not finite, unpaired or of different dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.standard_normal((50, 8))
    >>> gaps = measure(shared + 1, shared - 1, bootstrap=100)
    >>> round(gaps["gap"], 4)
    1.4212
    """
    rows = named_rows(first, second)
    options = {
        "bootstrap": bootstrap,
        "confidence": confidence,
        "folds": folds,
        "max_pairs": max_pairs,
        "bins": bins,
        "seed": seed,
        "threads": threads,
    }
    found, histograms = [], {}
    with threadpool_limits(threads):
        for a, b in combinations(rows, 2):
            row, counts = measure_gap(Embeddings({a: rows[a], b: rows[b]}), a, b, **options)
            found.append({"modality_a": a, "modality_b": b, **row})
            histograms[a, b] = counts
    return Gaps(found, histograms, confidence)


def _cell(row: dict[str, Any], columns: str | tuple[str, str, str]) -> str:
    if isinstance(columns, str):
        return f"{row[columns]:,}" if isinstance(row[columns], int) else f"{row[columns]:.4f}"
    value, low, high = (row[column] for column in columns)
    return f"{value:.4f} [{low:.4f}, {high:.4f}]"
