"""One style for all figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from PIL import Image

from mindgap.runtime.files import replacing

mpl.use("Agg")


def use_style() -> None:
    """Set fonts, sizes and grid for every figure."""
    sns.set_theme(context="paper", style="ticks", font_scale=0.95)
    mpl.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.dpi": 150,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 9,
            "pdf.fonttype": 42,
            "svg.hashsalt": "mindgap",
        }
    )


def label_ends(axis: Any, names: dict[str, Any], apart: float = 0.065) -> None:
    """Write names beside the right ends of their lines, in their colours, without overlap.

    Call it when the limits of the axis are final.

    Parameters
    ----------
    names
        Name -> line.
    apart
        Least distance of two names as a share of the height.
    """
    axis.get_ylim()  # settles automatic limits
    heights = {}
    for name, line in names.items():
        x, y = (np.asarray(values, float) for values in line.get_data())
        end = axis.transData.transform((x[np.isfinite(y)][-1], y[np.isfinite(y)][-1]))
        heights[name] = axis.transAxes.inverted().transform(end)[1]
    order = sorted(heights, key=heights.__getitem__)
    places = np.array([heights[name] for name in order])
    for k in range(1, len(places)):  # up, where a name would meet the one below it
        places[k] = max(places[k], places[k - 1] + apart)
    top = 1.0
    for k in reversed(range(len(places))):  # down, where the axis ends
        places[k] = min(places[k], top)
        top = places[k] - apart
    for name, place in zip(order, places, strict=True):
        look = {"color": names[name].get_color(), "va": "center", "fontsize": 7}
        axis.text(1.02, place, name, transform=axis.transAxes, **look)


def save_figure(figure: Any, *paths: str | Path) -> None:
    """Write a figure to each path, in the format of its suffix, without dates inside.

    A PNG gets a palette of 256 colours, a third of the size: a report holds many of them.
    """
    for path in paths:
        with replacing(path) as part:
            if part.suffix == ".pdf":
                figure.savefig(part, bbox_inches="tight", metadata={"CreationDate": None})
                continue
            figure.savefig(part, bbox_inches="tight")
            with Image.open(part) as picture:
                colours = picture.convert("RGB").quantize(
                    256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
                )
            colours.save(part, optimize=True)
