"""The models of a run, one for each seed, with the data sets that each embeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mindgap.config import paths
from mindgap.config.models import ArraysModel, ClipModel, EncoderModel, JointModel, TrainedModel
from mindgap.config.problems import nearest
from mindgap.config.root import Config
from mindgap.data.definitions import modalities
from mindgap.data.sources import carried_places, place_of
from mindgap.runtime.errors import refuse


@dataclass(frozen=True)
class Model:
    """One model of a run: a name, its definition, and the data sets it embeds."""

    name: str
    kind: str
    label: str
    weights: str
    datasets: tuple[str, ...]
    options: dict[str, Any] = field(hash=False)
    modalities: tuple[str, ...] = ("image", "text")

    @property
    def embeds(self) -> bool:
        """Whether the run embeds with this model; others bring their embeddings along."""
        return self.kind in ("clip", "encoder", "trained", "joint")

    @property
    def own(self) -> bool:
        """Whether its embeddings are files of the user's own."""
        return self.kind == "arrays" and not carried_places(self.options)


def expand_models(config: Config) -> list[Model]:
    """Return the models of a run, in the order of `select.models`.

    A model with random weights becomes one model for each seed, named `{name}_s{seed}`. Encoders
    embed every selected data set that fits; models that bring features bring their data set, too.
    """
    models, problems = [], []
    for name in config.select.models:
        problems += _unfit(name, config)
        models += _expand(name, config)
    names = [model.name for model in models]
    twice = dict.fromkeys(name for name in names if names.count(name) > 1)
    problems += [f"config: two models are called {name!r}; rename one" for name in twice]
    problems += [
        f"config: the model {model.name!r} brings a data set called {dataset!r}, but a selected "
        "data set has that name; rename one"
        for model in models
        for dataset in model.datasets
        if not model.embeds and dataset in config.select.datasets
    ]
    refuse(problems)
    return models


def _expand(name: str, config: Config) -> list[Model]:
    definition = config.models[name]
    options = definition.model_dump(exclude_none=True)
    one = {"kind": definition.kind, "label": definition.label or name}
    one |= {"weights": definition.weights, "datasets": _datasets(name, config)}
    one["modalities"] = tuple(options.get("modalities", ("image", "text")))
    if isinstance(definition, EncoderModel):
        options = encoder_options(definition)
    if isinstance(definition, TrainedModel):
        options["folder"] = paths.checkpoint(config.run, definition.training)
    if isinstance(definition, ArraysModel):
        options = definition.given()
        options |= _placed(options) if definition.source else {}
    seeds = options.get("seeds")
    if not seeds:
        return [Model(name, options=options, **one)]
    return [Model(f"{name}_s{seed}", options={**options, "seed": seed}, **one) for seed in seeds]


def _placed(options: dict[str, Any]) -> dict[str, Any]:
    """Files of a source by their paths, in place of their names."""

    def place(address: str) -> str:
        name, mark, key = address.partition("#")
        return f"{place_of(options['source'], name)}{mark}{key}"

    files = {modality: place(address) for modality, address in options["modalities"].items()}
    more = {key: place(options[key]) for key in ("labels", "groups") if key in options}
    return {"modalities": files, **more}


def encoder_options(definition: EncoderModel) -> dict[str, Any]:
    """What a job must know of an encoder."""
    options = definition.model_dump(exclude_none=True)
    return {"revision": "main", **options} if definition.checkpoint else options


def _datasets(name: str, config: Config) -> tuple[str, ...]:
    """Data sets that a model embeds, or the one that it brings along."""
    definition = config.models[name]
    if isinstance(definition, TrainedModel):
        return tuple(definition.datasets)
    if not isinstance(definition, ClipModel | EncoderModel):
        return (definition.dataset,)
    only = getattr(definition, "datasets", None)
    wanted = set(getattr(definition, "modalities", ("image", "text")))
    return tuple(
        dataset
        for dataset in config.select.datasets
        if (only is None or dataset in only)
        and wanted <= set(modalities(config.datasets[dataset].given()))
    )


def _unfit(name: str, config: Config) -> Iterator[str]:
    """What is wrong with the data sets of a model."""
    definition, chosen = config.models[name], config.select.datasets
    if isinstance(definition, JointModel):
        yield from _unfit_joint(name, definition, config)
        return
    only = getattr(definition, "datasets", None) or ()
    for dataset in only:
        if dataset not in config.datasets:
            near = nearest(dataset, config.datasets)
            yield f"config: models.{name}.datasets names {dataset!r}, which is not defined{near}"
    if not _datasets(name, config) and all(dataset in config.datasets for dataset in only):
        wanted = " and ".join(getattr(definition, "modalities", ("image", "text")))
        have = f"has none of {', '.join(only)}" if only else "is empty"
        if any(not only or dataset in only for dataset in chosen):
            have = "has none with them"
        yield f"config: the model {name!r} embeds {wanted}, but select.datasets {have}"


def _unfit_joint(name: str, definition: JointModel, config: Config) -> Iterator[str]:
    """What is wrong with the sets that encoders are trained on together, and embed."""
    for role in ("train", "dataset"):
        dataset = getattr(definition, role)
        where = f"config: models.{name}.{role}"
        if dataset not in config.datasets:
            near = nearest(dataset, config.datasets)
            yield f"{where}: no data set is called {dataset!r}{near}"
            continue
        there = modalities(config.datasets[dataset].given())
        if missing := [m for m in definition.modalities if m not in there]:
            yield f"{where}: {dataset!r} has no {' and no '.join(missing)}"
