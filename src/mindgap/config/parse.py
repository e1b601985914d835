"""Check the plain values of a configuration and make typed options of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from mindgap.config.problems import nearest, sentences
from mindgap.config.root import Config
from mindgap.runtime.errors import refuse

#: What a run selects of the chapters that it can leave out as a whole.
_CHOICES = {"cone": ("cone",), "train": ("trainings", "experiments"), "codebook": ("codebooks",)}
#: What is selected -> where it is defined.
_DEFINITIONS = {
    "datasets": ("datasets",),
    "models": ("models",),
    "landscapes": ("shift", "landscapes"),
    "trainings": ("train", "trainings"),
    "experiments": ("train", "experiments"),
    "tasks": ("downstream", "tasks"),
    "audits": ("downstream", "audits"),
    "codebooks": ("codebook", "tasks"),
}


def parse_config(given: dict[str, Any]) -> Config:
    """Typed options of a merged configuration; all that is wrong with it is told at once.

    What is selected of a chapter that the run leaves out is emptied.
    """
    problems, config = [], None
    try:
        config = Config.model_validate(given)
    except ValidationError as error:
        problems = sentences(error, given, Config)
    refuse([*problems, *_undefined(given)])
    left_out = {
        group: []
        for chapter, groups in _CHOICES.items()
        if chapter not in config.select.chapters
        for group in groups
    }
    select = config.select.model_copy(update=left_out)
    return config.model_copy(update={"select": select})


def complete(config: Config) -> dict[str, Any]:
    """Plain values of all options, which give the same configuration when they are read again.

    Definitions that are laid over defaults keep what they were given, and no more.
    """
    full = config.model_dump()
    full["datasets"] = {name: one.given() for name, one in config.datasets.items()}
    for group, block, how in (
        ("models", config, {"exclude_none": True}),
        ("experiments", config.train, {"exclude_none": True}),
        ("trainings", config.train, {"exclude_unset": True}),
        ("variants", config.codebook, {"exclude_unset": True}),
        ("tasks", config.codebook, {"exclude_unset": True}),
    ):
        target = full if block is config else full[type(block).__name__.lower()]
        target[group] = {k: one.model_dump(**how) for k, one in getattr(block, group).items()}
    return full


def _undefined(given: dict[str, Any]) -> Iterator[str]:
    """Names that are selected and not defined, as far as the values have the right types."""
    for group, place in _DEFINITIONS.items():
        names, defined = _inside(given, "select", group), _inside(given, *place)
        for name in names if isinstance(names, list) else ():
            if isinstance(name, str) and name not in (defined or {}):
                near = nearest(name, defined or {})
                yield f"config: select.{group} names {name!r}, which is not defined{near}"


def _inside(given: Any, *keys: str) -> Any:
    for key in keys:
        given = given.get(key) if isinstance(given, dict) else None
    return given
