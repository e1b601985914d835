"""Figures of many initialisations side by side: clouds, singular values, twins and gaps."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from mindgap.cone.figures import panel_name
from mindgap.style import use_style

_TOWER = ["model", "modality"]
#: Columns of twins.csv that name a case.
CASE = ["model", "weights", "modality", "case", "inputs_a", "inputs_b"]


def figure_scatter(scatter: pd.DataFrame, separation: pd.DataFrame) -> Figure:
    """Fig 2c: embeddings of the same inputs by many initialisations, one colour for each.

    Columns are architectures, rows sets of inputs. Below each panel: how often the nearest
    neighbour names the initialisation, and the mean cosine within and between them.

    Parameters
    ----------
    scatter
        Points of one method, see `mindgap.cone.separation`.
    separation
        Table separation.csv.
    """
    use_style()
    separation = separation.assign(row=separation["weights"] + " weights\n" + separation["inputs"])
    towers = list(dict.fromkeys(zip(separation["model"], separation["modality"], strict=True)))
    rows = list(dict.fromkeys(separation["row"]))
    figure, axes = plt.subplots(
        len(rows), len(towers), figsize=(2.4 * len(towers), 2.7 * len(rows)), squeeze=False
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for _, cell in separation.iterrows():
        i, j = rows.index(cell["row"]), towers.index((cell["model"], cell["modality"]))
        here = scatter
        for key in ("model", "weights", "inputs", "modality"):
            here = here[here[key] == cell[key]]
        axis = axes[i, j]
        axis.set_axis_on()
        palette = np.array(sns.color_palette("husl", int(cell["members"])))
        # Neighbours in number are not neighbours in colour.
        palette = palette[np.argsort(np.arange(len(palette)) * 0.618 % 1)]
        axis.scatter(
            here["x"],
            here["y"],
            s=9 if len(here) < 1500 else 4,
            linewidths=0,
            color=palette[here["member"]],
            rasterized=True,
        )
        axis.set(xticks=[], yticks=[])
        axis.margins(0.06)
        sns.despine(ax=axis, left=True, bottom=True)
        text = (
            f"named {cell['naming']:.0%}, large values {cell['large_values']:.0f}\n"
            f"within {cell['within_cosine']:.3f}, between {cell['between_cosine']:.3f}"
        )
        axis.set_xlabel(text, fontsize=7.5)
        # Titles stand over the first panel of a column, names before the first of a row.
        if all(not a.has_data() or a is axis for a in axes[: i + 1, j]):
            axis.set_title(panel_name(cell["model"], cell["modality"]))
        if j == 0:
            axis.set_ylabel(cell["row"])
    figure.tight_layout()
    return figure


def figure_spectra(spectra: pd.DataFrame, separation: pd.DataFrame) -> Figure:
    """Singular values of all embeddings of many initialisations, one panel per architecture.

    The dashed line stands one before the number of initialisations: that many values are large
    where each is a tight cloud.
    """
    use_style()
    towers = list(spectra.groupby(_TOWER, sort=False))
    figure, axes = plt.subplots(
        1, len(towers), figsize=(2.5 * len(towers), 2.7), squeeze=False, layout="constrained"
    )
    names = list(dict.fromkeys(spectra["weights"] + ", " + spectra["inputs"]))
    colours = dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))
    for axis, ((model, modality), group) in zip(axes[0], towers, strict=True):
        for (weights, inputs), some in group.groupby(["weights", "inputs"], sort=False):
            name = f"{weights}, {inputs}"
            share = some["value"] / some["value"].max()
            axis.plot(some["rank"], share, ".-", color=colours[name], ms=3, lw=0.9)
        here = separation[(separation["model"] == model) & (separation["modality"] == modality)]
        for members in here["members"].unique():
            axis.axvline(members - 0.5, color="0.3", linestyle="--", linewidth=0.8)
        axis.set(title=panel_name(model, modality), xlabel="rank", ylim=(0, 1.05))
    axes[0, 0].set_ylabel("singular value over the first")
    handles = [plt.Line2D([], [], color=c, marker=".", label=n) for n, c in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return figure


def figure_twins(twins: pd.DataFrame, gaps: pd.DataFrame) -> Figure:
    """What moves two clouds apart, data or initialisation; and the gap of two random towers.

    Left: the gap between two clouds by case, through one initialisation and through two. Right:
    the gap of CLIP's two towers over the size of the embedding, as built, and without any
    normalisation.
    """
    use_style()
    figure, axes = plt.subplots(
        1,
        2,
        figsize=(9.4, 0.3 * len(twins.drop_duplicates(CASE)) + 1.6),
        width_ratios=(1, 1),
    )
    _cases(axes[0], twins)
    _sizes(axes[1], gaps)
    figure.tight_layout()
    return figure


def _cases(axis: plt.Axes, twins: pd.DataFrame) -> None:
    order = list(twins.groupby(CASE, sort=False))
    for place, ((model, _, modality, case, a, _), group) in enumerate(order):
        for row in group.itertuples():
            one = row.initialisations == 1
            colour, shift = ("#d9772b", -0.12) if one else ("#3b6fb6", 0.12)
            axis.plot(
                [row.gap_low, row.gap_high], [place + shift] * 2, color=colour, lw=1.2, alpha=0.6
            )
            axis.plot(row.gap, place + shift, "o", color=colour, ms=4)
        data = f" ({a})" if case == "the same inputs" else ""
        axis.text(
            -0.03,
            place,
            f"{panel_name(model, modality)}: {case}{data}",
            ha="right",
            va="center",
            fontsize=7.5,
            transform=axis.get_yaxis_transform(),
        )
    axis.set(ylim=(len(order) - 0.5, -0.5), yticks=[], xlabel="distance of the two centroids")
    axis.set_xlim(left=0)
    for colour, label in (("#d9772b", "one initialisation"), ("#3b6fb6", "two initialisations")):
        axis.plot([], [], "o", color=colour, label=label, ms=4)
    axis.legend(
        frameon=False, fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, 1.08), ncols=2
    )


def _sizes(axis: plt.Axes, gaps: pd.DataFrame) -> None:
    gaps = gaps.astype({"size": int, "gap": float})  # an empty table has no types
    sets = list(gaps.groupby(["model", "inputs"], sort=False))
    colours = sns.color_palette("colorblind", len(sets))
    for k, ((model, inputs), group) in enumerate(sets):
        label = f"{panel_name(model, 'vector')}, {inputs}"
        line = (
            group[group["variant"] == "projected"]
            .groupby("size")["gap"]
            .agg(["mean", "min", "max"])
        )
        axis.plot(line.index, line["mean"], "o-", color=colours[k], ms=3, label=label)
        axis.fill_between(line.index, line["min"], line["max"], color=colours[k], alpha=0.15, lw=0)
        for variant, marker in (("built", "s"), ("unnormalised", "x")):
            some = group[group["variant"] == variant]
            if len(some):
                size = some["size"].iloc[0] * 1.05 ** (k + 1)
                axis.errorbar(
                    size,
                    some["gap"].mean(),
                    [
                        [some["gap"].mean() - some["gap"].min()],
                        [some["gap"].max() - some["gap"].mean()],
                    ],
                    fmt=marker,
                    color=colours[k],
                    ms=5,
                    lw=0.8,
                )
    for marker, label in (("s", "as built"), ("x", "no normalisation")):
        axis.plot([], [], marker, color="0.3", label=label, ms=5)
    axis.set(xlabel="size of the embedding", ylabel="gap between the two towers", ylim=(0, None))
    if len(sets):
        axis.set_xscale("log", base=2)
        ticks = sorted(gaps["size"].unique())
        axis.set_xticks(ticks, [str(t) for t in ticks])
    axis.legend(frameon=False, fontsize=7.5, loc="lower left")
