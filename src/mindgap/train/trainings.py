"""Which models a run trains: definitions, seeds and varied options, made into one job each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from mindgap.config import encoder_options
from mindgap.data.sources import manifest
from mindgap.runtime.errors import UserError


@dataclass(frozen=True)
class Training:
    """One model to train.

    Attributes
    ----------
    name
        {definition}[_{varied value}]_s{seed}.
    definition
        Name of its definition in the configuration.
    options
        Everything that decides its numbers, with the defaults filled in.
    start
        Name of the training that it goes on from, or None.
    checkpoint
        Options of the encoder that it goes on from, a folder or a name on the hub, or None. One
        with random weights is drawn from the training's seed.
    """

    name: str
    definition: str
    options: dict[str, Any] = field(hash=False)
    start: str | None = None
    checkpoint: dict[str, Any] | None = field(default=None, hash=False)

    @property
    def datasets(self) -> dict[str, str]:
        """Role (train, test, zero_shot) -> data set."""
        roles = ("train", "test", "zero_shot")
        return {role: self.options[role] for role in roles if self.options.get(role)}


def expand_trainings(config: dict[str, Any]) -> dict[str, Training]:
    """The trainings of a run by name, those first that others start from.

    A definition has one training a seed and a value of the option that it varies. A `start` is the
    name of a training, or of a definition, and then of its training of the same seed, or of an
    encoder under `models`.
    """
    block = config["train"]
    found: dict[str, Training] = {}
    for definition in config["select"]["trainings"]:
        options = {**block["defaults"], **block["trainings"][definition]}
        vary = options.pop("vary", {})
        start = options.pop("start", None)
        for seed, *values in product(options.pop("seeds"), *vary.values()):
            name = "_".join([definition, *map(_word, values), f"s{seed}"])
            own = {**options, **dict(zip(vary, values, strict=True)), "seed": seed}
            found[name] = Training(name, definition, own, start)
    found = {name: _resolve(one, found, config["models"]) for name, one in found.items()}
    for one in found.values():
        _check(one, config, found)
    return found


def _resolve(one: Training, found: dict[str, Training], models: dict[str, Any]) -> Training:
    if one.start is None or one.start in found:
        return one
    same = f"{one.start}_s{one.options['seed']}"
    if same in found:
        return replace(one, start=same)
    encoders = [name for name, model in models.items() if model["kind"] == "encoder"]
    if one.start not in encoders:
        raise UserError(
            f"config: train.trainings.{one.definition}.start: {one.start!r} is no training of this "
            f"run, {same!r} neither (it has: {', '.join(found)}), and no encoder under models "
            f"(there are: {', '.join(encoders) or 'none'})"
        )
    return replace(one, start=None, checkpoint=encoder_options(one.start, models[one.start]))


def _check(one: Training, config: dict[str, Any], found: dict[str, Training]) -> None:
    where = f"config: train.trainings.{one.definition}"
    for role, name in one.datasets.items():
        if name not in config["datasets"]:
            raise UserError(f"{where}.{role}: no data set is called {name!r}")
    models = config["train"]["models"]
    if one.start is one.checkpoint is None and one.options["model"] not in models:
        known = ", ".join(models)
        raise UserError(f"{where}.model: {one.options['model']!r} is not defined (known: {known})")
    if one.options["batch"] % one.options["processes"]:
        raise UserError(
            f"{where}: a batch does not divide among {one.options['processes']} processes"
        )
    seen, at = {one.name}, one.start
    while at is not None:
        if at in seen:
            raise UserError(f"{where}.start: {one.name} starts from itself")
        seen.add(at)
        at = found[at].start


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def needed_sets(trainings: dict[str, Training]) -> list[str]:
    """Data sets that the trainings of a run read, each once."""
    return list(dict.fromkeys(d for one in trainings.values() for d in one.datasets.values()))


def outputs_of(name: str, run: str) -> list[str]:
    """Files of a training's checkpoint that the workflow goes by."""
    folder = f"results/{run}/checkpoints/{name}"
    return [f"{folder}/{file}" for file in ("config.json", "model.safetensors", "training.json")]


def inputs_of(training: Training, run: str) -> dict[str, Any]:
    """Role -> pairs that a training reads, and the files of the checkpoint that it starts from."""
    inputs: dict[str, Any] = {
        role: f"results/{run}/pairs/{d}.parquet" for role, d in training.datasets.items()
    }
    if training.start:
        inputs["start"] = outputs_of(training.start, run)
    elif training.checkpoint:
        inputs["start"] = checkpoint_of(training.checkpoint)
    return inputs


def checkpoint_of(options: dict[str, Any]) -> list[str]:
    """Files behind an encoder: the manifest of a fetched checkpoint, or the user's own files."""
    if "checkpoint" in options:
        return [manifest(options)]
    folder = Path(options["folder"])
    if not (folder / "config.json").exists():
        raise UserError(f"{folder} is no checkpoint folder: it has no config.json")
    return sorted(str(p) for p in folder.iterdir() if p.is_file())


def zero_shot_prompts(
    training: Training, config: dict[str, Any], prompts: dict[str, Any]
) -> dict[str, Any] | None:
    """Template of the class prompts of a training's zero-shot set; None where it has none."""
    name = training.options.get("zero_shot")
    if not name:
        return None
    own = config["datasets"][name]
    usual = prompts.get(own["kind"], {"template": "a photo of {a} {}."})
    return {**usual, "template": own.get("template", usual["template"])}


def check_models(models: Iterable[Any], trainings: dict[str, Training]) -> None:
    """Refuse a model without its training, and a training without its checkpoint to start from."""
    for one in trainings.values():
        if one.checkpoint:
            checkpoint_of(one.checkpoint)
    for model in models:
        if model.kind != "trained":
            continue
        name = model.options["training"]
        if name not in trainings:
            known = ", ".join(trainings) or "none"
            raise UserError(
                f"config: models.{model.name}.training: this run trains no {name!r} (it trains: "
                f"{known}); add it to select.trainings or take the model out of select.models"
            )
        if trainings[name].options["amend"] == "centre":
            raise UserError(
                f"config: models.{model.name}.training: the rows of {name!r} are centred after the "
                "towers, which a checkpoint cannot hold; take a plain or a turned one"
            )
