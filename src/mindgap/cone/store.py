"""Embeddings of many initialisations in one safetensors file, with their history in the header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from mindgap.runtime.files import open_tensors, replacing


def save_towers(path: str | Path, tensors: Mapping[str, np.ndarray], about: dict[str, Any]) -> None:
    """Write `{inputs}/{modality}` -> float32 of shape (members, n, d), whole or not at all."""
    held = {name: np.ascontiguousarray(rows, np.float32) for name, rows in sorted(tensors.items())}
    with replacing(path) as part:
        save_file(held, part, {"about": json.dumps(about, sort_keys=True)})


def load_towers(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors of a file, and what its header says about them."""
    with open_tensors(path) as file:
        about = json.loads(file.metadata()["about"])
        return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118
