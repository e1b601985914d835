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
from mindgap.style import label_ends, use_style

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


def _chance(axis: Any, height: float) -> None:
    """A dotted line at what guessing gives."""
    axis.axhline(height, color=_GREY, lw=0.9, ls=":")


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
        chance = 1 / curve["classes"].iloc[0]
        _chance(axis, chance)
        look = {"fontsize": 7, "color": _GREY, "ha": "right", "va": "bottom"}
        axis.text(0.99, chance, "chance", transform=axis.get_yaxis_transform(), **look)
        axis.set(title=f"{model}: {task}", xlabel="distance of the centres", ylabel="accuracy")
        held = own.loc[["held_out_1", "held_out_2"], "difference"]
        text = f"best on itself {best['difference']:+.3f}\n"
        text += f"held out {held.iloc[0]:+.3f}, {held.iloc[1]:+.3f}"
        axis.set_ylim(0, 1.06 * axis.get_ylim()[1])
        axis.text(0.03, 0.15, text, transform=axis.transAxes, fontsize=7, va="bottom")
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
            lines = {}
            for group, own in part.groupby("group", sort=False):
                look = {"color": colours[group], "lw": 2 if group == "all" else 1.2}
                (lines[group],) = axis.plot(own["distance"], own["rate"], marker=".", **look)
                ends = own["distance"], own["low"], own["high"]
                axis.fill_between(*ends, color=colours[group], alpha=0.07, lw=0)
            untouched = part.loc[part["shift"].abs().idxmin(), "distance"]
            axis.axvline(untouched, color=_GREY, lw=0.8, ls="--")
            what = "rate of the audited labels" if category == "sum" else "accuracy"
            axis.set(title=f"{model}: {audit}", xlabel="distance of the centres", ylabel=what)
            axis.set_ylim(0, 1.06 * axis.get_ylim()[1])
            label_ends(axis, lines)
    return figure


def figure_retrieval(table: pd.DataFrame) -> Figure:
    """R@1 and R@10 both ways over the signed distance, one panel per model and set.

    The grey lines are chance, k out of the gallery.
    """
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
                    lw=1.4,
                    color=colour,
                    label=label,
                )
        for k, style in ((1, "-"), (10, ":")):
            axis.axhline(k / part["gallery"].iloc[0], color=_GREY, lw=0.8, ls=style)
        axis.axvline(
            part.loc[part["shift"].abs().idxmin(), "distance"], color=_GREY, lw=0.8, ls="--"
        )
        axis.set(title=f"{model} on {dataset}", xlabel="distance of the centres")
        axis.set_ylabel("recall (a tie is a miss)")
        axis.set_ylim(0, 1.06 * axis.get_ylim()[1])
    lines, names = axes[0].get_legend_handles_labels()
    looks = [("-", "chance, R@1"), (":", "chance, R@10"), ("--", "untouched gap")]
    lines += [plt.Line2D([], [], color=_GREY, lw=0.8, ls=style) for style, _ in looks]
    names += [name for _, name in looks]
    figure.legend(lines, names, loc="outside lower center", ncols=4, frameon=False)
    return figure


_PANELS = {
    "relative_gap": "relative gap",
    "recall_at_1_ab": "R@1, a to b (a tie is a miss)",
    "recall_at_1_ba": "R@1, b to a (a tie is a miss)",
    "ndcg": "NDCG@10, {:.0%} texts in the corpus",
    "accuracy": "zero-shot accuracy",
}
#: Change against no method at which a cell has its full colour.
_FULL = 0.5


def figure_methods(table: pd.DataFrame, mixed: pd.DataFrame) -> Figure:
    """What each method does to held-out rows, which are normalised again: a panel per measure.

    A cell has the measure of a method for one model and set, and in colour its change against no
    method: blue is more, orange is less. Retrieval in a mixed corpus is shown where half of it is
    texts. What a set does not have is left out.

    Parameters
    ----------
    table, mixed
        Tables methods.csv and mixed.csv.
    """
    use_style()
    keep = (table["fit"] == "held_out") & (table["text_rows"] == "pairs")
    share = most_mixed(mixed["text_share"])
    half = mixed[(mixed["text_share"] == share) & (mixed["query"] == "other")]
    key = ["model", "dataset", "fit", "method", "renormalised"]
    table = table[keep & (table["renormalised"] == 1)]
    table = table.join(half.set_index(key)["ndcg_at_10"].rename("ndcg"), on=key)
    table = table.assign(column=table["model"] + "\n" + table["dataset"])
    squares = {
        name: table.pivot(index="method", columns="column", values=name)
        .reindex(index=table["method"].unique(), columns=table["column"].unique())
        .dropna(axis=1, how="all")
        for name in _PANELS
        if table[name].notna().any()
    }
    lines, width = _lines(list(squares.items()))
    height = 0.24 * table["method"].nunique() + 1.2
    figure = plt.figure(figsize=(0.62 * width + 2.4, height * len(lines)), layout="constrained")
    grid = figure.add_gridspec(len(lines), 1)
    for place, line in enumerate(lines):
        shares = [square.shape[1] + 2 for _, square in line]
        row = grid[place].subgridspec(1, len(line), width_ratios=shares).subplots(squeeze=False)
        for axis, (name, square) in zip(row[0], line, strict=True):
            _cells(axis, square)
            axis.set_title(_PANELS[name].format(share), fontsize=9, loc="left")
    said = "colour: change against no method; blue more, orange less"
    figure.suptitle(said, fontsize=8, x=0.01, ha="left")
    return figure


