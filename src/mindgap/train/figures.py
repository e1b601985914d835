"""Figures of the chapter `train`, drawn from its tables."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from mindgap.style import use_style

_PANELS = {
    "gap": "gap on held-out pairs",
    "recall_at_1_ab": "R@1, picture to text",
    "loss": "cross-entropy of all held-out pairs",
    "logit_scale": "logit scale, 1/tau",
}
_NAMES = {
    "gap": "gap",
    "recall_at_1_ab": "R@1, picture to text",
    "recall_at_1_ba": "R@1, text to picture",
    "zero_shot_accuracy": "zero-shot accuracy",
    "zero_shot_gap": "zero-shot gap",
    "inverse_temperature": "1/tau",
    "wrong_captions": "share of wrong captions",
}


def figure_trajectories(rows: pd.DataFrame, pairs: int) -> Figure:
    """Measures over the steps, on a log axis whose left end is the untrained model.

    Each definition has one hue, shared by its seeds; varied values are shades of it, the darkest
    one last. Dotted is chance among `pairs` held-out pairs.
    """
    use_style()
    rows = rows.assign(place=rows["step"].clip(lower=0.5), group=_without_seed(rows))
    colours = _shades(rows)
    chance = {"recall_at_1_ab": 1 / pairs, "loss": np.log(pairs)}
    figure, axes = plt.subplots(1, 4, figsize=(11, 3.2), layout="constrained")
    for axis, (column, title) in zip(axes, _PANELS.items(), strict=True):
        for _, one in rows.groupby("training", sort=False):
            colour = colours[one["group"].iloc[0]]
            axis.plot(one["place"], one[column], color=colour, lw=1.3)
        if column in chance:
            axis.axhline(chance[column], color="0.5", lw=0.9, ls=":")
        axis.set(xscale="log", title=title, xlabel="step")
        if column in ("loss", "logit_scale"):
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter(ScalarFormatter())
        axis.set_xticks([0.5, 1, 10, 100], ["0", "1", "10", "100"])
        axis.minorticks_off()
    handles = [plt.Line2D([], [], color=colour) for colour in colours.values()]
    handles.append(plt.Line2D([], [], color="0.5", ls=":"))
    names = [*(name.replace("_", " ") for name in colours), "chance"]
    figure.legend(handles, names, loc="outside lower center", ncols=5, frameon=False)
    return figure


def _without_seed(rows: pd.DataFrame) -> pd.Series:
    """Name of each training without its seed: a definition, or one varied value of it."""
    ends = "_s" + rows["seed"].astype(str)
    return pd.Series(
        [name.removesuffix(end) for name, end in zip(rows["training"], ends, strict=True)],
        rows.index,
    )


def _shades(rows: pd.DataFrame) -> dict[str, Any]:
    """Colour of each group: one hue per definition, in shades where it has several groups."""
    definitions, found = list(dict.fromkeys(rows["definition"])), {}
    hues = sns.color_palette("colorblind", len(definitions))
    for definition, hue in zip(definitions, hues, strict=True):
        groups = list(dict.fromkeys(rows.loc[rows["definition"] == definition, "group"]))
        dark = tuple(0.25 * part for part in hue)
        light = tuple(1 - 0.55 * (1 - part) for part in hue)
        several = sns.blend_palette([light, hue, dark], len(groups))
        found |= dict(zip(groups, several if len(groups) > 1 else [hue], strict=True))
    return found


def figure_experiments(table: pd.DataFrame, experiments: dict[str, dict[str, Any]]) -> Figure:
    """One row per experiment: its measures over the varied option, or by definition."""
    use_style()
    shown = ["gap", "recall_at_1_ab", "recall_at_1_ba", "zero_shot_accuracy", "zero_shot_gap"]
    shown = [m for m in shown if m in table and table[m].notna().any()]
    figure, axes = plt.subplots(
        len(experiments),
        len(shown),
        figsize=(2.6 * len(shown), 2.4 * len(experiments)),
        layout="constrained",
        squeeze=False,
    )
    for line, (name, one) in zip(axes, experiments.items(), strict=True):
        for axis, measure in zip(line, shown, strict=True):
            if "over" in one:
                _trend(axis, table, one, measure)
            else:
                _contrast(axis, table, one, measure)
            axis.set(ylabel=_NAMES[measure], title="")
            axis.set_ylim(0, 1.06 * axis.get_ylim()[1])
        line[0].set_title(name.replace("_", " "), loc="left", weight="bold")
    return figure


def _trend(axis: Any, table: pd.DataFrame, one: dict[str, Any], measure: str) -> None:
    chosen = table[table["definition"].isin(one["trainings"])].sort_values(one["over"])
    for _, group in chosen.groupby("seed"):
        axis.plot(group[one["over"]], group[measure], marker="o", ms=4, lw=1, color="#3b6fb6")
        if measure == "gap":
            band = [group["gap"] - group["gap_low"], group["gap_high"] - group["gap"]]
            axis.errorbar(
                group[one["over"]],
                group["gap"],
                np.clip(band, 0, None),
                fmt="none",
                color="#3b6fb6",
                lw=1,
            )
    values = sorted(chosen[one["over"]].unique())
    if min(values) > 0 and max(values) / min(values) > 10:
        axis.set_xscale("log")
    axis.set_xticks(values, [f"{v:g}" for v in values])
    axis.minorticks_off()
    axis.set_xlabel(_NAMES.get(one["over"], one["over"]))


def _contrast(axis: Any, table: pd.DataFrame, one: dict[str, Any], measure: str) -> None:
    order = [one["plain"], *one["others"]]
    rng = np.random.default_rng(0)  # jitter, which means nothing
    for place, definition in enumerate(order):
        values = table.loc[table["definition"] == definition, measure].to_numpy()
        jitter = rng.uniform(-0.12, 0.12, len(values))
        axis.plot(place + jitter, values, "o", ms=4, color="#d9772b", alpha=0.8)
        axis.plot([place - 0.25, place + 0.25], [values.mean()] * 2, color="black", lw=1.5)
    axis.set_xticks(range(len(order)), order)
    axis.set_xlim(-0.5, len(order) - 0.5)
