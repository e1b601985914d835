"""Embeddings on disk: one safetensors file per model and data set, its history in the header."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from mindgap.runtime.errors import UserError
from mindgap.runtime.files import open_tensors, replacing

_ITEMS = ".items"


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of one data set by one model.

    Attributes
    ----------
    rows
        Modality -> float32 of shape (n, d), as the encoder gives them: *not* normalised. Row i of
        one modality belongs to row i of another, unless `items` says otherwise.
    items
        Modality -> int64 of shape (m,): the item of each row, where items have several rows (say,
        five captions). Absent where row i is item i.
    about
        History: model, data set, checksums, seed, versions.
    """

    rows: dict[str, np.ndarray]
    items: dict[str, np.ndarray] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def index(self, modality: str) -> np.ndarray:
        """Item of each row of a modality, int64 of shape (m,)."""
        return self.items.get(modality, np.arange(len(self.rows[modality])))

    def first(self, modality: str) -> np.ndarray:
        """Row of each item, the first one where it has several: float32 of shape (n, d)."""
        if modality not in self.items:
            return self.rows[modality]
        _, firsts = np.unique(self.items[modality], return_index=True)
        return self.rows[modality][firsts]

    def last(self, modality: str) -> np.ndarray:
        """Row of each item, the last one where it has several: float32 of shape (n, d)."""
        if modality not in self.items:
            return self.rows[modality]
        items = self.items[modality]
        _, places = np.unique(items[::-1], return_index=True)
        return self.rows[modality][len(items) - 1 - places]

    def several(self, modality: str) -> bool:
        """Whether every item has more than one row."""
        return modality in self.items and bool(
            (np.unique(self.items[modality], return_counts=True)[1] > 1).all()
        )


def check_rows(rows: np.ndarray, name: str) -> None:
    """Refuse rows that no measure can use: wrong shape, too few, not finite, zero."""
    check_shape(rows, name)
    check_values(rows, name)


def check_shape(rows: np.ndarray, name: str, least: int = 2) -> None:
    """Refuse an array that is not of shape (n, d), with n >= `least` and d >= 2."""
    if rows.ndim != 2:
        raise UserError(
            f"{name}: expected an array of shape (n, d), one row per item, got {rows.shape}"
        )
    if len(rows) < least or rows.shape[1] < 2:
        raise UserError(
            f"{name}: an array of shape {rows.shape}; expected at least "
            f"{'two rows' if least == 2 else 'one row'} and two dimensions"
        )


def check_values(rows: np.ndarray, name: str, first: int = 0) -> None:
    """Refuse rows with NaN or infinity, and zero rows; row 0 is called `first`."""
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise UserError(
            f"{name}: NaN or infinity in {_these(~finite, first)}; remove those pairs from both "
            "modalities or embed them again"
        )
    zero = ~rows.any(axis=1)
    if zero.any():
        raise UserError(
            f"{name}: {_these(zero, first)} all zero and cannot be normalised; remove those pairs "
            "from both modalities or embed them again"
        )


def warn_if_equal(embeddings: Embeddings, name: str) -> None:
    """Say on the console which modalities are one vector, of which most measures tell nothing."""
    for modality, rows in embeddings.rows.items():
        if (rows == rows[0]).all():
            logging.warning("%s: all %d rows of %s are equal", name, len(rows), modality)


def _these(mask: np.ndarray, first: int = 0) -> str:
    """Name the first rows of a mask: "row 3", "rows 3, 5 and 2 more"."""
    where = np.flatnonzero(mask) + first
    if len(where) == 1:
        return f"row {where[0]}"
    more = f" and {len(where) - 3} more" if len(where) > 3 else ""
    return f"rows {', '.join(str(i) for i in where[:3])}{more}"


def check_pairs(embeddings: Embeddings, name: str) -> None:
    """Refuse embeddings whose modalities cannot be compared pair by pair."""
    for modality, rows in embeddings.rows.items():
        check_rows(rows, f"{name}, {modality}")
    lengths = {m: len(np.unique(embeddings.index(m))) for m in embeddings.rows}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{n} {m}" for m, n in lengths.items())
        raise UserError(
            f"{name}: unpaired lengths ({counts} rows); row i of each must be the same item"
        )
    widths = {m: rows.shape[1] for m, rows in embeddings.rows.items()}
    if len(set(widths.values())) > 1:
        sizes = ", ".join(f"{m} {d}" for m, d in widths.items())
        raise UserError(
            f"{name}: different dimensions ({sizes}); the gap is defined in one shared space"
        )


def join(parts: Iterable[Embeddings]) -> Embeddings:
    """Put parts of one set together, row after row; every part says which items it holds."""
    parts = list(parts)
    names = list(parts[0].rows)
    return Embeddings(
        {m: np.concatenate([part.rows[m] for part in parts]) for m in names},
        {m: np.concatenate([part.items[m] for part in parts]) for m in names},
        parts[0].about,
    )


def plain_items(items: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Drop an index that says nothing: where row i is item i."""
    return {m: i for m, i in items.items() if not np.array_equal(i, np.arange(len(i)))}


def save_embeddings(
    path: str | Path, embeddings: Embeddings, more: dict[str, Any] | None = None
) -> None:
    """Write a safetensors file, whole or not at all; `more` goes into the header too."""
    tensors = {m: np.ascontiguousarray(r, np.float32) for m, r in embeddings.rows.items()}
    tensors |= {m + _ITEMS: np.asarray(i, np.int64) for m, i in embeddings.items.items()}
    # One metadata key: the format keeps several in no fixed order, and bytes should repeat.
    header = {"mindgap": json.dumps({**embeddings.about, **(more or {})}, sort_keys=True)}
    with replacing(path) as part:
        save_file(tensors, part, metadata=header)


def load_embeddings(path: str | Path) -> Embeddings:
    """Read a file written by `save_embeddings`; modalities keep their order in `about`."""
    with open_tensors(path) as file:
        about = json.loads((file.metadata() or {}).get("mindgap", "{}"))
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    names = about.get("modalities") or sorted(k for k in tensors if not k.endswith(_ITEMS))
    return Embeddings(
        {m: tensors[m] for m in names},
        {m: tensors[m + _ITEMS] for m in names if m + _ITEMS in tensors},
        about,
    )
