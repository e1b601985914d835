"""The overlay of a rehearsal: every size of a run, shrunk; nothing else is changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

#: Key of the configuration -> the largest value that a rehearsal takes. `*` stands for any name.
CAPS: dict[str, int] = {
    "threads": 1,
    "train.threads": 1,
    "codebook.threads": 1,
    "datasets.*.items": 100,
    "datasets.*.scenes": 100,
    "datasets.*.skip": 10,
    "datasets.*.size": 32,
    "datasets.*.frames": 4,
    "models.*.batch_size": 16,
    "models.*.steps": 6,
    "models.*.batch": 16,
    "embed.part_items": 32,
    "gap.bootstrap": 100,
    "gap.max_pairs": 40,
    "gap.projection.pairs": 40,
    "gap.projection.neighbours": 5,
    "shift.landscapes.*.batch": 10,
    "cone.initialisations.seeds": 2,
    "cone.initialisations.noise_items": 6,
    "cone.initialisations.items": 6,
    "cone.initialisations.few": 1,
    "cone.initialisations.batch_size": 6,
    "cone.initialisations.neighbours": 5,
    "cone.depth.seeds": 2,
    "cone.depth.inputs": 64,
    "cone.depth.blocks.seeds": 2,
    "cone.depth.widths.seeds": 2,
    "cone.theorems.growth.draws": 100,
    "cone.theorems.variance.draws": 20,
    "cone.theorems.variance.inputs": 20,
    "train.models.*.width": 16,
    "train.models.*.layers": 1,
    "train.models.*.heads": 2,
    "train.models.*.image_size": 16,
    "downstream.permutations": 100,
    "downstream.methods.mixed_queries": 40,
    "codebook.codes_shown": 3,
    "codebook.examples": 2,
}
#: Of every training, and of every codebook: of its defaults, its variants and its tasks.
_TRAINING = {"steps": 3, "batch": 12, "warmup": 1, "bootstrap": 100}
_CODEBOOK = {
    **{"steps": 4, "batch": 12, "warmup": 1, "start": 2, "measure_items": 30, "set_items": 30},
    **{"sets": 2, "max_pairs": 30, "codes": 16, "width": 16, "layers": 1, "dimension": 16},
    **{"code_dimension": 8, "inputs.size": 32, "inputs.frames": 4},
}
CAPS |= {f"train.{at}.{k}": v for at in ("defaults", "trainings.*") for k, v in _TRAINING.items()}
CAPS |= {
    f"codebook.{at}.{k}": v
    for at in ("defaults", "variants.*", "tasks.*")
    for k, v in _CODEBOOK.items()
}


def shrink(options: dict[str, Any], elsewhere: bool = False) -> dict[str, Any]:
    """Key -> value of each of a run's sizes that is larger than a rehearsal takes.

    A GPU is asked for only where there is one, or where jobs run `elsewhere`.
    """
    found: dict[str, Any] = {}
    for pattern, most in CAPS.items():
        for key, value in _values(options, pattern.split(".")):
            if isinstance(value, int) and not isinstance(value, bool) and value > most:
                found[key] = most
    here = elsewhere or shutil.which("nvidia-smi") is not None
    if str(options.get("device", "")).startswith("cuda") and not here:
        found["device"] = "auto"
    return found


def _values(tree: Any, keys: list[str], at: str = "") -> Iterator[tuple[str, Any]]:
    """Each place of a tree that a pattern fits, as a dotted key, and its value."""
    if not keys:
        yield at, tree
    elif isinstance(tree, dict):
        names = list(tree) if keys[0] == "*" else [keys[0]] if keys[0] in tree else []
        for name in names:
            yield from _values(tree[name], keys[1:], f"{at}.{name}" if at else str(name))


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """A mapping of dotted keys as a tree."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *path, last = key.split(".")
        here = tree
        for name in path:
            here = here.setdefault(name, {})
        here[last] = value
    return tree
