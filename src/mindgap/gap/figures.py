"""Figures of the chapter `gap`; each reads tables and draws, and computes nothing."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from mindgap.colours import modality_colours
from mindgap.style import use_style

_ROWS = ("trained", "random")


def figure_projection(points: pd.DataFrame, gaps: pd.DataFrame, method: str) -> Figure:
    """Figure 1: both modalities in two dimensions, a thin line for each pair.

    Trained weights above random ones; models with both stand first, one above the other.

    Parameters
    ----------
    points
        Columns model, dataset, method, modality, item, x, y.
    gaps
        Rows of gap.csv: model, dataset, label, weights, modality_a, modality_b, gap, n.
    method
        Which projection to draw.
    """
    use_style()
    gaps = gaps.assign(column=gaps["label"] + "\n" + gaps["dataset"], method=method)
    # Models with one label share a cell, as the seeds of an encoder do: the first stands for them.
    place = ["column", "weights"]
    gaps["models"] = gaps.groupby(place)["model"].transform("size")
    gaps = gaps.drop_duplicates(place)
    gaps["alone"] = gaps.groupby("column")["weights"].transform("nunique") == 1
    gaps = gaps.sort_values("alone", kind="stable")
    rows = [own for row in _ROWS if len(own := gaps[gaps["weights"] == row])]
    count = max(map(len, rows))
    height = 2.45 * len(rows) + 0.4
    figure, axes = plt.subplots(
        len(rows), count, figsize=(2.1 * count, height), squeeze=False, layout="constrained"
    )
    points = points[points["method"] == method]
    colours = modality_colours([*gaps["modality_a"], *gaps["modality_b"]])
    for line, row in zip(axes, rows, strict=True):
        for axis, (_, cell) in zip(line, row.iterrows(), strict=False):
            own = (points["model"] == cell["model"]) & (points["dataset"] == cell["dataset"])
            _clouds(axis, points[own], cell, colours)
            axis.set(xticks=[], yticks=[], title=cell["column"])
            sns.despine(ax=axis, left=True, bottom=True)
        for axis in line[len(row) :]:
            axis.set_axis_off()
        line[0].set_ylabel(f"{row['weights'].iloc[0]} weights")
    handles = [
        plt.Line2D([], [], marker="o", linestyle="", markersize=4, color=c, label=m)
        for m, c in colours.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _clouds(axis: plt.Axes, points: pd.DataFrame, cell: pd.Series, colours: dict) -> None:
    ends = [
        points[points["modality"] == cell[side]].sort_values("item")[["x", "y"]].to_numpy()
        for side in ("modality_a", "modality_b")
    ]
    # All the lines are one picture in the PDF: a thousand paths would make it slow to open.
    lines = LineCollection(
        np.stack(ends, axis=1), colors="0.55", linewidths=0.3, alpha=0.25, rasterized=True
    )
    axis.add_collection(lines)
    for end, side in zip(ends, ("modality_a", "modality_b"), strict=True):
        axis.scatter(*end.T, s=3, linewidths=0, color=colours[cell[side]], rasterized=True)
    axis.margins(0.06)
    if cell["method"] == "svd":  # a length: without this a hair of spread looks as wide as the gap
        axis.set_aspect("equal", adjustable="datalim")
    drawn = f", {len(lines.get_segments())} drawn" if len(ends[0]) < cell["n"] else ""
    others = f"\n{cell['model']}, 1 of {cell['models']} models" if cell["models"] > 1 else ""
    axis.set_xlabel(f"gap {cell['gap']:.3f}   n = {cell['n']}{drawn}{others}", fontsize=7.5)


def figure_cosines(histograms: pd.DataFrame) -> Figure:
    """Histograms of cosines within each modality and across, one panel per row of gap.csv.

    Parameters
    ----------
    histograms
        Columns model, dataset, modality_a, modality_b, pairs, low, high, share: share of the pairs
        in each bin.
    """
    use_style()
    both = histograms["modality_a"] + ", " + histograms["modality_b"]
    several = both.groupby([histograms["model"], histograms["dataset"]]).transform("nunique") > 1
    pair = ("\n" + both).where(several, "")
    histograms = histograms.assign(
        panel=histograms["model"] + " on " + histograms["dataset"] + pair,
        density=histograms["share"] / (histograms["high"] - histograms["low"]),
        cosine=(histograms["low"] + histograms["high"]) / 2,
    )
    kinds = _order(histograms["pairs"])
    names = [kind.removeprefix("within ") for kind in kinds if kind.startswith("within ")]
    colours = {f"within {m}": c for m, c in modality_colours(names).items()}
    colours |= {"matched": "0.15", "unmatched": "0.6"}
    panels = histograms["panel"].nunique()
    grid = sns.FacetGrid(
        histograms, col="panel", col_wrap=min(4, panels), height=2.0, aspect=1.35, sharey=False
    )
    grid.map_dataframe(_steps, colours=colours)
    for axis in grid.axes.flat:
        axis.set(xlim=(-1.02, 1.02), yticks=[], ylabel="")
        axis.set_xlabel("cosine")
        axis.tick_params(labelbottom=True)
        sns.despine(ax=axis, left=True)
    for axis in list(grid.axes.flat)[:: min(4, panels)]:
        axis.set_ylabel("share of the pairs,\nscaled to its peak", fontsize=7.5)
    grid.set_titles("{col_name}")
    handles = [plt.Line2D([], [], color=colours[kind], label=kind) for kind in kinds]
    grid.figure.legend(handles=handles, loc="lower center", ncols=min(7, len(kinds)), frameon=False)
    grid.figure.tight_layout(rect=(0, 0.35 / grid.figure.get_figheight(), 1, 1))
    return grid.figure


def _order(kinds: pd.Series) -> list[str]:
    """Kinds of pairs in the order in which they are drawn and named: matched ones on top."""
    across = {"unmatched": 1, "matched": 2}
    return sorted(dict.fromkeys(kinds), key=lambda kind: across.get(kind, 0))


def _steps(data: pd.DataFrame, colours: dict[str, str], **_: object) -> None:
    """Draw every kind of pair at one height: a cone at initialisation is a spike of any height."""
    for kind in _order(data["pairs"]):
        part = data[data["pairs"] == kind]
        height = part["density"] / part["density"].max()
        plt.fill_between(
            part["cosine"], height, step="mid", color=colours[kind], alpha=0.25, linewidth=0
        )
        plt.step(part["cosine"], height, where="mid", color=colours[kind], linewidth=0.9)


#: Column of directions.csv -> title of its panel, colour map, and the ends of the map.
_PANELS = {
    "gap": ("gap", "cividis_r", (0, None)),
    "cosine_matched": ("mean cosine of matched rows", "cividis", (None, None)),
    "recall_at_1": ("R@1 (a tie is a miss)", "cividis", (0, None)),
}


def figure_modalities(table: pd.DataFrame) -> Figure:
    """Gap, matched cosine and R@1 of one model, for every query and gallery; dark is apart.

    Gap and cosine are the same both ways, R@1 is not: a row asks, a column answers.

    Parameters
    ----------
    table
        Rows of directions.csv of one model and data set.
    """
    use_style()
    names = list(dict.fromkeys([*table["query"], *table["gallery"]]))
    side = 0.62 * len(names) + 1.1
    figure, axes = plt.subplots(
        1, len(_PANELS), figsize=(len(_PANELS) * side, side), layout="constrained"
    )
    for axis, (column, (title, colours, (low, high))) in zip(axes, _PANELS.items(), strict=True):
        square = table.pivot(index="query", columns="gallery", values=column)
        square = square.reindex(names)[names]
        sns.heatmap(
            square,
            ax=axis,
            annot=True,
            fmt=".3f",
            annot_kws={"fontsize": 7},
            cmap=colours,
            vmin=low,
            vmax=high,
            square=True,
            cbar=False,
            linewidths=0.5,
        )
        axis.set_title(title, fontsize=8)
        ways = ("query", "gallery") if column.startswith("recall") else ("", "")
        axis.set(ylabel=ways[0], xlabel=ways[1])
        axis.tick_params(length=0, labelsize=7)
        axis.set_facecolor("0.93")
    facts = table.iloc[0]
    figure.suptitle(f"{facts['model']} on {facts['dataset']}, {facts['n']} items", fontsize=9)
    return figure
