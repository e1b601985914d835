"""Rows of embeddings from whatever a caller has: numpy arrays, torch tensors, memory maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mindgap.embed.store import check_shape, check_values
from mindgap.runtime.errors import UserError

_BLOCK = 1 << 16


def as_rows(value: Any, name: str, least: int = 2) -> np.ndarray:
    """Return a real array of shape (n, d) of finite rows none of which is zero, n >= `least`.

    Arrays stay as they are, memory maps too. A torch tensor is moved to the CPU, and a type that
    numpy lacks (bfloat16) becomes float32; torch is not imported for it.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if "bfloat16" in str(value.dtype) else value).numpy()
    elif not isinstance(value, np.ndarray):
        value = np.asarray(value)
    if not np.issubdtype(value.dtype, np.floating) and not np.issubdtype(value.dtype, np.integer):
        raise UserError(f"{name}: values of type {value.dtype}; embeddings are real numbers")
    check_shape(value, name, least)
    for start in range(0, len(value), _BLOCK):
        check_values(value[start : start + _BLOCK], name, start)
    return value


def named_rows(first: Any, second: Any = None) -> dict[str, np.ndarray]:
    """Modality -> rows, from two arrays (`image` and `text`) or from a mapping of two or more.

    Row i of each modality is the same item, and all have one dimension.
    """
    if isinstance(first, Mapping):
        if second is not None:
            raise UserError("give either one mapping of modalities to rows, or two arrays")
        given = dict(first)
    else:
        if second is None:
            raise UserError("one array only; give two, or a mapping of modalities to rows")
        given = {"image": first, "text": second}
    if len(given) < 2:
        raise UserError("one modality only; a gap lies between two or more")
    rows = {str(name): as_rows(value, str(name)) for name, value in given.items()}
    lengths = {name: len(value) for name, value in rows.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise UserError(
            f"different numbers of rows ({counts}); row i of each must be the same item"
        )
    widths = {name: value.shape[1] for name, value in rows.items()}
    if len(set(widths.values())) > 1:
        sizes = ", ".join(f"{name} {d}" for name, d in widths.items())
        raise UserError(f"different dimensions ({sizes}); the gap is defined in one shared space")
    return rows


def two_modalities(first: Any, second: Any = None) -> dict[str, np.ndarray]:
    """`named_rows` of exactly two modalities."""
    rows = named_rows(first, second)
    if len(rows) != 2:
        raise UserError(f"{len(rows)} modalities ({', '.join(rows)}); choose two of them")
    return rows
