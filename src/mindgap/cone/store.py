"""Embeddings of many initialisations in one safetensors file, with their history in the header."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from mindgap.runtime.files import open_tensors, replacing

# How a name in the file says what a `Cloud` says.
_DRAWN, _UNNORMALISED, _POOLED = " captions drawn", " unnormalised", ".pooled"


@dataclass(frozen=True)
class Cloud:
    """Which rows of each initialisation are meant.

    Attributes
    ----------
    inputs
        `noise` or the name of a data set.
    modality
        The tower that made them.
    drawn
        Whether the inputs are the captions of the set, drawn as pictures.
    normalised
        False for a model without layer norms on pixels that are not standardised.
    pooled
        Whether they are taken before the projection into the shared space.
    """

    inputs: str
    modality: str
    drawn: bool = False
    normalised: bool = True
    pooled: bool = False

    @property
    def label(self) -> str:
        """Name of the inputs in the tables."""
        return self.inputs + _DRAWN * self.drawn

    def __str__(self) -> str:
        plain = _UNNORMALISED * (not self.normalised)
        return f"{self.label}{plain}/{self.modality}{_POOLED * self.pooled}"

    @classmethod
    def parse(cls, name: str) -> Cloud:
        """The cloud of a name in the file."""
        inputs, _, modality = name.rpartition("/")
        plain = inputs.removesuffix(_UNNORMALISED)
        bare, tower = plain.removesuffix(_DRAWN), modality.removesuffix(_POOLED)
        return cls(bare, tower, bare != plain, plain == inputs, tower != modality)


Clouds = Mapping[Cloud, np.ndarray]  # float32 of shape (members, n, d)


def as_built(clouds: Clouds) -> Iterator[tuple[Cloud, np.ndarray]]:
    """What the towers put out, without the changed models and what stands before a projection."""
    return ((c, stack) for c, stack in clouds.items() if c.normalised and not c.pooled)


def save_towers(path: str | Path, clouds: Clouds, about: dict[str, Any]) -> None:
    """Write all clouds, whole or not at all."""
    named = sorted((str(cloud), stack) for cloud, stack in clouds.items())
    held = {name: np.ascontiguousarray(stack, np.float32) for name, stack in named}
    with replacing(path) as part:
        save_file(held, part, {"about": json.dumps(about, sort_keys=True)})


def load_towers(path: str | Path) -> tuple[dict[Cloud, np.ndarray], dict[str, Any]]:
    """Return the clouds of a file, and what its header says about them."""
    with open_tensors(path) as file:
        about = json.loads(file.metadata()["about"])
        names = file.keys()
        return {Cloud.parse(name): file.get_tensor(name) for name in names}, about
