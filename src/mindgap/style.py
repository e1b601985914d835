"""One style for all figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import seaborn as sns
from PIL import Image

from mindgap.runtime.files import replacing

mpl.use("Agg")

#: One colour a modality, the same in every figure; text is the one that all models share.
MODALITY_COLOURS = {
    "image": "#3b6fb6",
    "video": "#2a9d8f",
    "audio": "#8a5fbf",
    "protein": "#5a8f3c",
    "text": "#d9772b",
}
_MORE = ("#b0413e", "#c2a83e", "#d36ba6")


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


def modality_colours(modalities: list[str]) -> dict[str, str]:
    """Colour of each modality; names without a colour of their own share the spare ones."""
    unknown = [m for m in dict.fromkeys(modalities) if m not in MODALITY_COLOURS]
    spare = {m: _MORE[i % len(_MORE)] for i, m in enumerate(unknown)}
    return {m: MODALITY_COLOURS.get(m) or spare[m] for m in modalities}


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
