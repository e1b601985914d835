"""From rows to the facts of a page: for arrays of one's own and for a model of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from mindgap.api.landscapes import INVERSE_TEMPERATURES, landscape
from mindgap.colours import modality_colours
from mindgap.explorer.page import Loss, pair_facts
from mindgap.explorer.states import Pairs, explore_pair
from mindgap.shift.tables import shift_grid

if TYPE_CHECKING:
    import pandas as pd

#: Pairs that a page shows; of more it shows a sample.
MOST = 2000
#: Share of the mixed corpus that shows its second modality.
TEXT_SHARE = 0.5


def usual_shifts() -> np.ndarray:
    """The grid of shifts where none is given."""
    return shift_grid(-1, 1.5, 0.1)


def sample_rows(n: int, seed: int) -> np.ndarray:
    """The rows that a page shows, in order."""
    return np.sort(np.random.default_rng(seed).permutation(n)[:MOST])


def page_facts(
    rows: dict[str, np.ndarray],
    losses: Callable[[str, str], list[Loss]],
    *,
    shown: np.ndarray,
    total: int,
    shifts: np.ndarray,
    seed: int,
    name: str = "",
    numbers: np.ndarray | None = None,
    captions: list[str] | None = None,
    thumbnails: list[str | None] | None = None,
    sounds: list[str | None] | None = None,
    text_share: float = TEXT_SHARE,
) -> dict[str, Any]:
    """What a page shows of some of the pairs of a set.

    Parameters
    ----------
    rows
        Modality -> unit rows (m, d) that are shown.
    losses
        What gives the grids of the loss of two modalities.
    shown, total
        (m,) numbers of these rows, and of how many they are.
    shifts
        Grid of shifts; no shift is added to it.
    name
        What is shown, such as a model and a data set.
    numbers, captions, thumbnails, sounds
        Class, caption, and data URIs of picture and sound of each row that is shown.
    """
    shifts, colours, pairs = np.union1d(shifts, [0.0]), modality_colours(list(rows)), []
    for a, b in combinations(rows, 2):
        grids = losses(a, b)
        both = Pairs.of(rows[a], rows[b], numbers, text_share=text_share, seed=seed)
        found = explore_pair(both, shifts)
        pairs.append(pair_facts((a, b), (colours[a], colours[b]), found, grids))
    return {
        "name": name,
        "rows": shown.tolist(),
        "total": total,
        "share": text_share,
        "captions": captions,
        "thumbnails": thumbnails,
        "sounds": sounds,
        "pairs": pairs,
    }


def sweep_losses(
    x: np.ndarray,
    y: np.ndarray,
    shifts: np.ndarray,
    scales: Sequence[float] = INVERSE_TEMPERATURES,
    batch: int | None = None,
) -> list[Loss]:
    """One grid of the loss of matched rows (n, d), at some shifts and at none."""
    shifts = np.union1d(shifts, [0.0])
    found = landscape(x, y, shifts=shifts, inverse_temperatures=scales, batch=batch)
    sizes = len(x), len(x) if batch is None else batch
    axes = found.shifts, found.inverse_temperatures, found.distance
    return [Loss("", *sizes, *axes, found.loss)]


def table_losses(points: pd.DataFrame) -> list[Loss]:
    """The grids of a table of `sweep_shift` in which both modalities move, as the page moves them.

    All grids, if in none of them both move.
    """
    points = points[points["direction"] == "mean"]
    if (points["sides"] == "both").any():
        points = points[points["sides"] == "both"]
    found = []
    for name, part in points.groupby("landscape", sort=False):
        loss = part.pivot(index="shift", columns="inverse_temperature", values="loss")
        loss = loss[part["inverse_temperature"].unique()]
        distance = part.groupby("shift")["distance"].first()
        sizes = int(part["n"].iloc[0]), int(part["batch"].iloc[0])
        axes = loss.index.to_numpy(), loss.columns.to_numpy()
        found.append(Loss(str(name), *sizes, *axes, distance.to_numpy(), loss.to_numpy()))
    return found
