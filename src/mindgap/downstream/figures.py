"""Figures of the chapter `downstream`; each reads tables alone."""

from __future__ import annotations

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from mindgap.downstream.shares import most_mixed
from mindgap.style import use_style

NAMES = {
    "recall_at_1_ab": "R@1, a to b",
    "recall_at_1_ba": "R@1, b to a",
    "zero_shot_accuracy": "zero-shot accuracy",
}
_BLUE, _ORANGE, _GREY = "#3b6fb6", "#d9772b", "#8c8c8c"


def _panels(count: int, width: float = 3.2, height: float = 2.6) -> tuple[Figure, list[Any]]:
    """Axes in rows of four at most, six in rows of three."""
    use_style()
    columns = 3 if count in (5, 6) else min(count, 4)
    lines = math.ceil(count / columns)
    figure, axes = plt.subplots(
        lines,
        columns,
        figsize=(width * columns, height * lines),
        layout="constrained",
        squeeze=False,
    )
    flat = list(axes.ravel())
    for axis in flat[count:]:
        axis.set_axis_off()
    return figure, flat[:count]


def figure_zero_shot(curves: pd.DataFrame, tests: pd.DataFrame) -> Figure:
    """Accuracy over the signed distance, one panel per model and task (Supp. Fig. 10)."""
    groups = list(curves.groupby(["model", "task"], sort=False))
    figure, axes = _panels(len(groups))
    for axis, ((model, task), curve) in zip(axes, groups, strict=True):
        untouched = curve.loc[curve["shift"].abs().idxmin()]
        axis.axvline(untouched["distance"], color=_GREY, lw=0.8, ls="--")
        axis.plot(curve["distance"], curve["accuracy"], marker=".", ms=4, lw=1, color=_BLUE)
        own = tests[(tests["model"] == model) & (tests["task"] == task)].set_index("procedure")
        best = own.loc["published"]
        axis.plot(best["distance"], best["shifted"], "o", ms=6, mfc="none", color=_ORANGE)
        axis.set(title=f"{model}: {task}", xlabel="distance of the centres", ylabel="accuracy")
        held = own.loc[["held_out_1", "held_out_2"], "difference"]
        text = f"best on itself {best['difference']:+.3f}\n"
        text += f"held out {held.iloc[0]:+.3f}, {held.iloc[1]:+.3f}"
        axis.set_ylim(0, 1.06 * axis.get_ylim()[1])
        axis.text(0.03, 0.05, text, transform=axis.transAxes, fontsize=7, va="bottom")
    return figure


def figure_fairness(rates: pd.DataFrame) -> Figure:
    """Rate of offensive labels over the distance, one line per group; below it the accuracy."""
    audits = list(rates.groupby(["model", "audit"], sort=False))
    figure, axes = _panels(2 * len(audits), 3.6)
    for k, ((model, audit), table) in enumerate(audits):
        names = [group for group in table["group"].unique() if group != "all"]
        colours = dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))
        colours["all"] = "black"
        for axis, category in zip(axes[2 * k : 2 * k + 2], ("sum", "accuracy"), strict=True):
            part = table[table["category"] == category].sort_values("distance")
            for group, line in part.groupby("group", sort=False):
                axis.plot(
                    line["distance"],
                    line["rate"],
                    marker=".",
                    lw=1,
                    color=colours[group],
                    label=group,
                )
                axis.fill_between(
                    line["distance"],
                    line["low"],
                    line["high"],
                    color=colours[group],
                    alpha=0.1,
                    lw=0,
                )
            untouched = part.loc[part["shift"].abs().idxmin(), "distance"]
            axis.axvline(untouched, color=_GREY, lw=0.8, ls="--")
            what = "rate of the audited labels" if category == "sum" else "accuracy"
            axis.set(title=f"{model}: {audit}", xlabel="distance of the centres", ylabel=what)
            axis.set_ylim(0, 1.06 * axis.get_ylim()[1])
        axes[2 * k].legend(fontsize=6, frameon=False)
    return figure


def figure_retrieval(table: pd.DataFrame) -> Figure:
    """R@1 and R@10 both ways over the signed distance, one panel per model and set."""
    groups = list(table.groupby(["model", "dataset"], sort=False))
    figure, axes = _panels(len(groups))
    for axis, ((model, dataset), part) in zip(axes, groups, strict=True):
        for way, colour in (("ab", _BLUE), ("ba", _ORANGE)):
            line = part[part["direction"] == way]
            for k, style in ((1, "-"), (10, ":")):
                label = f"R@{k} {'to b' if way == 'ab' else 'to a'}"
                axis.plot(
                    line["distance"],
                    line[f"recall_at_{k}"],
                    style,
                    lw=1.2,
                    color=colour,
                    label=label,
                )
        axis.axvline(
            part.loc[part["shift"].abs().idxmin(), "distance"], color=_GREY, lw=0.8, ls="--"
        )
        axis.set(title=f"{model} on {dataset}", xlabel="distance of the centres")
        axis.set_ylabel("recall (a tie is a miss)")
        axis.set_ylim(0, 1.06 * axis.get_ylim()[1])
    axes[0].legend(fontsize=6, frameon=False)
    return figure


_COLUMNS = {
    "relative_gap": "relative gap",
    "recall_at_1_ab": "R@1, a to b\n(a tie is a miss)",
    "recall_at_1_ba": "R@1, b to a\n(a tie is a miss)",
    "accuracy": "zero-shot accuracy",
    "ndcg": "NDCG@10, {:.0%} texts\nin the corpus",
}


