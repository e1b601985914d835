"""Where codes fire: cells of pictures and clips, frames of sounds, against the scenes' truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

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

    Only items with two objects, exactly one of which has the concept, are counted: there a code can
    be at the wrong place. `hits` is the share on the right object among those of the code's tokens
    that lie on one object alone; `on_object` the share of all its tokens on the right object, and
    `expected` that of all tokens of the same items; `background` the share of its tokens on neither
    object. A concept whose code never fires has a row without shares.

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
    two = [i for i, things in enumerate(objects) if len(things) == 2]
    codes, scenes = codes[two], [objects[i] for i in two]
    cover = cover_tokens(scenes, modality, shape, codes.shape[1], token_s)
    rows = []
    for one in named.itertuples():
        family, value = one.concept.split(": ")
        has = np.array([[o.get(family) == value for o in scene] for scene in scenes], bool)
        has = has.reshape(-1, 2)
        some = has[:, 0] != has[:, 1]
        if not some.any():
            continue
        at, valid, first = codes[some] == one.code, codes[some] >= 0, has[some, :1]
        left, right = cover[some, 0], cover[some, 1]
        own, other = np.where(first, left, right), np.where(first, right, left)
        hit, missed = int((at & own & ~other).sum()), int((at & other & ~own).sum())
        fired = int(at.sum())
        rows.append(
            {
                "concept": one.concept,
                "code": one.code,
                "hits": _share(hit, hit + missed),
                "pointed": hit + missed,
                "fired": fired,
                "on_object": _share(int((at & own).sum()), fired),
                "background": _share(int((at & ~own & ~other).sum()), fired),
                "expected": _share(int((own & valid).sum()), int(valid.sum())),
            }
        )
    columns = ["concept", "code", "hits", "pointed", "fired", "on_object", "background", "expected"]
    return pd.DataFrame(rows, columns=columns)


def cover_tokens(
    scenes: list[list[dict[str, Any]]],
    modality: str,
    shape: tuple[int, ...],
    length: int,
    token_s: float,
) -> np.ndarray:
    """Which tokens lie on which object: bool (n, 2, length) for n scenes of two objects."""
    if modality == "audio":
        time = (np.arange(length) + 0.5) * token_s
        slots = (time // TONE_S).clip(max=SLOTS - 1) == np.arange(2)[:, None]
        return np.broadcast_to(slots, (len(scenes), 2, length))
    cells = [
        [
            covered_cells(o["x"], o["y"], o["size"], MOTIONS[o["motion"]], shape[-1]).ravel()
            for o in scene
        ]
        for scene in scenes
    ]
    return np.tile(np.array(cells, bool).reshape(len(scenes), 2, -1), shape[0])


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
