"""Where codes fire: cells of pictures and clips, frames of sounds, against the scenes' truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mindgap.data.pairs import read_pairs
from mindgap.data.shapes import MOTIONS, SIZES, SLOTS, STEP, TONE_S

PLACED = ("image", "video", "audio")  # kinds of input whose tokens have a place or a time


def covered_cells(x: float, y: float, size: str, motion: tuple[int, int], side: int) -> np.ndarray:
    """Cells that an object touches on its way: bool (side, side), rows from the top."""
    radius, (dx, dy) = SIZES[size], motion
    edges = np.arange(side + 1) / side
    reach = [
        (c - radius - abs(d) * STEP, c + radius + abs(d) * STEP) for c, d in ((x, dx), (y, dy))
    ]
    touched = [(edges[1:] > low) & (edges[:-1] < high) for low, high in reach]
    return np.outer(touched[1], touched[0])


def localise(
    codes: np.ndarray,
    modality: str,
    shape: tuple[int, ...],
    objects: list[list[dict[str, Any]]],
    named: pd.DataFrame,
    token_s: float,
) -> pd.DataFrame:
    """How often the tokens of a concept's code lie on an object that has it.

    Only items of two objects of which exactly one has the concept count: there a code can be at
    the wrong place. `hits` is the share of the code's tokens on the right object among those of
    its tokens that lie on one object alone; `on_object` the share of its tokens on the right
    object, and `expected` that of any token of the same items.

    Parameters
    ----------
    codes
        int (n, L).
    shape
        Slices, rows and columns of the tokens of a picture or clip; (1, 1, L) of a sound.
    named
        Concepts with their codes, as `name_codes` returns them.
    token_s
        Time that a token of a sound stands for.
    """
    rows = []
    for one in named.itertuples():
        family, value = one.concept.split(": ")
        right = wrong = fired = on = area = tokens = 0
        for i, things in enumerate(objects):
            has = [thing.get(family) == value for thing in things]
            if len(things) != 2 or sum(has) != 1:
                continue
            masks = []
            for slot, thing in enumerate(things):
                if modality == "audio":
                    time = (np.arange(codes.shape[1]) + 0.5) * token_s
                    mask = (time // TONE_S).clip(max=SLOTS - 1) == slot
                else:
                    flat = covered_cells(
                        thing["x"], thing["y"], thing["size"], MOTIONS[thing["motion"]], shape[-1]
                    )
                    mask = np.tile(flat.ravel(), shape[0])
                masks.append(mask)
            own, other = (masks[0], masks[1]) if has[0] else (masks[1], masks[0])
            at, valid = codes[i] == one.code, codes[i] >= 0
            right += int((at & own & ~other).sum())
            wrong += int((at & other & ~own).sum())
            fired, on = fired + int(at.sum()), on + int((at & own).sum())
            area, tokens = area + int((own & valid).sum()), tokens + int(valid.sum())
        if right + wrong:
            rows.append(
                {
                    "concept": one.concept,
                    "code": one.code,
                    "hits": right / (right + wrong),
                    "pointed": right + wrong,
                    "fired": fired,
                    "on_object": on / fired,
                    "expected": area / tokens,
                }
            )
    return pd.DataFrame(
        rows, columns=["concept", "code", "hits", "pointed", "fired", "on_object", "expected"]
    )


def read_objects(pairs: str | Path) -> list[list[dict[str, Any]]]:
    """Objects of each scene."""
    return [o for rows in read_pairs(pairs, ["objects"]) for o in rows["objects"].to_pylist()]
