"""What one codebook training reads: both modalities of its data sets, item beside item."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mindgap.codebook.inputs import Side, load_arrays, load_side
from mindgap.data.pairs import read_pairs
from mindgap.runtime.errors import UserError


@dataclass(frozen=True)
class Job:
    """What one training reads, and where the workflow wants what it leaves.

    Attributes
    ----------
    options
        Everything that decides its numbers.
    pairs
        Role (train, test) -> pairs file.
    arrays
        Role -> modality -> file of tokens of somebody else's encoder, in place of that medium.
    state
        File of the last good state, for a restart.
    device, threads
        Where and how.
    outputs
        Name (weights, codes, trajectory, final, retrieval) -> file.
    key
        Columns that name the training in its tables.
    """

    options: dict[str, Any]
    pairs: dict[str, str]
    arrays: dict[str, dict[str, str]]
    state: str
    device: str = "auto"
    threads: int = 1
    outputs: dict[str, str] = field(default_factory=dict)
    key: dict[str, Any] = field(default_factory=dict)


@dataclass
class Sides:
    """Both modalities of a data set, and which items share a source."""

    a: Side
    b: Side
    sources: np.ndarray | None = None
    labels: list[str] | None = None

    def __len__(self) -> int:
        return len(self.a)

    def batch(self, items: np.ndarray, captions: np.ndarray | None, device: Any) -> tuple:
        """Inputs of some items; `captions` are rows of the modality that has several an item."""
        rows = []
        for side in (self.a, self.b):
            several = captions is not None and (side.count != 1).any()
            rows.append(captions if several else side.first[items])
        return self.a.batch(rows[0], device), self.b.batch(rows[1], device)


def load_sides(job: Job, role: str, facts: dict[str, Any] | None) -> Sides:
    """Both modalities of the set of a role; `facts` are those of the training set."""
    options, sides = job.options, []
    for modality in options["modalities"]:
        path = job.arrays.get(role, {}).get(modality)
        known = facts and facts[modality]
        if path:
            sides.append(load_arrays(path))
        else:
            sides.append(
                load_side(job.pairs[role], modality, options["inputs"], known, job.threads)
            )
    if len(sides[0]) != len(sides[1]):
        raise UserError(
            f"{role}: {len(sides[0])} items of {options['modalities'][0]} stand beside "
            f"{len(sides[1])} of {options['modalities'][1]}; item i belongs to item i"
        )
    if options["captions"] == "last":
        for side in sides:
            side.first, side.count = side.first + side.count - 1, np.ones_like(side.count)
    labels = read_column(job.pairs[role], "label") if options["classes"] else None
    sources = None
    if options["sources"]:
        names = read_column(job.pairs[role], options["sources"])
        sources = np.unique(np.array(names, str), return_inverse=True)[1]
    return Sides(*sides, sources, labels)


def read_column(pairs: str | Path, column: str) -> list[str]:
    """One column of a pairs file as strings."""
    return [str(v) for rows in read_pairs(pairs, [column]) for v in rows[column].to_pylist()]
