"""Held-out rows that a training leaves at the steps of its grid, to be measured afterwards.

One safetensors file: tensors `{step}/{name}` for each step, plain `{name}` for what belongs to no
step, and a header with the facts of the training, the list of its `steps` among them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
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


class Rows:
    """Rows of a training, read from their open file.

    Attributes
    ----------
    about
        Facts of the training, its `steps` among them.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self.about: dict[str, Any] = json.loads(file.metadata()["mindgap"])

    def at(self, step: int | None = None) -> dict[str, np.ndarray]:
        """Tensors of a step; without one, those that belong to no step."""
        start = "" if step is None else f"{step}/"
        names = [key for key in self._file.keys() if key.startswith(start)]  # noqa: SIM118
        names = [key.removeprefix(start) for key in names]
        return {n: self._file.get_tensor(start + n) for n in names if "/" not in n}


@contextmanager
def open_rows(path: str | Path) -> Iterator[Rows]:
    """Yield the rows of a training; a damaged file is a `UserError`."""
    with open_tensors(path) as file:
        yield Rows(file)
