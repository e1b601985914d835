"""Figure of units: what each code stands for in both modalities."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mindgap.codebook.unit_tables import NONE
from mindgap.codebook.units import label_shares
from mindgap.data.digits import WORDS
from mindgap.style import use_style

_NAMES = {"image": "pictures (cells)", "audio": "speech (frames)", "text": "text (words)"}


def sort_codes(labels: pd.DataFrame) -> tuple[list[int], dict[str, np.ndarray]]:
    """Codes by the digit that they stand for most, and P(label | code) of each modality so sorted.

    The digit is that of the largest share, averaged over both modalities where both use the code;
    tokens of no digit count towards the shares. Codes of one digit are in falling order.
    """
    codes = sorted(set(labels["code"]))
    shares = {}
    for side, some in labels.groupby("modality"):
        wide = some.pivot(index="label", columns="code", values="tokens")
        wide = wide.reindex(index=[*WORDS, NONE], columns=codes).fillna(0)
        shares[side] = label_shares(wide.to_numpy())
    known = [np.isfinite(one).all(0) for one in shares.values()]
    filled = sum(np.nan_to_num(one) for one in shares.values()) / np.maximum(sum(known), 1)
    digits = filled[: len(WORDS)]
    order = np.lexsort((-digits.max(0), digits.argmax(0)))
    return [codes[i] for i in order], {side: one[:, order] for side, one in shares.items()}


def figure_units(labels: pd.DataFrame, units: pd.DataFrame, crossings: pd.DataFrame) -> Figure:
    """P(label | code) in one panel per modality; outlined is the code of each digit."""
    use_style()
    codes, shares = sort_codes(labels)
    figure, axes = plt.subplots(
        1, 2, figsize=(13, 3.4), layout="constrained", sharey=True, squeeze=False
    )
    both = crossings[crossings["chosen_on"] == "both"]
    for axis, one in zip(axes[0], units.itertuples(), strict=True):
        drawn = axis.imshow(
            shares[one.modality], vmin=0, vmax=1, cmap="magma", aspect="auto", interpolation="none"
        )
        axis.set_facecolor("#d8d8d8")
        for row in both.itertuples():
            if row.code in codes:
                colour = "#4ad66d" if row.own else "#9aa0a6"
                at = codes.index(row.code) - 0.5, WORDS.index(row.word) - 0.5
                axis.add_patch(Rectangle(at, 1, 1, fill=False, edgecolor=colour, lw=1.1))
        axis.set_title(
            f"{_NAMES.get(one.kind, one.kind)}: PNMI {one.pnmi:.2f} (shuffled {one.pnmi_null:.2f})"
        )
        axis.set_xlabel("code, sorted by digit")
        axis.set_xticks([])
    axes[0][0].set_yticks(range(len(WORDS) + 1), [*WORDS, "no digit"])
    figure.colorbar(drawn, ax=axes, label="P(label | code)", fraction=0.02, pad=0.01)
    return figure
