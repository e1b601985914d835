"""Figures of cones, depth and theorems; each reads tables and draws, no claim reads a figure."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mindgap.colours import modality_colours
from mindgap.style import label_ends, use_style

NAMES = {
    "resnet-18": "ResNet-18",
    "resnet-tiny": "tiny ResNet",
    "vit-b-32": "CLIP ViT-B/32",
    "vit-b-16": "CLIP ViT-B/16",
    "tiny": "tiny CLIP",
    "mlp": "MLP",
}
_BIASES = {
    "normal": "bias N(0, 1/width)",
    "uniform": "PyTorch's default bias",
    "none": "no bias",
}
#: Name, colour, line: curves that run together differ in their line.
_ACTIVATIONS = {
    "sigmoid": ("sigmoid", "#b0413e", "-"),
    "relu": ("ReLU", "#d9772b", "-"),
    "leaky_relu": ("leaky ReLU", "#6b4a2b", (0, (1, 2))),
    "gelu": ("GELU", "#2a9d8f", "-"),
    "quick_gelu": ("quick GELU", "#174f48", (0, (1, 2))),
    "elu": ("ELU", "#5a8f3c", "-"),
    "maxout": ("maxout", "#3b6fb6", (0, (4, 2))),
    "tanh": ("tanh", "#8a5fbf", "-"),
    "none": ("none (linear)", "#888888", "-"),
}


def panel_name(model: str, modality: str) -> str:
    """Name of an architecture and of its tower, for people."""
    name = NAMES.get(model, model)
    return f"{name}, {modality}" if modality != "vector" else name


def main_inputs(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of noise and of whole data sets: not those that only a few initialisations saw."""
    # Trained weights have members of their own and see no noise.
    most = table.groupby(["model", "weights"])["members"].transform("max")
    return table[table["members"] == most]


def figure_cones(histograms: pd.DataFrame, summary: pd.DataFrame) -> Figure:
    """Fig 2a: cosines of all pairs; columns are architectures, rows kinds of weights and inputs.

    A thin line is one initialisation; the number is the mean over all of them, with the lowest and
    the highest.

    Parameters
    ----------
    histograms
        Columns model, weights, inputs, modality, member, low, high, share.
    summary
        Rows of cone_summary.csv.
    """
    use_style()
    means = main_inputs(summary[(summary["statistic"] == "mean") & (summary["model"] != "mlp")])
    columns = list(dict.fromkeys(zip(means["model"], means["modality"], strict=True)))
    rows = list(dict.fromkeys(zip(means["weights"], means["inputs"], strict=True)))
    rows.sort(key=lambda row: (row[0] != "trained", row[1] == "noise"))
    figure, axes = plt.subplots(
        len(rows),
        len(columns),
        figsize=(2.5 * len(columns), 1.6 * len(rows) + 0.4),
        squeeze=False,
        sharex=True,
    )
    colours = modality_colours([modality for _, modality in columns])
    for line, (weights, inputs) in zip(axes, rows, strict=True):
        for axis, (model, modality) in zip(line, columns, strict=True):
            axis.set(yticks=[], ylim=(0, 1.3))
            sns.despine(ax=axis, left=True)
            key = {"model": model, "modality": modality, "weights": weights, "inputs": inputs}
            mean = _where(means, key)
            if mean.empty:
                axis.set_axis_off()
                continue
            _histogram(axis, _where(histograms, key), colours[modality])
            mean = mean.iloc[0]
            digits = 4 if mean["mean"] > 0.99 else 3
            text = f"{mean['mean']:.{digits}f}"
            if mean["members"] > 1:
                text += f" ({mean['low']:.{digits}f} to {mean['high']:.{digits}f})"
            axis.text(0.02, 0.97, text, transform=axis.transAxes, va="top", fontsize=8)
        line[0].set_ylabel(f"{weights} weights\n{inputs}")
    low = min(-0.05, histograms.loc[histograms["share"] > 0, "low"].quantile(0.01))
    for axis, (model, modality) in zip(axes[0], columns, strict=True):
        axis.set_title(panel_name(model, modality))
        axis.set_xlim(low, 1.01)
    for axis in axes[-1]:
        axis.set_xlabel("cosine of two embeddings")
    figure.tight_layout(rect=(0.03, 0, 1, 1))
    figure.supylabel("share of the pairs, each curve scaled to its peak", fontsize=7.5, x=0.01)
    return figure