def figure_methods(table: pd.DataFrame, mixed: pd.DataFrame) -> Figure:
    """What each method does, held out, one line of panels per model and set.

    Filled: rows normalised again; open: as the method leaves them; the vertical line: no method.
    Retrieval in a mixed corpus is shown where half of it is texts.

    Parameters
    ----------
    table, mixed
        Tables methods.csv and mixed.csv.
    """
    use_style()
    table = table[(table["fit"] == "held_out") & (table["text_rows"] == "pairs")]
    share = most_mixed(mixed["text_share"])
    half = mixed[(mixed["text_share"] == share) & (mixed["query"] == "other")]
    key = ["model", "dataset", "fit", "method", "renormalised"]
    ndcg = half.set_index(key)["ndcg_at_10"].rename("ndcg")
    table = table.join(ndcg, on=key)
    groups = list(table.groupby(["model", "dataset"], sort=False))
    names = list(dict.fromkeys(table["method"]))
    columns = {c: title.format(share) for c, title in _COLUMNS.items() if table[c].notna().any()}
    figure, axes = plt.subplots(
        len(groups),
        len(columns),
        figsize=(2.1 * len(columns) + 0.8, 0.6 + (0.19 * len(names) + 0.6) * len(groups)),
        layout="constrained",
        squeeze=False,
        sharey=True,
    )
    for line, ((model, dataset), part) in zip(axes, groups, strict=True):
        for axis, (column, title) in zip(line, columns.items(), strict=True):
            if part[column].isna().all():
                axis.set_axis_off()
                continue
            for renormalised, face in ((0, "none"), (1, _BLUE)):
                some = part[part["renormalised"] == renormalised]
                places = [names.index(m) for m in some["method"]]
                axis.plot(some[column], places, "o", ms=4, mfc=face, color=_BLUE)
            axis.axvline(part.loc[part["method"] == "none", column].iloc[0], color=_ORANGE, lw=0.8)
            axis.set_yticks(range(len(names)), names, fontsize=7)
            axis.set_title(title, fontsize=8)
            axis.grid(axis="y", lw=0.3)
        line[0].set_ylabel(f"{model}\non {dataset}", fontsize=7)
    axes[0, 0].invert_yaxis()
    dot = {"ls": "", "marker": "o", "ms": 4, "color": _BLUE}
    handles = [plt.Line2D([], [], mfc=face, **dot) for face in (_BLUE, "none")]
    handles.append(plt.Line2D([], [], color=_ORANGE, lw=0.8))
    words = ["rows normalised again", "as the method leaves them", "no method"]
    figure.legend(handles, words, loc="outside lower center", ncols=3, frameon=False, fontsize=7)
    return figure


def figure_mixed(table: pd.DataFrame) -> Figure:
    """NDCG@10 over the share of texts in the corpus, one panel per model, set and way to ask."""
    keep = (table["fit"] == "held_out") & (table["renormalised"] == 1)
    groups = list(table[keep].groupby(["model", "dataset", "query"], sort=False))
    figure, axes = _panels(len(groups))
    names = list(dict.fromkeys(table["method"]))
    others = [name for name in names if name != "none"]
    # Nobody can tell ten hues apart: five, each as a solid and as a dashed line.
    hues = sns.color_palette("colorblind", 5)
    looks = {"none": {"color": "black"}} | {
        name: {
            "color": hues[k % 5],
            "ls": ("-", "--", ":")[k // 5 % 3],
            "marker": "os^"[k // 5 % 3],
        }
        for k, name in enumerate(others)
    }
    for axis, ((model, dataset, query), part) in zip(axes, groups, strict=True):
        for name, line in part.groupby("method", sort=False):
            axis.plot(line["text_share"], line["ndcg_at_10"], ms=3, lw=1, **looks[name])
        how = "the other modality asks" if query == "other" else "a second caption asks"
        axis.set(
            title=f"{model} on {dataset}\n{how}",
            xlabel="share of texts in the corpus",
            ylabel="NDCG@10",
        )
        axis.set_ylim(0, 1.06 * axis.get_ylim()[1])
    handles = [plt.Line2D([], [], ms=3, **looks[name]) for name in names]
    figure.legend(handles, names, loc="outside lower center", ncols=6, frameon=False, fontsize=7)
    return figure


def figure_models(table: pd.DataFrame, correlations: pd.DataFrame) -> Figure:
    """Gap measures against scores, one point per model, for each set with enough of them."""
    wanted = correlations[correlations["measure"].isin(["gap", "relative_gap"])]
    groups = list(wanted.groupby(["over", "measure", "score"], sort=False)) or [(None, None)]
    figure, axes = _panels(len(groups))
    for axis, (key, found) in zip(axes, groups, strict=True):
        if key is None:
            axis.text(0.5, 0.5, "no set has enough models", ha="center", transform=axis.transAxes)
            continue
        over, measure, score = key
        points = table[table["over"] == over]
        axis.plot(points[measure], points[score], "o", ms=4, color=_BLUE, alpha=0.7)
        row = found.iloc[0]
        label = f"tau = {row['tau']:.2f}, p = {row['p']:.2g}, {row['models']} models"
        scored = NAMES.get(score, score.replace("_", " "))
        axis.set(xlabel=measure.replace("_", " "), ylabel=scored)
        axis.set_title(
            f"{over}\n{label if np.isfinite(row['tau']) else 'does not vary'}", fontsize=8
        )
    return figure
