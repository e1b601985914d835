"""What the chapter makes of a configuration: towers, their inputs, figures."""

from __future__ import annotations

from typing import Any

_INITIALISATIONS = "initialisations"
#: Options that concern the embeddings, and those that concern what is measured on them.
EMBEDDING = [
    "seeds",
    "items",
    "noise_items",
    "noise_seed",
    "drawings",
    "few",
    "mlp",
    "batch_size",
    "trained",
]
MEASURING = [
    "bins",
    "sizes",
    "datasets",
    "drawings",
    "neighbour_rows",
    "points",
    "methods",
    "neighbours",
    "min_dist",
]


def initialisations(config: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Options of the initialisations, all or some; empty where the run leaves them out.

    A rule is given those that concern it, so that a change re-runs no more.
    """
    if _INITIALISATIONS not in config["select"]["cone"]:
        return {}
    options = config["cone"][_INITIALISATIONS]
    return {key: options[key] for key in keys} if keys else options


def towers(config: dict[str, Any]) -> list[str]:
    """Architectures, the random network on rows of noise, and trained models of a run."""
    options = initialisations(config)
    return [*options["models"], "mlp", *options["trained"]] if options else []


def cone_datasets(config: dict[str, Any]) -> dict[str, str]:
    """Data sets that the towers embed, second drawings last -> the key that names each."""
    options = initialisations(config)
    if not options:
        return {}
    where = f"cone.{_INITIALISATIONS}"
    drawings = {
        other: f"{where}.drawings.{name}"
        for name, other in options["drawings"].items()
        if name in options["datasets"]
    }
    return {name: f"{where}.datasets" for name in options["datasets"]} | drawings


def tower_datasets(config: dict[str, Any], tower: str) -> list[str]:
    """Data sets of one tower: none for noise alone, no second drawings for trained weights."""
    options = initialisations(config)
    if tower == "mlp":
        return []
    others = options["drawings"].values() if tower in options["trained"] else []
    return [name for name in cone_datasets(config) if name not in others]


def cone_figures(config: dict[str, Any]) -> dict[str, list[str]]:
    """Figures of a run -> the tables that each is drawn from."""
    methods = initialisations(config).get("methods", [])
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
    return {f: tables for name in config["select"]["cone"] for f, tables in figures[name].items()}
