"""A training as a job: what it reads and leaves, its restart, and the processes that share it.

Called as a module by torchrun, with the path of a JSON file that holds the job.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from mindgap.config.train import Recipe
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import sha256, write_json
from mindgap.train.parallel import Group, join_group
from mindgap.train.state import State


class Job(BaseModel):
    """What any training needs; a kind of training adds its own fields and `train`.

    Attributes
    ----------
    options, seed
        Everything that decides its numbers.
    pairs
        Role (train, test, zero_shot) -> pairs file.
    weights
        Weights of the trained model, in the folder of its checkpoint.
    rows
        Held-out rows at the steps of the grid, see `mindgap.train.rows`.
    about
        Facts that the checkpoint repeats.
    device, threads
        Where to compute, and threads of each process.
    save_every
        Seconds between the states that a restart goes on from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    options: Recipe
    seed: int
    pairs: dict[str, str]
    weights: str
    rows: str
    about: dict[str, Any]
    device: str
    threads: int
    save_every: float

    @property
    def folder(self) -> Path:
        """Folder of the checkpoint."""
        return Path(self.weights).parent

    @property
    def state(self) -> State:
        """State of this training, beside its checkpoint."""
        return State(self.folder.with_name(f".{self.folder.name}.states"), self.save_every)

    def recorded(self) -> dict[str, Any]:
        """Options and seed, as the checkpoint repeats them."""
        return {**self.options.model_dump(), "seed": self.seed}

    def settled(self) -> list[Any]:
        """What decides the numbers, as JSON can say it."""
        return [self.recorded(), [sha256(path) for path in self.pairs.values()]]

    def train(self, state: State, group: Group) -> None:
        """Train, and leave the checkpoint and the held-out rows."""
        raise NotImplementedError


def launch(job: Job) -> None:
    """Train, in as many processes as the options ask for; a restart goes on from the last state."""
    state, processes = job.state, job.options.processes
    made = json.dumps(job.settled(), sort_keys=True)
    state.claim(hashlib.sha256(made.encode()).hexdigest())
    if processes == 1:
        _train(job, Group())
    else:
        kind, spec = type(job), state.folder / "job.json"
        write_json(spec, [kind.__module__, kind.__name__, job.model_dump()])
        command = ["torch.distributed.run", f"--nproc-per-node={processes}", "--standalone"]
        # With the job's lock, which they hold on to if the job is killed and they are not.
        done = subprocess.run(
            [sys.executable, "-m", *command, "-m", __name__, str(spec)], close_fds=False
        )
        if done.returncode:
            raise UserError(f"one of {processes} training processes failed; the log above says why")
    state.remove()


def _train(job: Job, group: Group) -> None:
    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    job.train(job.state, group)


if __name__ == "__main__":
    try:
        module, name, fields = json.loads(Path(sys.argv[1]).read_text())
        _train(getattr(import_module(module), name)(**fields), join_group())
    except UserError as error:
        sys.exit(f"error: {error}")
