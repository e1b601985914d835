"""Check a run's configuration and expand it into the models and data sets that it names."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from mindgap.cone.plan import cone_datasets, initialisations
from mindgap.data.definitions import file_names, modalities, own_files
from mindgap.data.sources import place_of
from mindgap.runtime.errors import UserError

#: What an encoder's definition may leave out.
_ENCODER = {
    "weights": "trained",
    "captions": "first",
    "batch_size": 32,
    "modalities": ["image", "text"],
}

#: What a run selects of the chapters that it can leave out as a whole.
_CHOICES = {"cone": ("cone",), "train": ("trainings", "experiments"), "codebook": ("codebooks",)}


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
        return self.kind in ("clip", "encoder", "trained")


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file with the safe loader."""
    with open(path, encoding="utf-8") as stream:
        # The parser in C, where PyYAML was built with it, is ten times faster.
        return yaml.load(stream, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def merge(default: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Lay one configuration over another: mappings key by key, everything else replaced."""
    merged = dict(default)
    for key, value in overlay.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def check_config(config: dict[str, Any], schema: dict[str, Any]) -> None:
    """Refuse a configuration that does not match `schema`.

    Definitions under `datasets` and `models` are checked against `$defs/dataset_{kind}` and
    `$defs/model_{kind}`. The error names the key, and for an unknown key the nearest known one.
    What is selected of a chapter that the run leaves out is emptied in `config`.
    """
    _check(config, schema, schema, "config")
    leave_out(config)
    for group in ("dataset", "model"):
        for name, definition in config[f"{group}s"].items():
            part = schema["$defs"][f"{group}_{definition['kind']}"]
            _check(definition, part, schema, f"config: {group}s.{name}")
    defined = {**config, **config["train"]}
    defined |= {group: config["downstream"][group] for group in ("tasks", "audits")}
    defined["landscapes"] = config["shift"]["landscapes"]
    defined["codebooks"] = config["codebook"]["tasks"]
    defined["models"] = config["models"]
    for group, names in config["select"].items():
        for name in names if group != "chapters" else ():
            if name not in defined[group]:
                near = _nearest(name, defined[group])
                raise UserError(
                    f"config: select.{group} names {name!r}, which is not defined{near}"
                )
    _check_cone(config)


def leave_out(config: dict[str, Any]) -> None:
    """Empty what is selected of the chapters that `select.chapters` does not name."""
    for chapter, groups in _CHOICES.items():
        if chapter not in config["select"]["chapters"]:
            config["select"].update({group: [] for group in groups})


def _check_cone(config: dict[str, Any]) -> None:
    """Refuse names in the chapter `cone` that mean nothing, and sets that it cannot embed."""
    for name, key in cone_datasets(config).items():
        if name not in config["datasets"]:
            near = _nearest(name, config["datasets"])
            raise UserError(f"config: {key} names {name!r}, which is not defined{near}")
        if not {"image", "text"} <= set(modalities(config["datasets"][name])):
            raise UserError(f"config: {key} names {name!r}, which has no pictures with captions")
    options = initialisations(config)
    for name in options.get("trained", {}):
        if name in (*options["models"], "mlp"):
            raise UserError(
                f"config: cone.initialisations.trained: {name!r} is the name of an architecture; "
                "rename it"
            )


def _check(value: Any, schema: dict, root: dict, where: str) -> None:
    validator = Draft202012Validator({**schema, "$defs": root["$defs"]})
    for error in sorted(validator.iter_errors(value), key=lambda e: [str(p) for p in e.path]):
        raise UserError(_sentence(error, where))


def _sentence(error: ValidationError, where: str) -> str:
    path = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "oneOf":
        ways = ", or ".join(" and ".join(way["required"]) for way in error.validator_value)
        return f"{where}: give either {ways}"
    at = f"{where}: {path}" if path and where == "config" else f"{where}.{path}" if path else where
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        key = next(k for k in error.instance if k not in known)
        return f"{at}: unknown key {key!r}{_nearest(key, known)}"
    if error.validator == "required":
        missing = next(k for k in error.validator_value if k not in error.instance)
        return f"{at}: the key {missing!r} is missing"
    if error.validator == "enum":
        known = [str(v) for v in error.validator_value]
        return f"{at}: {error.instance!r} is not known{_nearest(str(error.instance), known)}"
    if error.validator == "type":
        want = error.validator_value
        want = " or ".join(want) if isinstance(want, list) else want
        return f"{at}: {error.instance!r} is not of type {want}"
    if error.validator == "exclusiveMinimum":
        return f"{at}: {error.instance!r} must be above {error.validator_value}"
    if error.validator == "pattern" and at.endswith(("run", "datasets", "models", "landscapes")):
        return (
            f"{at}: {error.instance!r} is not a name: it starts with a letter or digit and goes on "
            "with these or '.', '_', '-'"
        )
    if error.validator == "pattern" and error.validator_value == "^[^{}]+$":
        return f"{at}: {error.instance!r} is empty or has braces, which no path may have; rename it"
    return f"{at}: {error.message}"


def _nearest(word: str, known: Any) -> str:
    """Sentence part that suggests the nearest of `known`, or lists them all."""
    known = [str(k) for k in known]
    lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(word.lower(), list(lower), n=1, cutoff=0.6)
    if near:
        return f" (did you mean {lower[near[0]]!r}?)"
    return f" (known: {', '.join(known)})" if known else ""


def expand_models(config: dict[str, Any]) -> list[Model]:
    """Return the models of a run, in the order of `select.models`.

    An encoder with several seeds becomes one model a seed, named `{name}_s{seed}`, and embeds
    every selected data set; models that bring features along bring their data set too.
    """
    models = []
    for name in config["select"]["models"]:
        options = config["models"][name]
        kind, label = options["kind"], options.get("label", name)
        if kind == "encoder":
            options = encoder_options(name, options)
        if kind == "trained":
            options = {**_ENCODER, **options}
            options["folder"] = f"results/{config['run']}/checkpoints/{options['training']}"
        weights = options.get("weights", "trained")
        embedded = tuple(options.get("modalities", ("image", "text")))
        if kind in ("clip", "encoder", "trained"):
            own = tuple(options["datasets"]) if kind == "trained" else None
            datasets = own or _fitting(name, embedded, config)
            one = (kind, label, weights, datasets)
            if weights == "random":
                models += [
                    Model(f"{name}_s{seed}", *one, {**options, "seed": seed}, embedded)
                    for seed in options["seeds"]
                ]
            else:
                models.append(Model(name, *one, options, embedded))
        else:
            options, dataset = _placed(options), options.get("dataset", "own")
            models.append(Model(name, kind, label, weights, (dataset,), options, embedded))
    names = [model.name for model in models]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"config: two models are called {min(twice)!r}; rename one")
    for model in models:
        for dataset in model.datasets:
            if not model.embeds and dataset in config["select"]["datasets"]:
                raise UserError(
                    f"config: the model {model.name!r} brings a data set called {dataset!r}, "
                    "but a selected data set has that name; rename one"
                )
    return models


def _placed(options: dict[str, Any]) -> dict[str, Any]:
    """Options of arrays whose files are those of a source: their names become paths."""
    if options["kind"] != "arrays" or "source" not in options:
        return options

    def place(address: str) -> str:
        name, mark, key = address.partition("#")
        return f"{place_of(options['source'], name)}{mark}{key}"

    files = {modality: place(address) for modality, address in options["modalities"].items()}
    more = {key: place(options[key]) for key in ("labels", "groups") if key in options}
    return {**options, "modalities": files, **more}


def encoder_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options of a model of the kind `encoder`, with what was left out."""
    where = f"config: models.{name}"
    if ("checkpoint" in options) == ("folder" in options):
        raise UserError(f"{where}: give either checkpoint (a name on the hub) or folder (a path)")
    if "revision" in options and "folder" in options:
        raise UserError(f"{where}: a folder has no revision; give checkpoint or leave it out")
    revision = {"revision": "main"} if "checkpoint" in options else {}
    options = {**_ENCODER, **revision, **options}
    if (options["weights"] == "random") != ("seeds" in options):
        raise UserError(f"{where}: seeds belong to weights: random, which needs at least one")
    return options


def _fitting(name: str, wanted: tuple[str, ...], config: dict[str, Any]) -> tuple[str, ...]:
    """Selected data sets that an encoder embeds.

    Those that have its modalities, and that its `datasets` names if it has any.
    """
    only = config["models"][name].get("datasets")
    for dataset in only or ():
        if dataset not in config["datasets"]:
            near = _nearest(dataset, config["datasets"])
            raise UserError(
                f"config: models.{name}.datasets names {dataset!r}, which is not defined{near}"
            )
    names = [d for d in config["select"]["datasets"] if only is None or d in only]
    fitting = tuple(d for d in names if set(wanted) <= set(modalities(config["datasets"][d])))
    if not fitting:
        have = "has none with them"
        if not names:
            have = "is empty" if only is None else f"has none of {', '.join(only)}"
        raise UserError(
            f"config: the model {name!r} embeds {' and '.join(wanted)}, but select.datasets {have}"
        )
    return fitting


def check_files(model: Model, done: str | Path) -> None:
    """Refuse a model whose own files are missing, unless its embeddings below `done` are there."""
    if all((Path(done) / model.name / f"{d}.safetensors").exists() for d in model.datasets):
        return
    for modality, address in model.options["modalities"].items():
        path, where = address.partition("#")[0], f"models.{model.name}.modalities.{modality}"
        _exists(path, where)
        if Path(path).is_dir():
            raise UserError(f"config: {where}: {path} is a folder; give one file of arrays")


def check_checkpoint(model: Model, done: str | Path) -> None:
    """Refuse a model whose own checkpoint is missing, unless its embeddings are there."""
    if (
        model.kind != "trained"
        and "folder" in model.options
        and not all((Path(done) / model.name / f"{d}.safetensors").exists() for d in model.datasets)
    ):
        _exists(f"{model.options['folder']}/config.json", f"models.{model.name}.folder")


def check_set(name: str, definition: dict[str, Any], done: str | Path) -> None:
    """Refuse a set whose own files are missing, unless its pairs below `done` are there."""
    known = file_names(definition)
    for key in definition.get("files", {}):
        if key not in known:
            near = _nearest(key, known)
            raise UserError(f"config: datasets.{name}.files: the set takes no {key!r}{near}")
    if not (Path(done) / f"{name}.parquet").exists():
        for key, path in own_files(definition).items():
            _exists(path, f"datasets.{name}.{key}")


def _exists(file: str, key: str) -> None:
    if not Path(file).exists():
        raise UserError(
            f"config: {key}: {file} does not exist (relative paths start at {Path.cwd()})"
        )
