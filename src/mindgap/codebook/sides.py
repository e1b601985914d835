"""Both modalities of a data set, item beside item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mindgap.codebook.inputs import Side, load_arrays, load_side
from mindgap.config.codebook import CodebookRecipe
from mindgap.data.pairs import read_column
from mindgap.runtime.errors import UserError


@dataclass
class Sides:
    """Both modalities of a data set, and the source of each item where sources are given."""

    a: Side
    b: Side
    sources: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.a)

    def batch(self, items: np.ndarray, captions: np.ndarray | None, device: Any) -> tuple:
        """Inputs of some items; `captions` are rows of the one with several per item."""
        rows = []
        for side in (self.a, self.b):
            several = captions is not None and (side.count != 1).any()
            rows.append(captions if several else side.first[items])
        return self.a.batch(rows[0], device), self.b.batch(rows[1], device)


def load_sides(
    pairs: str,
    arrays: dict[str, str],
    options: CodebookRecipe,
    facts: dict[str, Any] | None,
    threads: int,
) -> Sides:
    """Load both modalities of a set.

    Parameters
    ----------
    arrays
        Modality -> file of tokens of another encoder, in place of that medium.
    facts
        Those of the training set; None for the training set itself.
    """
    sides = []
    for modality in options.modalities:
        if modality in arrays:
            sides.append(load_arrays(arrays[modality]))
        else:
            known = facts and facts[modality]
            sides.append(load_side(pairs, modality, options.inputs, known, threads))
    if len(sides[0]) != len(sides[1]):
        one, other = options.modalities
        raise UserError(
            f"{pairs}: {len(sides[0])} items of {one} but {len(sides[1])} of {other}; the rows of "
            "an array must be those of the pairs, one per item"
        )
    if options.captions == "last":
        for side in sides:
            side.first, side.count = side.first + side.count - 1, np.ones_like(side.count)
    sources = None
    if options.sources:
        names = [str(name) for name in read_column(pairs, options.sources)]
        sources = np.unique(names, return_inverse=True)[1]
    return Sides(*sides, sources)
