"""Examples of codes: the items in which they fire most, and their media."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mindgap.config.codebook import Inputs
from mindgap.data.pairs import read_items


def choose_codes(concepts: pd.DataFrame, count: int) -> pd.DataFrame:
    """At most `count` concepts by decreasing F1 above always firing, each code once."""
    order = (concepts["f1"] - concepts["always"]).sort_values(ascending=False, kind="stable").index
    return concepts.loc[order].drop_duplicates("code").head(count).reset_index(drop=True)


def find_examples(
    codes: tuple[np.ndarray, np.ndarray], chosen: pd.DataFrame, count: int
) -> list[dict[int, list[int]]]:
    """Per modality: code -> different items, those with the largest share of its tokens first."""
    found = []
    for side in codes:
        own: dict[int, list[int]] = {}
        for code in chosen["code"]:
            share = (side == code).sum(1) / np.maximum((side >= 0).sum(1), 1)
            best = np.argsort(-share, kind="stable")[:count]
            own[int(code)] = [int(i) for i in best if share[i] > 0]
        found.append(own)
    return found


def read_media(
    pairs: str | Path, modality: str, items: Iterable[int], inputs: Inputs
) -> dict[int, Any]:
    """Item -> its frames (F, size, size, 3), its log-mel (T, mels), or its words.

    Tokens of another encoder cannot be shown: their items have an empty list of words.
    """
    from mindgap.codebook.inputs import decode_one

    if modality == "features":
        return {item: [] for item in items}
    return {
        item: decode_one(modality, value[modality], inputs)
        for item, value in read_items(pairs, [modality], items)
    }
