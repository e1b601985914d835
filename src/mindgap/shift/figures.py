"""Figures of the chapter `shift`; each reads tables and draws, and no claim reads a figure."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from mindgap.colours import MODALITY_COLOURS, modality_colours
from mindgap.style import use_style

_MANY = 8  # temperatures beyond which a landscape is a heat map and not a row of panels


def figure_landscape(points: pd.DataFrame, minima: pd.DataFrame, names: tuple[str, str]) -> Figure:
    """Fig 3b-d: loss over signed distance, one column per temperature, one row per way of batching.

    The dashed line is the untouched gap; a marker shows the minimum of each direction, hollow where
    it is an end of the grid; the dotted line is the loss of a model that knows nothing. Landscapes
    with the same batches share a row: dots on a coarse grid, lines on a fine one.

    Parameters
    ----------
    points, minima
        Tables of one model and data set, see `mindgap.shift.tables`.
    names
        Names of the two modalities, a then b.
    """
    use_style()
    counts = points.groupby("landscape")["inverse_temperature"].nunique()
    few = counts[counts <= max(_MANY, counts.min())].index
    points = points[points["landscape"].isin(few)]
    a, b = names
    colours = modality_colours([a, b])
    looks = {
        "ab": (f"{a} to {b}", colours[a]),
        "ba": (f"{b} to {a}", colours[b]),
        "mean": ("mean of both", "0.15"),
    }
    rows = list(points.groupby(["sides", "batch"], sort=False))
    most = points.groupby(["sides", "batch"])["inverse_temperature"].nunique().max()
    figure = plt.figure(figsize=(2.1 * most, 2.3 * len(rows) + 0.5), layout="constrained")
    grid = figure.add_gridspec(len(rows), 1)
    for place, ((sides, batch), group) in enumerate(rows):
        # A row has a panel for each of its own temperatures.
        scales = sorted(group["inverse_temperature"].unique(), reverse=True)
        line = grid[place].subgridspec(1, len(scales)).subplots(sharex=True, squeeze=False)[0]
        for axis, scale in zip(line, scales, strict=True):
            part = group[group["inverse_temperature"] == scale]
            _curves(axis, part, minima, looks)
            axis.set_title(rf"$1/\tau$ = {scale:.4g}")
            axis.ticklabel_format(axis="y", useOffset=False)  # an offset would meet the title
        which = "both modalities move" if sides == "both" else f"only {names[sides == 'b']} moves"
        whole = batch == group["n"].iloc[0]
        batches = "the whole set as one batch" if whole else f"batches of {batch}"
        line[0].set_ylabel(f"loss\n{batches}\n{which}")
    what = "signed distance of the centres (thin and dotted where they cross and the sign jumps)"
    handles = [plt.Line2D([], [], color=c, label=text) for text, c in looks.values()]
    handles += [
        plt.Line2D([], [], color="0.3", linestyle="--", label="untouched gap"),
        plt.Line2D([], [], color="0.3", marker="v", linestyle="", label="minimum"),
        plt.Line2D([], [], color="0.3", marker="v", mfc="white", linestyle="", label="at the edge"),
        plt.Line2D([], [], color="0.6", linestyle=":", label="chance, log(batch)"),
    ]
    columns = min(len(handles), 2 * most)
    look = {"ncols": columns, "frameon": False, "title": what, "title_fontsize": 9}
    figure.legend(handles=handles, loc="outside lower center", **look)
    return figure


def _curves(axis: plt.Axes, part: pd.DataFrame, minima: pd.DataFrame, looks: dict) -> None:
    steps = part.groupby("landscape", sort=False)["shift"].agg(
        lambda s: -s.nunique() / (np.ptp(s) or 1)  # how coarse a grid is
    )
    finest = steps.idxmin()
    for direction, (_, colour) in looks.items():
        for name in steps.index:
            curve = part[(part["landscape"] == name) & (part["direction"] == direction)]
            coarse = name != finest or len(steps) == 1
            # A distance is a norm with a sign: where the centres cross it jumps.
            x, y = curve["distance"].to_numpy(), curve["loss"].to_numpy()
            jump = np.flatnonzero(np.diff(np.sign(x))) + 1
            for k in jump:
                axis.plot(x[k - 1 : k + 1], y[k - 1 : k + 1], ":", color=colour, linewidth=0.7)
            axis.plot(
                np.insert(x, jump, np.nan),
                np.insert(y, jump, np.nan),
                color=colour,
                linewidth=0.6 if coarse else 1.1,
                alpha=0.9,
                marker="." if coarse else "",
                markersize=2,
            )
        where = minima[
            minima["landscape"].isin(steps.index)
            & (minima["direction"] == direction)
            & (minima["inverse_temperature"] == part["inverse_temperature"].iloc[0])
        ]
        lowest = where.loc[where["loss"].idxmin()]
        # Hollow at the edge of the grid: the loss may go on falling outside.
        face = "white" if lowest["at_edge"] else colour
        axis.plot(lowest["distance"], lowest["loss"], "v", color=colour, mfc=face, ms=4.5)
    axis.axhline(np.log(part["batch"].iloc[0]), color="0.6", linestyle=":", linewidth=0.8)
    untouched = part.loc[part["shift"].abs().idxmin(), "distance"]
    axis.axvline(untouched, color="0.3", linestyle="--", linewidth=0.8)


def figure_valley(points: pd.DataFrame, minima: pd.DataFrame) -> Figure:
    """Heat map of the symmetric loss over shift and temperature, with the valley drawn in.

    Colour is the loss above the lowest loss at the same temperature, so that temperatures can be
    compared; the line joins these lowest points. The landscape with the most temperatures is drawn.
    """
    use_style()
    counts = points.groupby("landscape")["inverse_temperature"].nunique()
    name = counts.idxmax()
    points = points[(points["landscape"] == name) & (points["direction"] == "mean")]
    minima = minima[(minima["landscape"] == name) & (minima["direction"] == "mean")]
    table = points.pivot(index="inverse_temperature", columns="shift", values="loss").sort_index()
    excess = table.sub(table.min(axis=1), axis=0)
    figure, axis = plt.subplots(figsize=(5.6, 4.0))
    most = float(np.quantile(excess.to_numpy(), 0.97)) or 1.0
    mesh = axis.pcolormesh(
        excess.columns,
        excess.index,
        excess,
        cmap=sns.color_palette("mako_r", as_cmap=True),
        norm=PowerNorm(0.5, 0, most),
        shading="nearest",
        rasterized=True,
    )
    valley = minima.sort_values("inverse_temperature")
    axis.plot(valley["shift"], valley["inverse_temperature"], color="#d9772b")
    for at_edge, face in ((0, "#d9772b"), (1, "white")):  # hollow: an end of the grid
        some = valley[valley["at_edge"] == at_edge]
        axis.plot(some["shift"], some["inverse_temperature"], "o", color="#d9772b", mfc=face, ms=3)
    axis.axvline(0, color="0.2", linestyle="--", linewidth=0.9)
    crossing = points.loc[points["distance"].abs().idxmin(), "shift"]
    axis.axvline(crossing, color="0.2", linestyle=":", linewidth=0.9)
    above = axis.get_xaxis_transform()
    # Each label grows away from the other line, so that close lines keep both.
    sides = ("right", "left") if crossing > 0 else ("left", "right")
    for where, text, side in zip((0, crossing), ("untouched", "centres cross"), sides, strict=True):
        axis.text(where, 1.01, f" {text} ", transform=above, ha=side, va="bottom", fontsize=7)
    axis.set(yscale="log", ylabel=r"inverse temperature $1/\tau$")
    axis.set_xlabel("shift along the unit gap vector (positive: closer)")
    figure.colorbar(mesh, label="loss above the minimum at that temperature", extend="max")
    figure.tight_layout()
    return figure


def figure_spheres(
    azimuth: pd.DataFrame,
    minima: pd.DataFrame,
    closed: pd.DataFrame,
    rings: pd.DataFrame,
    pictures: pd.DataFrame,
) -> Figure:
    """Fig 3e-g and Supp. 9: the points on the sphere, the loss over the tilt, the closed form.

    Parameters
    ----------
    azimuth, minima, closed, rings
        Tables of `mindgap.shift.spheres`.
    pictures
        Columns modality, pair, x, y, z: the mismatched world with its texts above the equator.
    """
    use_style()
    figure = plt.figure(figsize=(11.5, 6.6))
    _sphere(figure.add_subplot(2, 3, 1, projection="3d"), pictures)
    scales = sorted(azimuth["inverse_temperature"].unique())
    colours = dict(zip(scales, sns.color_palette("flare", len(scales)), strict=True))
    spacings = sorted(azimuth["spacing"].unique(), reverse=True)
    first = spacings[0]
    panels = [(first, "mismatched"), (first, "matched"), (spacings[-1], "mismatched")]
    for place, (spacing, pairing) in zip((2, 3, 5), panels, strict=True):
        axis = figure.add_subplot(2, 3, place)
        part = azimuth[(azimuth["spacing"] == spacing) & (azimuth["pairing"] == pairing)]
        for scale, curve in part.groupby("inverse_temperature"):
            axis.plot(curve["tilt"], curve["loss"], color=colours[scale], label=f"1/{scale:g}")
        if pairing == "mismatched":
            low = minima[(minima["spacing"] == spacing) & (minima["hump"] > 1e-9)]
            for sign in (-1, 1):
                axis.plot(sign * low["tilt_closed_form"], low["critical_loss"], "kv", ms=4)
        axis.set(title=f"{pairing} pairs, {spacing:g}° apart", xlabel="tilt of the texts (degrees)")
        axis.set(ylabel="loss", xticks=range(-90, 91, 30))
        if place == 3:
            axis.legend(title=r"$\tau$", frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    axis = figure.add_subplot(2, 3, 4)
    for spacing, style in zip(spacings, ("-", "--", ":", "-."), strict=False):
        part = closed[(closed["spacing"] == spacing) & (closed["pairing"] == "mismatched")]
        star = minima.loc[minima["spacing"] == spacing, "critical_scale"].iloc[0]
        label = f"{spacing:g}°: s* = {star:.4f}"
        axis.plot(part["effective_scale"], part["loss"], "0.2", linestyle=style, label=label)
        axis.axvline(star, color="#d9772b", linestyle=style, linewidth=0.9)
    axis.set(title="closed form, mismatched pairs", ylabel="loss")
    axis.set(xlabel=r"$s\,\cos$(tilt), with $s = 1/\tau$")
    axis.legend(framealpha=1, edgecolor="none", fontsize=7)
    axis = figure.add_subplot(2, 3, 6)
    scale = rings["inverse_temperature"].max()
    part = rings[rings["inverse_temperature"] == scale]
    for (labels, curve), style in zip(
        part.groupby("labels", sort=False), ("-", "-", "--"), strict=True
    ):
        axis.plot(curve["height"], curve["loss"], linestyle=style, label=labels)
    axis.set(title=rf"nine pairs on rings, $\tau$ = 1/{scale:g}", xlabel="height z of the images")
    axis.set(ylabel="loss")
    axis.legend(title="two close pairs", frameon=False, fontsize=7)
    figure.tight_layout()
    return figure


def _sphere(axis: plt.Axes, pictures: pd.DataFrame) -> None:
    u, v = np.mgrid[0 : 2 * np.pi : 37j, 0 : np.pi : 19j]
    globe = (np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v))
    axis.plot_wireframe(*globe, color="0.85", linewidth=0.3)
    for modality, part in pictures.groupby("modality", sort=False):
        colour = MODALITY_COLOURS[modality]
        axis.scatter(part["x"], part["y"], part["z"], color=colour, s=18, depthshade=False)
        for row in part.itertuples():
            lift = 0.1 if modality == "text" else -0.16
            axis.text(row.x, row.y, row.z + lift, str(row.pair), color=colour, fontsize=7)
    for _, pair in pictures.groupby("pair"):
        axis.plot(pair["x"], pair["y"], pair["z"], color="0.4", linewidth=0.6)
    axis.set_box_aspect((1, 1, 1), zoom=1.6)
    axis.view_init(elev=22, azim=30)
    axis.set_axis_off()
    axis.set_title("mismatched pairs: texts 1 and 2 are exchanged")
