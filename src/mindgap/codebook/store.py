"""Codes of held-out pairs, read from their file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mindgap.train.rows import read_rows


def read_codes(path: str | Path) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, Any]]:
    """Codes of both modalities, int16 (n, L) with -1 for padding, and the facts beside them."""
    about, found = read_rows(path)
    return (found[None]["a"], found[None]["b"]), about
