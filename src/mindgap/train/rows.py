"""Held-out rows that a training leaves at the steps of its grid, to be measured afterwards.

One safetensors file: tensors `{step}/{name}` for each step, plain `{name}` for what belongs to no
step, and a header with the facts of the training, its `steps` among them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mindgap.runtime.files import open_tensors, replacing


def grid(steps: int) -> list[int]:
    """Steps at which a training leaves rows: 0, then doubling, then the last."""
    doubling = [2**k for k in range(steps.bit_length()) if 2**k < steps]
    return [0, *doubling, steps]


def save_tensors(path: str | Path, tensors: dict[str, np.ndarray], about: dict[str, Any]) -> None:
    """Write tensors with a header of facts, whole or not at all."""
    from safetensors.numpy import save_file

    # One metadata key: the format keeps several in no fixed order, and bytes should repeat.
    header = {"mindgap": json.dumps(about, sort_keys=True)}
    with replacing(path) as part:
        save_file({k: np.asarray(v, order="C") for k, v in tensors.items()}, part, metadata=header)


def read_rows(
    path: str | Path,
) -> tuple[dict[str, Any], dict[int | None, dict[str, np.ndarray]]]:
    """Facts of a training, and step -> name -> tensor; None stands for what belongs to no step."""
    found: dict[int | None, dict[str, np.ndarray]] = {None: {}}
    with open_tensors(path) as file:
        about = json.loads(file.metadata()["mindgap"])
        for key in file.keys():  # noqa: SIM118
            step, _, name = key.rpartition("/")
            found.setdefault(int(step) if step else None, {})[name] = file.get_tensor(key)
    return about, found
