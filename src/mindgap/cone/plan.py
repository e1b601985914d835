"""What the chapter makes of a configuration: towers, their inputs, figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mindgap.config.base import Options
from mindgap.config.cone import Initialisations
from mindgap.config.problems import nearest
from mindgap.config.root import Config
from mindgap.data.definitions import modalities
from mindgap.data.sources import named_checkpoints

_INITIALISATIONS = "initialisations"


def initialisations(config: Config) -> Initialisations | None:
    """Options of the initialisations; None where the run leaves them out."""
    chosen = _INITIALISATIONS in config.select.cone
    return config.cone.initialisations if chosen else None


def some_options(config: Config, kind: type[Options]) -> dict[str, Any]:
    """The options that concern one rule, so that a change of others does not re-run it.

    Another architecture, which is a job of its own, re-runs none of the others.
    """
    options = initialisations(config)
    return options.model_dump(include={*kind.model_fields} - {"models"}) if options else {}


def towers(config: Config) -> list[str]:
    """Architectures, the random network on rows of noise, and trained models of a run."""
    options = initialisations(config)
    return [*options.models, "mlp", *options.trained] if options else []


def checkpoints(config: Config, tower: str) -> list[dict[str, Any]]:
    """Checkpoints of a tower of trained weights: folders, or names on the hub."""
    options = initialisations(config)
    trained = options.trained.get(tower) if options else None
    return named_checkpoints(trained.checkpoints, trained.revision) if trained else []


def cone_datasets(config: Config) -> dict[str, str]:
    """Data sets that the towers embed, second drawings last -> the key that names each."""
    options = initialisations(config)
    if not options:
        return {}
    where = f"cone.{_INITIALISATIONS}"
    drawings = {
        other: f"{where}.drawings.{name}"
        for name, other in options.drawings.items()
        if name in options.datasets
    }
    return {name: f"{where}.datasets" for name in options.datasets} | drawings


def cone_problems(config: Config) -> Iterator[str]:
    """Sets that the towers cannot embed, and trained models whose names are taken."""
    for name, key in cone_datasets(config).items():
        if name not in config.datasets:
            near = nearest(name, config.datasets)
            yield f"config: {key} names {name!r}, which is not defined{near}"
        elif not {"image", "text"} <= set(modalities(config.datasets[name].given())):
            yield f"config: {key} names {name!r}, which has no pictures with captions"
    options = initialisations(config)
    for name in options.trained if options else ():
        if name in (*options.models, "mlp"):
            yield (
                f"config: cone.{_INITIALISATIONS}.trained: {name!r} is the name of an "
                "architecture; rename it"
            )


def tower_datasets(config: Config, tower: str) -> list[str]:
    """Data sets of one tower: none for noise alone, no second drawings for trained weights."""
    options = initialisations(config)
    if tower == "mlp":
        return []
    others = options.drawings.values() if tower in options.trained else []
    return [name for name in cone_datasets(config) if name not in others]


def cone_figures(config: Config) -> dict[str, list[str]]:
    """Figures of a run -> the tables that each is drawn from."""
    methods = config.cone.initialisations.methods
    figures = {
        _INITIALISATIONS: {
            "fig2a": ["histograms", "cone_summary"],
            "twins": ["twins", "gaps"],
            "spectra": ["spectra", "separation"],
            **{f"fig2c_{method}": ["scatter", "separation"] for method in methods},
        },
        "depth": {"fig2b": ["depth", "depth_points"], "blocks": ["depth"]},
        "theorems": {"theorems": ["growth", "variance"]},
    }
    return {f: tables for name in config.select.cone for f, tables in figures[name].items()}