def _lines(panels: list[tuple[str, Any]]) -> tuple[list[list[tuple[str, Any]]], int]:
    """Panels two to a line, a last narrow one beside the others, and columns of the widest line."""
    lines = [panels[k : k + 2] for k in range(0, len(panels), 2)]
    widths = [sum(square.shape[1] for _, square in line) for line in lines]
    if len(lines) > 1 and len(lines[-1]) == 1 and 4 * widths[-1] <= widths[-2]:
        last, room = lines.pop(), widths.pop()
        lines[-1] += last
        widths[-1] += room
    return lines, max(widths)


def _cells(axis: Any, square: pd.DataFrame) -> None:
    """A table of methods and models, coloured by the change against no method."""
    palette = sns.blend_palette([_ORANGE, "white", _BLUE], as_cmap=True)
    look = {"cmap": palette, "vmin": -_FULL, "vmax": _FULL, "cbar": False, "linewidths": 0.5}
    text = {"annot": square, "fmt": ".3f", "annot_kws": {"fontsize": 7, "color": "black"}}
    sns.heatmap(square - square.loc["none"], ax=axis, **look, **text)
    axis.set(xlabel="", ylabel="")
    axis.tick_params(length=0, labelsize=7)
    axis.tick_params(axis="x", rotation=35)
    axis.tick_params(axis="y", rotation=0)
    for label in axis.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor")


#: Hue of each kind of method, and the methods of it in the order of their lines.
_KINDS = {
    "black": ("none",),
    _BLUE: ("centring", "standardising", "shift"),
    _ORANGE: ("procrustes", "realign"),
    "#8a5fbf": ("whitening",),
}
_DASHES = ("-", "--", ":", "-.")
_REST = "#2a9d8f"  # hue of methods of no kind, such as drop_k


def _looks(names: list[str]) -> dict[str, dict[str, Any]]:
    """One hue per kind of method, one line style per method of a kind."""
    hues = {name: hue for hue, some in _KINDS.items() for name in some}
    looks: dict[str, dict[str, Any]] = {}
    for name in names:
        hue = hues.get(name, _REST)
        used = sum(look["color"] == hue for look in looks.values())
        look = {"color": hue, "ls": _DASHES[used % len(_DASHES)]}
        looks[name] = look | {"lw": 2.2 if name == "none" else 1.3}
    return looks


def figure_mixed(table: pd.DataFrame) -> Figure:
    """NDCG@10 over the share of texts in the corpus, one panel per model, set and way to ask.

    One hue per kind of method: moved or scaled (blue), turned (orange), whitened (purple), without
    some directions (green).
    """
    keep = (table["fit"] == "held_out") & (table["renormalised"] == 1)
    groups = list(table[keep].groupby(["model", "dataset", "query"], sort=False))
    figure, axes = _panels(len(groups))
    names = list(dict.fromkeys(table["method"]))
    looks = _looks(names)
    for axis, ((model, dataset, query), part) in zip(axes, groups, strict=True):
        for name, line in part.groupby("method", sort=False):
            above = {"zorder": 5} if name == "none" else {}
            axis.plot(line["text_share"], line["ndcg_at_10"], **looks[name], **above)
        how = "the other modality asks" if query == "other" else "a second caption asks"
        axis.set(
            title=f"{model} on {dataset}\n{how}",
            xlabel="share of texts in the corpus",
            ylabel="NDCG@10",
        )
        axis.set_ylim(0, 1.06 * axis.get_ylim()[1])
    handles = [plt.Line2D([], [], **looks[name]) for name in names]
    figure.legend(handles, names, loc="outside lower center", ncols=5, frameon=False)
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
