"""One row per codebook, and the differences between the variants of a task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mindgap.train.effects import detectable, t_interval

_GEOMETRY = ("gap", "relative_gap", "separability", "cosine_matched", "cosine_a", "cosine_b")
_USAGE = ("perplexity_a", "perplexity_b", "perplexity", "dead", "shared", "overlap", "divergence")
_MET = ("met_1", "met_10")
#: Measures whose differences are tested, if a run has them.
TESTED = (
    "recall_at_1",
    "recall_at_10",
    "recall_at_1_codes",
    "class_recall_at_1_ab",
    "gap",
    "relative_gap",
    "gap_discrete",
    "gap_continuous",
    "gap_pooled",
    "relative_gap_pooled",
    "separability_pooled",
    "shared",
    "met_10",
    "overlap",
    "perplexity",
    "f1",
    "f1_above",
    "f1_mean",
    "generalisation",
    "hits_a",
    "hits_b",
    "on_a",
    "on_b",
    "background_a",
    "background_b",
    "pnmi_a",
    "pnmi_b",
    "pnmi_above_a",
    "pnmi_above_b",
    "purity_above_a",
    "purity_above_b",
    "words_a",
    "words_b",
    "boundary_above_b",
    "r_value_b",
    "pointing_above_a",
    "iou_above_a",
    "crossing_above_ab",
    "crossing_above_ba",
    "own_codes",
    "query_above",
    "query_among",
)


def wide_row(final: pd.DataFrame, retrieval: pd.DataFrame) -> dict[str, float]:
    """Final measures of one codebook in one row; names of those of a path end in its name.

    `recall_at_k` is the mean of both directions and of all random sets.
    """
    row: dict[str, float] = {}
    for one in final.to_dict("records"):
        end = "" if one["vector"] == "final" else f"_{one['vector']}"
        row |= {f"{name}{end}": one[name] for name in _GEOMETRY}
        row |= {name: one[name] for name in (*_USAGE, *_MET) if name in one}
    for (vector, level), some in retrieval.groupby(["vector", "level"], sort=False):
        start, end = "" if level == "item" else "class_", "" if vector == "final" else f"_{vector}"
        for k in (1, 5, 10):
            ways = [some[f"recall_at_{k}_{way}"].mean() for way in ("ab", "ba")]
            row[f"{start}recall_at_{k}{end}"] = float(np.mean(ways))
            row |= {
                f"{start}recall_at_{k}{end}_{w}": v for w, v in zip(("ab", "ba"), ways, strict=True)
            }
        for way in ("ab", "ba"):
            row[f"{start}median_rank{end}_{way}"] = float(some[f"median_rank_{way}"].mean())
    return row


def reading_row(
    concepts: pd.DataFrame, generalisation: pd.DataFrame, places: pd.DataFrame
) -> dict[str, float]:
    """Summary of what the codes of one codebook mean.

    `f1` is the F1 (the lower of both modalities) of the concept that one code names best: the one
    whose code is farthest above a code that always fires, on the half of the items on which codes
    are chosen. `f1`, `f1_always` of a code that always fires and `f1_above`, their difference, come
    from the other half. `f1_mean` is the mean over all concepts; `named` the number of concepts
    with an F1 above 0.6 and above always firing; `generalisation` the mean accuracy across
    modalities above chance; `hits_a`, `hits_b` the share of firings on the right one of two
    objects; `on_a`, `on_b` the share of all firings that are on the object, minus the object's
    share of all tokens; `background_a`, `background_b` the share on neither object.
    """
    row: dict[str, float] = {}
    if len(concepts):
        better = concepts[concepts["f1"] > concepts["always"]]
        chosen = concepts["f1_chosen"] - concepts["always_chosen"]
        best = concepts.iloc[int(chosen.to_numpy().argmax())]
        row["f1_mean"] = float(concepts["f1"].mean())
        row["f1_null"] = float(concepts["null"].mean())
        row["f1"], row["f1_always"] = float(best["f1"]), float(best["always"])
        row["f1_above"] = row["f1"] - row["f1_always"]
        row["named"] = float((better["f1"] > 0.6).sum())
    if len(generalisation):
        across = generalisation[generalisation["trained_on"] != generalisation["tested_on"]]
        row["generalisation"] = float((across["accuracy"] - across["chance"]).mean())
    for side in "ab":
        some = places[places["modality"] == side]
        if not len(some):
            continue
        pointed, fired = some[some["pointed"] > 0], some[some["fired"] > 0]
        if len(pointed):
            row[f"hits_{side}"] = float(np.average(pointed["hits"], weights=pointed["pointed"]))
        if len(fired):
            above = fired["on_object"] - fired["expected"]
            row[f"on_{side}"] = float(np.average(above, weights=fired["fired"]))
            row[f"background_{side}"] = float(
                np.average(fired["background"], weights=fired["fired"])
            )
    return row


def measure_contrasts(
    table: pd.DataFrame, contrasts: list[list[str]], confidence: float
) -> pd.DataFrame:
    """Mean of each variant, and differences between variants seed by seed; one row per effect.

    Intervals are Student's, over seeds; `detectable` is the smallest effect that as many seeds as
    scattered would have shown in four of five cases. An effect is named after its variant, or after
    both of them: `matched minus both`.
    """
    rows: list[dict[str, Any]] = []
    for task, some in table.groupby("task", sort=False):
        measures = [m for m in TESTED if m in some]
        wide = some.set_index(["variant", "seed"])[measures]
        there = list(dict.fromkeys(some["variant"]))
        columns = {variant: wide.loc[variant] for variant in there}
        for other, plain in contrasts:
            if {other, plain} <= set(there):
                columns[f"{other} minus {plain}"] = wide.loc[other] - wide.loc[plain]
        for effect, values in columns.items():
            for measure, given in zip(measures, values.to_numpy(float).T, strict=True):
                each = given[~np.isnan(given)]
                if not len(each):
                    continue
                estimate, low, high = t_interval(each, confidence)
                row = {"task": task, "effect": effect, "measure": measure, "estimate": estimate}
                least = detectable(each, confidence)
                row |= {"low": low, "high": high, "seeds": len(each), "detectable": least}
                rows.append(row)
    columns = ["task", "effect", "measure", "estimate", "low", "high", "seeds", "detectable"]
    return pd.DataFrame(rows, columns=columns).assign(interval="t over seeds")
