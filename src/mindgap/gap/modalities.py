"""Three modalities or more: gap and retrieval for each direction, and whether they go together."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from scipy import stats

#: Measures of a pair of modalities that are ranked against its R@1.
MEASURES = ("gap", "relative_gap", "cosine_matched")
#: What a direction has in common with the one back.
_SYMMETRIC = ("gap", "gap_low", "gap_high", "cosine_matched")


def _of_several(gaps: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """(model, data set) and rows of gap.csv, where there are pairs of three modalities or more."""
    for key, part in gaps.groupby(["model", "dataset"], sort=False):
        if len(part) > 1:
            yield key, part


def directions(gaps: pd.DataFrame) -> pd.DataFrame:
    """One row per model, data set, query and gallery, for models of three modalities or more.

    Gap and matched cosine are the same both ways; `recall_at_1` retrieves rows of `gallery` for a
    query of `query`, and a tie is a miss.

    Parameters
    ----------
    gaps
        gap.csv, one row per model, data set and pair of modalities.
    """
    ways = {"ab": ("modality_a", "modality_b"), "ba": ("modality_b", "modality_a")}
    recall = [f"recall_at_1{end}" for end in ("", "_low", "_high")]
    rows = [
        {
            "model": model,
            "dataset": dataset,
            "query": pair[query],
            "gallery": pair[gallery],
            "n": pair["n"],
            **{name: pair[name] for name in _SYMMETRIC},
            **{name: pair[name.replace("_1", f"_1_{way}")] for name in recall},
        }
        for (model, dataset), part in _of_several(gaps)
        for _, pair in part.iterrows()
        for way, (query, gallery) in ways.items()
    ]
    columns = ["model", "dataset", "query", "gallery", "n", *_SYMMETRIC, *recall]
    return pd.DataFrame(rows, columns=columns)


def rank_correlations(gaps: pd.DataFrame) -> pd.DataFrame:
    """Spearman's rank correlation of each of `MEASURES` with R@1 over the pairs of modalities.

    One row per model, data set and measure, for models of three modalities or more: `modalities`,
    `pairs` and `spearman`, NaN where a column does not vary. R@1 is the mean of both directions.
    Pairs share modalities, so they are no independent draws, and no p-value is given.

    Parameters
    ----------
    gaps
        gap.csv, one row per model, data set and pair of modalities.
    """
    rows = []
    for (model, dataset), part in _of_several(gaps):
        score = (part["recall_at_1_ab"] + part["recall_at_1_ba"]) / 2
        facts = {"model": model, "dataset": dataset}
        facts["modalities"] = len({*part["modality_a"], *part["modality_b"]})
        for measure in MEASURES:
            row = {**facts, "measure": measure, "score": "recall_at_1", "pairs": len(part)}
            rows.append(row | {"spearman": spearman(part[measure], score)})
    columns = ["model", "dataset", "modalities", "measure", "score", "pairs", "spearman"]
    return pd.DataFrame(rows, columns=columns)


def spearman(a: pd.Series, b: pd.Series) -> float:
    """Spearman's rank correlation; NaN where one of the two does not vary."""
    varies = a.nunique() > 1 and b.nunique() > 1
    return float(stats.spearmanr(a, b).statistic) if varies else float("nan")
