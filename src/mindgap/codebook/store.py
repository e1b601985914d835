"""Codes of held-out pairs, read from their file, and the tables that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mindgap.runtime.files import write_csv
from mindgap.train.rows import read_rows


def read_codes(path: str | Path) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, Any]]:
    """Codes of both modalities, int16 (n, L) with -1 for padding, and the facts beside them."""
    about, found = read_rows(path)
    return (found[None]["a"], found[None]["b"]), about


def write_tables(
    paths: Mapping[str, str], tables: dict[str, pd.DataFrame], key: dict[str, Any]
) -> None:
    """Write the tables of one codebook, with its key (task, variant, seed) as first columns."""
    for name, table in tables.items():
        for column, value in reversed(key.items()):
            table.insert(0, column, value)
        write_csv(paths[name], table)
