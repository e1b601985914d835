"""Codes and columns of held-out pairs, read from their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mindgap.data.pairs import read_pairs
from mindgap.runtime.files import open_tensors


def read_codes(path: str | Path) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, Any]]:
    """Codes of both modalities, int16 (n, L) with -1 for padding, and the facts beside them."""
    with open_tensors(path) as file:
        about = json.loads(file.metadata()["mindgap"])
        return (file.get_tensor("a"), file.get_tensor("b")), about


def read_column(pairs: str | Path, column: str) -> list[str]:
    """One column of a pairs file as strings."""
    return [str(v) for rows in read_pairs(pairs, [column]) for v in rows[column].to_pylist()]
