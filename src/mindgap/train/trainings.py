"""Which models a run trains: definitions, seeds and varied options, made into one job each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from mindgap.config import paths
from mindgap.config.expand import encoder_options
from mindgap.config.models import EncoderModel
from mindgap.config.problems import nearest
from mindgap.config.root import Config
from mindgap.config.train import DualRecipe, TrainingOptions
from mindgap.data.definitions import class_prompts
from mindgap.data.sources import manifest
from mindgap.runtime.errors import UserError, refuse

ROLES = ("train", "test", "zero_shot")


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
        How it is trained and measured, with the defaults filled in.
    seed
        Seed of its draws.
    start
        Name of the training that it goes on from, or None.
    checkpoint
        Options of the encoder that it goes on from, a folder or a name on the hub, or None. One
        with random weights is drawn from the training's seed.
    """

    name: str
    definition: str
    options: TrainingOptions = field(hash=False)
    seed: int
    start: str | None = None
    checkpoint: dict[str, Any] | None = field(default=None, hash=False)

    @property
    def datasets(self) -> dict[str, str]:
        """Role (train, test, zero_shot) -> data set."""
        return {role: name for role in ROLES if (name := getattr(self.options, role))}

    @property
    def recipe(self) -> dict[str, Any]:
        """Plain values of everything that decides its numbers, but for the seed."""
        return self.options.model_dump(include=set(DualRecipe.model_fields))

    @property
    def facts(self) -> dict[str, Any]:
        """Its columns in the table of trainings: options of one value, and the seed."""
        options = self.options.model_dump(exclude={"save_every"})
        plain = {k: v for k, v in options.items() if not isinstance(v, list)}
        return {**plain, "seed": self.seed}


def expand_trainings(config: Config) -> dict[str, Training]:
    """The trainings of a run by name, those first that others start from.

    A definition has one training for each seed and each value of the option that it varies. A
    `start` is the name of a training, or of a definition, and then of its training of the same
    seed, or of an encoder under `models`.
    """
    found, problems = {}, []
    for definition in config.select.trainings:
        one = config.train.trainings[definition]
        given = one.model_dump(exclude_unset=True, exclude={"vary", "start"})
        options = config.train.defaults.model_copy(update=given)
        for seed, *values in product(options.seeds, *one.vary.values()):
            name = "_".join([definition, *map(_word, values), f"s{seed}"])
            own = options.model_copy(update=dict(zip(one.vary, values, strict=True)))
            found[name] = Training(name, definition, own, seed, one.start)
    found = {name: _resolve(one, found, config.models) for name, one in found.items()}
    for one in found.values():
        problems += _problems(one, config, found)
    refuse(problems)
    return found


def _resolve(one: Training, found: dict[str, Training], models: dict[str, Any]) -> Training:
    """A training with its start: another training, or the options of an encoder."""
    if one.start is None or one.start in found:
        return one
    same = f"{one.start}_s{one.seed}"
    if same in found:
        return replace(one, start=same)
    if isinstance(encoder := models.get(one.start), EncoderModel):
        return replace(one, start=None, checkpoint=encoder_options(encoder))
    return one


def _problems(one: Training, config: Config, found: dict[str, Training]) -> Iterator[str]:
    where, options = f"config: train.trainings.{one.definition}", one.options
    for role in ROLES:
        name = getattr(options, role)
        if name is None and role != "zero_shot":
            yield f"{where}: the key {role!r} is missing, here and in train.defaults"
        elif name is not None and name not in config.datasets:
            near = nearest(name, config.datasets)
            yield f"{where}.{role}: no data set is called {name!r}{near}"
    if one.start is one.checkpoint is None and options.model not in config.train.models:
        near = nearest(options.model, config.train.models)
        yield f"{where}.model: {options.model!r} is not defined in train.models{near}"
    if options.batch % options.processes:
        yield (
            f"{where}: a batch of {options.batch} cannot be divided among {options.processes} "
            "processes"
        )
    seen, at = {one.name}, one.start
    while at in found:
        if at in seen:
            yield f"{where}.start: {one.name} starts from itself"
            return
        seen.add(at)
        at = found[at].start
    if at is not None:
        encoders = [name for name, m in config.models.items() if isinstance(m, EncoderModel)]
        yield (
            f"{where}.start: {at!r} is neither a training of this run (it has: "
            f"{', '.join(found)}) nor an encoder under models (there are: "
            f"{', '.join(encoders) or 'none'})"
        )


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def outputs_of(name: str, run: str) -> list[str]:
    """Files of a training's checkpoint that the workflow goes by."""
    return [f"{paths.checkpoint(run, name)}/{file}" for file in paths.CHECKPOINT]


def inputs_of(training: Training, run: str) -> dict[str, Any]:
    """Role -> pairs that a training reads, and the files of the checkpoint that it starts from."""
    inputs: dict[str, Any] = {
        role: paths.pairs(run, name) for role, name in training.datasets.items()
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
        raise UserError(f"{folder} is not a checkpoint folder: it has no config.json")
    return sorted(str(p) for p in folder.iterdir() if p.is_file())


def zero_shot_prompts(
    training: Training, config: Config, prompts: dict[str, Any]
) -> dict[str, Any] | None:
    """Template of the class prompts of a training's zero-shot set; None where it has none."""
    name = training.options.zero_shot
    return class_prompts(config.datasets[name].given(), prompts) if name else None


def model_problems(models: Iterable[Any], trainings: dict[str, Training]) -> Iterator[str]:
    """Models without their training, and those that no checkpoint can hold."""
    for model in models:
        name = model.options.get("training")
        if model.kind != "trained":
            continue
        where = f"config: models.{model.name}.training"
        if name not in trainings:
            known = ", ".join(trainings) or "none"
            yield (
                f"{where}: this run trains no {name!r} (it trains: {known}); add it to "
                "select.trainings or take the model out of select.models"
            )
        elif trainings[name].options.amend == "centre":
            yield (
                f"{where}: {name!r} centres its rows after the towers, which a checkpoint cannot "
                "hold; choose a training with amend: none or procrustes"
            )
