"""What a restart needs: the last state of a training, and the held-out rows so far."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mindgap.runtime.errors import UserError
from mindgap.runtime.files import full_disk, replacing, write_text
from mindgap.train.rows import read_rows, save_tensors


class State:
    """Folder of an unfinished training.

    Each file is written beside its place and renamed, so that a kill or a full disk leaves the last
    good one.

    Parameters
    ----------
    every
        Seconds between two states.
    """

    def __init__(self, folder: str | Path, every: float = 30.0) -> None:
        self.folder, self.every = Path(folder), every
        self.file = self.folder / "last.pt"
        self._saved = time.monotonic()

    def claim(self, key: str) -> None:
        """Drop what another training has left here; `key` says which one this is."""
        record = self.folder / "key"
        if not record.exists() or record.read_text() != key:
            self.remove()
            write_text(record, key)

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self, step: int, rows: dict[str, np.ndarray]) -> None:
        """Keep the held-out rows of a step."""
        save_tensors(self.folder / f"{step}.safetensors", rows, {})

    def collect(
        self, path: str | Path, tensors: dict[str, np.ndarray], about: dict[str, Any]
    ) -> None:
        """Put the rows of all steps, and tensors of no step, into one file."""
        whole, steps = dict(tensors), []
        for part in sorted(self.folder.glob("[0-9]*.safetensors"), key=lambda part: int(part.stem)):
            steps.append(int(part.stem))
            whole |= {f"{part.stem}/{name}": z for name, z in read_rows(part)[1][None].items()}
        save_tensors(path, whole, {**about, "steps": steps})

    def due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._saved >= self.every

    def save(self, model: torch.nn.Module, optimiser: torch.optim.Optimizer, step: int) -> None:
        """Save model and optimiser as they are before a step."""
        state = {
            "step": step,
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
        }
        try:
            # Through a stream of our own, because the library's drops the reason of a failure.
            with replacing(self.file) as part, open(part, "wb") as stream:
                torch.save(state, stream)
        except (UserError, OSError, RuntimeError) as error:
            raise UserError(
                f"{self.file} cannot be written at step {step} ({full_disk(error) or error}); the "
                f"last saved state is that of step {self.last()}: make room and run again"
            ) from error
        self._saved = time.monotonic()

    def restore(self, model: torch.nn.Module, optimiser: torch.optim.Optimizer) -> int:
        """Load the last state, if there is one, and return the step to go on from."""
        if not self.file.exists():
            return 0
        state = self._read()
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        return state["step"]

    def last(self) -> int:
        """Step of the last state."""
        return int(self._read()["step"]) if self.file.exists() else 0

    def _read(self) -> dict[str, Any]:
        try:
            return torch.load(self.file, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged one fails in many ways, and a pickle is not opened
            why = str(error).partition("\n")[0].partition(". ")[0]
            raise UserError(
                f"{self.file} is not a readable state of a training ({why}); delete it and run "
                "again"
            ) from error