def _histogram(axis: plt.Axes, bars: pd.DataFrame, colour: str) -> None:
    """Outline of all initialisations together, filled, and of each alone, all at one height."""
    bars = bars.reset_index(drop=True)
    width = (bars["high"] - bars["low"]).median()
    middle = (bars["low"] + bars["high"]) / 2
    bins = int(np.ceil((middle.max() - middle.min()) / width)) + 1
    step = width * max(1, round(bins / 30))  # few pairs in fine bins would be a comb
    start = middle.min() - 1.5 * step
    edges = np.arange(start, middle.max() + 2 * step, step)
    where = (edges[:-1] + edges[1:]) / 2
    for _, some in bars.groupby("member"):
        height, _ = np.histogram(middle[some.index], bins=edges, weights=some["share"])
        axis.plot(where, height / height.max(), color=colour, alpha=0.25, linewidth=0.5)
    height, _ = np.histogram(middle, bins=edges, weights=bars["share"])
    axis.fill_between(where, height / height.max(), color=colour, alpha=0.3, linewidth=0)
    axis.plot(where, height / height.max(), color=colour, linewidth=1.2)


def _where(table: pd.DataFrame, key: dict) -> pd.DataFrame:
    for column, value in key.items():
        table = table[table[column] == value]
    return table


