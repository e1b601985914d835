"""Processes that share the pairs of a batch (torchrun), or one that has them all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Group:
    """The processes of a run.

    Attributes
    ----------
    rank, size
        Number of this process, and how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def own(self, batch: int) -> np.ndarray:
        """Positions in a batch that this process embeds; all processes have equally many."""
        share = batch // self.size
        return np.arange(self.rank * share, (self.rank + 1) * share)

    def wait(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            torch.distributed.barrier()

    def gather(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows of all processes, in their order, without a gradient."""
        if self.size == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.size)]
        torch.distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    def gather_ragged(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows of all processes, in their order, any number of each, without a gradient."""
        if self.size == 1:
            return rows
        counts = torch.zeros(self.size, dtype=torch.long, device=rows.device)
        counts[self.rank] = len(rows)
        torch.distributed.all_reduce(counts)
        most = int(counts.max())
        padded = rows.new_zeros(most, *rows.shape[1:])
        padded[: len(rows)] = rows
        whole = self.gather(padded).view(self.size, most, *rows.shape[1:])
        return torch.cat([part[:n] for part, n in zip(whole, counts.tolist(), strict=True)])

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Sum over the processes the gradients of parameters that each applied to its own rows.

        Each process computes the whole loss and carries its own rows back, so that these gradients
        add up to the whole one; a parameter applied later, such as a temperature, has it already.
        """
        if self.size == 1:
            return
        for parameter in parameters:
            if parameter.grad is not None:
                torch.distributed.all_reduce(parameter.grad)


def join_group() -> Group:
    """The group that torchrun started this process in, or a group of one."""
    if "WORLD_SIZE" not in os.environ or os.environ["WORLD_SIZE"] == "1":
        return Group()
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    torch.distributed.init_process_group(backend)
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return Group(torch.distributed.get_rank(), torch.distributed.get_world_size())
