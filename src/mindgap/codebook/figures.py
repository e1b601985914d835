"""Figures of the chapter `codebook`, drawn from its tables."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from mindgap.style import use_style

_VECTORS = {
    "continuous": "#3b6fb6",
    "discrete": "#d9772b",
    "final": "#333333",
    "pooled": "#8a5fbf",
}
_NAMES = {"final": "sum", "pooled": "mean code"}


def figure_codebooks(
    codebooks: pd.DataFrame, trajectories: pd.DataFrame, usage: pd.DataFrame
) -> Figure:
    """One row of panels per task: retrieval, gap, use of the codes, gap over the steps."""
    use_style()
    tasks = list(dict.fromkeys(codebooks["task"]))
    figure, axes = plt.subplots(
        len(tasks), 4, figsize=(13, 3.3 * len(tasks) + 0.3), layout="constrained", squeeze=False
    )
    colours = _variant_colours(codebooks)
    for line, task in zip(axes, tasks, strict=True):
        own = codebooks[codebooks["task"] == task]
        _recall(line[0], own)
        _gaps(line[1], own)
        _use(line[2], usage[usage["task"] == task] if len(usage) else usage, own, colours)
        _steps(line[3], trajectories[trajectories["task"] == task], colours)
        line[0].set_title(f"{task.replace('_', ' - ')}: retrieval", loc="left", weight="bold")
    handles = [
        plt.Line2D([], [], color=colour, label=variant.replace("_", " "))
        for variant, colour in colours.items()
    ]
    figure.legend(
        handles=handles, loc="outside lower right", ncols=6, frameon=False, title="variants"
    )
    return figure


def _points(axis: Any, own: pd.DataFrame, column: str, colour: str, shift: float) -> None:
    """One point per seed and a bar at their mean, for each variant with the measure."""
    variants = list(dict.fromkeys(own["variant"]))
    for place, variant in enumerate(variants):
        values = own.loc[own["variant"] == variant, column].dropna().to_numpy()
        if len(values):
            at = place + shift
            axis.plot(np.full(len(values), at), values, "o", ms=3.5, color=colour, alpha=0.7)
            axis.plot([at - 0.1, at + 0.1], [values.mean()] * 2, color=colour, lw=2)
    names = [variant.replace("_", "\n") for variant in variants]
    many = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if len(variants) > 4 else {}
    axis.set_xticks(range(len(variants)), names, **many)
    axis.set_xlim(-0.5, len(variants) - 0.5)


def _variant_colours(rows: pd.DataFrame) -> dict[str, Any]:
    variants = list(dict.fromkeys(rows["variant"]))
    palette = sns.color_palette("colorblind" if len(variants) <= 10 else "husl", len(variants))
    return dict(zip(variants, palette, strict=True))


def _recall(axis: Any, own: pd.DataFrame) -> None:
    level = "class_" if "class_recall_at_1" in own else ""
    shown = {
        f"{level}recall_at_1": ("vector sum", "#333333"),
        f"{level}recall_at_1_codes": ("code distributions alone", "#8a5fbf"),
    }
    for i, (column, (name, colour)) in enumerate(shown.items()):
        if column in own:
            _points(axis, own, column, colour, 0.24 * i - 0.12)
            axis.plot([], [], "o", color=colour, ms=4, label=name)
    axis.set(ylabel=f"{'class-level ' if level else ''}R@1, mean of both ways", ylim=(0, None))
    axis.legend(frameon=False, fontsize="small")


def _gaps(axis: Any, own: pd.DataFrame) -> None:
    for i, (name, colour) in enumerate(_VECTORS.items()):
        column = "gap" if name == "final" else f"gap_{name}"
        if column in own:
            _points(axis, own, column, colour, 0.18 * (i - 1.5))
            axis.plot([], [], "o", color=colour, ms=4, label=_NAMES.get(name, name))
    axis.set(ylabel="gap of unit vectors", title="gap at the end", ylim=(0, 2))
    axis.legend(frameon=False, fontsize="small", ncols=2)


def _use(axis: Any, usage: pd.DataFrame, own: pd.DataFrame, colours: dict[str, Any]) -> None:
    variants = [
        v for v in dict.fromkeys(own["variant"]) if len(usage) and v in set(usage["variant"])
    ]
    edges = np.linspace(0, 1, 11)
    for variant in variants:
        some = usage[(usage["variant"] == variant) & usage["share_a"].notna()]
        heights = np.histogram(some["share_a"], edges)[0] / max(1, len(some))
        axis.stairs(heights, edges, color=colours[variant], lw=1.8)
    axis.set(
        xlabel="share of a code's use by the first modality",
        ylabel="share of the used codes",
        title="who uses the codes",
        xlim=(0, 1),
    )


def _steps(axis: Any, rows: pd.DataFrame, colours: dict[str, Any]) -> None:
    for vector, style in (("final", "-"), ("pooled", ":")):
        some = rows[rows["vector"] == vector]
        mean = some.groupby(["variant", "step"], sort=False)["gap"].mean()
        for variant in dict.fromkeys(some["variant"]):
            one = mean[variant].sort_index()
            axis.plot(one.index.to_numpy().clip(0.5), one, style, color=colours[variant], lw=1.3)
    axis.set(xscale="log", xlabel="step", ylabel="gap", ylim=(0, 2))
    axis.set_title("gap: sum (solid), mean code (dotted)")
    axis.set_xticks([0.5, 1, 10, 100], ["0", "1", "10", "100"])
    axis.minorticks_off()


def figure_codes(
    chosen: pd.DataFrame,
    meaning: pd.DataFrame,
    found: list[dict[int, list[int]]],
    media: list[dict[int, Any]],
    codes: tuple[np.ndarray, np.ndarray],
    about: dict[str, Any],
) -> Figure:
    """One row per code: its meaning in each modality, and examples that show where it fires."""
    use_style()
    count = max(len(items) for side in found for items in side.values())
    figure, axes = plt.subplots(
        len(chosen),
        2 * (count + 1),
        figsize=(1.35 * 2 * (count + 0.8), 1.35 * len(chosen)),
        width_ratios=[0.8, *[1] * count] * 2,
        layout="constrained",
        squeeze=False,
    )
    for axis in axes.ravel():
        axis.set_axis_off()
    for line, one in zip(axes, chosen.itertuples(), strict=True):
        for side in (0, 1):
            start, modality = side * (count + 1), about["modalities"][side]
            f1 = getattr(one, f"f1_{'ab'[side]}")
            top = meaning[(meaning["code"] == one.code) & (meaning["modality"] == "ab"[side])]
            names = "\n".join(
                f"{r.concept.partition(': ')[2]} {r.precision:.2f}" for r in top.itertuples()
            )
            head = f"code {one.code}\n{one.concept}" if side == 0 else modality
            line[start].text(
                0, 1, f"{head}\nF1 {f1:.2f}\n\n{names}", va="top", fontsize=7.5, linespacing=1.2
            )
            for axis, item in zip(line[start + 1 :], found[side][one.code], strict=False):
                fires = codes[side][item] == one.code
                kind, shape = about["kinds"][modality], about["shapes"][modality]
                _example(axis, kind, media[side][item], fires, shape)
    return figure


def _example(axis: Any, kind: str, value: Any, fires: np.ndarray, shape: Any) -> None:
    """Draw one medium, darker where the code does not fire; its words are in brackets."""
    if kind in ("image", "video"):
        slices, rows, columns = shape
        size, span = value.shape[1], len(value) // slices
        mask = fires[: slices * rows * columns].reshape(slices, rows, columns)
        light = np.kron(0.35 + 0.65 * mask, np.ones((1, size // rows, size // columns)))
        first = value[::span] * light[..., None] / 255
        gap = np.ones((size, 1, 3))
        strips = [part for frame in first for part in (frame, gap)][:-1]
        axis.imshow(np.concatenate(strips, 1), interpolation="nearest")
    elif kind == "audio":
        step = 2
        light = np.repeat(fires, step)[: len(value)]
        light = np.pad(light, (0, max(0, len(value) - len(light))))
        low, high = value.min(), value.max()
        scaled = (value.T - low) / max(high - low, 1e-9)
        picture = plt.get_cmap("magma")(scaled)[..., :3] * np.where(light, 1.0, 0.35)[None, :, None]
        axis.imshow(picture, origin="lower", aspect="auto", interpolation="nearest")
    else:
        text = "\n".join(f"[{w}]" if at else w for w, at in zip(value[:9], fires, strict=False))
        axis.text(0, 1, text, va="top", fontsize=5.5)