def figure_depth(depth: pd.DataFrame, points: pd.DataFrame) -> Figure:
    """Fig 2b: mean cosine over depth, one panel per bias, one line per activation.

    Bands hold all seeds; dots are published single draws; dashed is the ReLU closed form for
    infinite width.

    Parameters
    ----------
    depth, points
        Tables depth.csv and depth_points.csv.
    """
    use_style()
    depth = depth[depth["study"] == "activations"]
    biases = [b for b in _BIASES if (depth["bias"] == b).any()]
    names = [a for a in _ACTIVATIONS if (depth["activation"] == a).any()]
    figure, axes = plt.subplots(
        1,
        len(biases),
        figsize=(3.3 * len(biases) + 0.6, 3.5),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, bias in zip(axes[0], biases, strict=True):
        here, drawn = depth[depth["bias"] == bias], {}
        for name in names:
            curve = here[here["activation"] == name]
            title, colour, line = _ACTIVATIONS[name]
            look = {"color": colour, "linestyle": line, "linewidth": 1.3}
            (drawn[title],) = axis.plot(curve["depth"], curve["mean"], **look)
            ends = (curve["low"], curve["high"])
            axis.fill_between(curve["depth"], *ends, color=colour, alpha=0.15, linewidth=0)
            if name == "relu":
                axis.plot(curve["depth"], curve["closed_form"], "k--", linewidth=0.8)
        single = points[(points["bias"] == bias) & (points["seeds_published"] == 1)]
        for name, some in single[single["activation"].isin(names)].groupby("activation"):
            colour = _ACTIVATIONS[name][1]
            axis.plot(some["depth"], some["value"], "o", color=colour, ms=2.6, mec="0.2", mew=0.4)
        axis.set(title=_BIASES[bias], xlabel="layers", ylim=(-0.03, 1.03))
    axes[0, 0].set_ylabel("mean cosine of all pairs")
    label_ends(axes[0, -1], drawn, 0.055)
    handles = [
        plt.Line2D([], [], color="k", linestyle="--", linewidth=0.8, label="ReLU, infinite width"),
        plt.Line2D([], [], color="0.6", marker="o", ls="", ms=3, mec="0.2", label="published"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def figure_blocks(depth: pd.DataFrame) -> Figure:
    """Which part of a network makes the cone: blocks by activation, and one activation by width.

    The closed form depends on the width only through the bias, which is N(0, 1/width) beside rows
    of length width^1/2.

    Parameters
    ----------
    depth
        Table depth.csv.
    """
    use_style()
    blocks, widths = (depth[depth["study"] == s] for s in ("blocks", "widths"))
    names = list(dict.fromkeys(blocks["activation"]))
    count = len(names) + 1
    figure, axes = plt.subplots(
        1, count, figsize=(2.9 * count, 3.4), sharey=True, squeeze=False, layout="constrained"
    )
    kinds = list(dict.fromkeys(blocks["block"]))
    colours = dict(zip(kinds, sns.color_palette("colorblind", len(kinds)), strict=True))
    for axis, name in zip(axes[0], names, strict=False):
        _lines(axis, blocks[blocks["activation"] == name], "block", colours)
        axis.set(title=f"{_ACTIVATIONS[name][0]}, width {blocks['width'].iloc[0]}")
    sizes = sorted(widths["width"].unique())
    tones = dict(zip(sizes, sns.color_palette("crest", len(sizes)), strict=True))
    _lines(axes[0, -1], widths, "width", tones)
    for size in sizes:
        curve = widths[widths["width"] == size]
        axes[0, -1].plot(curve["depth"], curve["closed_form"], "k--", linewidth=0.7)
    axes[0, -1].set(title=f"{_ACTIVATIONS[widths['activation'].iloc[0]][0]}, by width")
    for axis in axes[0]:
        axis.set(xlabel="layers", ylim=(-0.03, 1.03))
    axes[0, 0].set_ylabel("mean cosine of all pairs")
    closed = plt.Line2D([], [], color="k", ls="--", linewidth=0.8, label="closed form")
    kinds = {name.replace("_", " + "): colour for name, colour in colours.items()}
    sized = {f"width {size}": tone for size, tone in tones.items()}
    for side, lines, more in (("left", kinds, []), ("right", sized, [closed])):
        handles = [plt.Line2D([], [], color=colour, label=name) for name, colour in lines.items()]
        look = {"frameon": False, "ncols": 3, "loc": f"outside lower {side}"}
        figure.legend(handles=[*handles, *more], **look)
    return figure


def _lines(axis: plt.Axes, table: pd.DataFrame, by: str, colours: dict) -> None:
    for name, curve in table.groupby(by, sort=False):
        axis.plot(curve["depth"], curve["mean"], color=colours[name])
        ends = (curve["low"], curve["high"])
        axis.fill_between(curve["depth"], *ends, color=colours[name], alpha=0.2, linewidth=0)


def figure_theorems(growth: pd.DataFrame, variance: pd.DataFrame) -> Figure:
    """Theorem 1: share of layers in which the cosine grew; Theorem 2: variance by layer.

    Parameters
    ----------
    growth, variance
        Tables growth.csv and variance.csv.
    """
    use_style()
    ratios, widths = sorted(growth["ratio"].unique()), sorted(growth["width"].unique())
    colours = dict(zip(widths, sns.color_palette("flare", len(widths)), strict=True))
    count = len(ratios) + 1
    figure, axes = plt.subplots(2, count, figsize=(2.5 * count, 4.8), squeeze=False)
    for column, ratio in enumerate(ratios):
        top, bottom = axes[0, column], axes[1, column]
        for width in widths:
            some = growth[(growth["ratio"] == ratio) & (growth["width"] == width)]
            top.plot(some["cosine"], some["grew"], ".-", color=colours[width], label=str(width))
            bottom.plot(some["cosine"], some["after_mean"], ".-", color=colours[width])
        bottom.plot(some["cosine"], some["wide"], "k--", linewidth=0.8)
        bottom.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
        for axis in (top, bottom):
            axis.axvline(some["bound"].iloc[0], color="0.3", linestyle=":", linewidth=0.9)
            axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.05))
        top.set_title(f"r = {ratio:g}, bound {some['bound'].iloc[0]:.2f}")
        bottom.set_xlabel("cosine before")
    axes[0, 0].set_ylabel("Theorem 1: share of layers\nin which the cosine grew")
    axes[1, 0].set_ylabel("mean cosine after\n(dashed: infinite width)")
    axes[0, 0].legend(title="width", frameon=False, fontsize=7, loc="lower left")
    _decomposition(axes[0, -1], axes[1, -1], variance)
    figure.tight_layout()
    return figure


def _decomposition(top: plt.Axes, bottom: plt.Axes, variance: pd.DataFrame) -> None:
    layer, bound = variance["layer"], variance["beta"]
    top.plot(layer, variance["ratio"], "o-", color="#3b6fb6", ms=3, label="all units")
    top.plot(layer, variance["ratio_lowest"], ".:", color="#3b6fb6", label="lowest unit")
    top.plot(layer, bound, "k--", linewidth=0.9, label=r"bound $\beta$")
    top.set(
        title="Theorem 2", ylabel="share of variance due\nto the initialisation", ylim=(-0.03, 1.05)
    )
    top.legend(frameon=False, fontsize=7)
    bottom.plot(layer, 1 - variance["ratio"], "o-", color="#3b6fb6", ms=3)
    bottom.plot(layer, 1 - variance["ratio_lowest"], ".:", color="#3b6fb6")
    bottom.plot(layer, 1 - bound, "k--", linewidth=0.9)
    bottom.set(yscale="log", xlabel="layer", ylabel="one minus the same")
    for axis in (top, bottom):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
