"""What is wrong with the files and the machine that a run relies on, as headers tell it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from mindgap.config import paths
from mindgap.config.expand import Model
from mindgap.config.problems import nearest
from mindgap.config.run import Run
from mindgap.data.definitions import file_names, own_files
from mindgap.data.headers import array_header, is_real
from mindgap.data.sources import find_source
from mindgap.data.tables import read_rows
from mindgap.runtime.errors import UserError

#: What a folder must have for each modality, besides its weights: one of these files.
_TOKENIZERS = (
    *("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt"),
    *("spiece.model", "sentencepiece.bpe.model"),
)
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_PARTS = {
    "text": ("a tokenizer", _TOKENIZERS),
    "image": ("an image processor", _PROCESSORS),
    "video": ("an image processor", _PROCESSORS),
    "audio": ("a feature extractor", _PROCESSORS),
}
#: The fewest pairs that can be split into a part to fit on and a part to test on.
_LEAST = 4
#: Bytes of a file of embeddings whose values are looked at before the first job.
_QUICK = 1 << 30
#: Words of a command line that sends its jobs to other machines.
_ELSEWHERE = ("--executor", "slurm", "kubernetes")
#: What a model or a data set is; its other options may change under its name.
_IDENTITY = (
    *("kind", "checkpoint", "folder", "source", "file", "architecture", "training"),
    *("media", "table", "shards", "name", "path"),
)


def file_problems(run: Run, table: dict[str, Any]) -> Iterator[str]:
    """One sentence for each problem that can be known before the first job.

    `table` is that of workflow/sources.yaml.
    """
    for place in run.places:
        try:
            find_source(table, *place)
        except UserError as error:
            yield str(error)
    yield from _device(run.config.device)
    yield from _writable(f"results/{run.name}")
    for model in run.models.values():
        if not _done(paths.embeddings(run.name, model.name, d) for d in model.datasets):
            yield from _model(model)
        yield from _rows(run, model)
    for one in run.trainings.values():
        if one.checkpoint and "folder" in one.checkpoint:
            where = f"config: train.trainings.{one.definition}.start"
            yield from _checkpoint(where, one.checkpoint, one.checkpoint["modalities"])
    for name, definition in run.sets.items():
        yield from _set(name, definition, _done([paths.pairs(run.name, name)]))


def _done(files: Any) -> bool:
    return all(Path(file).exists() for file in files)


def _device(device: str) -> Iterator[str]:
    there = Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi")
    called = " ".join([*sys.argv, os.environ.get("SNAKEMAKE_PROFILE", "")])
    elsewhere = any(word in called for word in _ELSEWHERE)
    if device.startswith("cuda") and not there and not elsewhere:
        yield f"config: device: {device}, but this machine has no NVIDIA GPU; set device: auto"


def _writable(folder: str) -> Iterator[str]:
    there = Path(folder)
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK):
        yield f"{there} cannot be written; change its permissions or run elsewhere"


def _model(model: Model) -> Iterator[str]:
    if model.own:
        yield from _arrays(model)
    elif model.kind == "encoder" and "folder" in model.options:
        yield from _checkpoint(f"config: models.{model.name}", model.options, model.modalities)


def _arrays(model: Model) -> Iterator[str]:
    where, shapes = f"config: models.{model.name}", {}
    files = model.options["modalities"]
    for modality, address in files.items():
        if modality != (first := next(m for m in files if files[m] == address)):
            yield (
                f"{where}.modalities: {first} and {modality} name the same array, so there is no "
                "gap; give two"
            )
    for modality, address in files.items():
        at = f"{where}.modalities.{modality}"
        try:
            shape, kind = _header(at, address)
        except UserError as error:
            yield str(error)
            continue
        if len(shape) != 2 or not is_real(kind):
            yield f"{at}: {address} has the shape {shape} and the type {kind}; give real (n, d)"
        elif shape[0] < _LEAST:
            yield f"{at}: {address} has {shape[0]} rows; at least {_LEAST} pairs are needed"
        elif shape[1] < 2:
            yield f"{at}: {address} has one column; embeddings have at least two dimensions"
        else:
            shapes[modality] = shape
            yield from _values(at, address)
    if len(set(shapes.values())) > 1:
        sizes = ", ".join(f"{m}: {shape}" for m, shape in shapes.items())
        yield f"{where}.modalities: the shapes differ ({sizes}); row i belongs beside row i"
    for key in ("labels", "groups"):
        if key in model.options and shapes:
            try:
                shape, _ = _header(f"{where}.{key}", model.options[key])
            except UserError as error:
                yield str(error)
                continue
            rows = next(iter(shapes.values()))[0]
            if shape != (rows,):
                yield f"{where}.{key}: its shape is {shape}, but it must be that of {rows} rows"


def _values(where: str, address: str) -> Iterator[str]:
    """NaN, infinity and zero rows of a file that is read in a moment; a job looks at others."""
    from mindgap.embed.arrays import read_array
    from mindgap.inputs import as_rows

    if Path(address.partition("#")[0]).stat().st_size <= _QUICK:
        try:
            as_rows(read_array(address), address)
        except UserError as error:
            yield f"{where}: {error}"


def _header(where: str, address: str) -> tuple[tuple[int, ...], str]:
    path = address.partition("#")[0]
    if problem := _absent(path, where):
        raise UserError(problem)
    if Path(path).is_dir():
        raise UserError(f"{where}: {path} is a folder; give one file of arrays")
    try:
        return array_header(address)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _absent(path: str, where: str) -> str | None:
    """Sentence about a file that is not there or cannot be read."""
    if not Path(path).exists():
        return f"{where}: {path} does not exist (relative paths start at {Path.cwd()})"
    if not os.access(path, os.R_OK):
        return f"{where}: {path} cannot be read; change its permissions"
    return None


def _checkpoint(where: str, options: dict[str, Any], modalities: Any) -> Iterator[str]:
    """What a checkpoint folder lacks; what is not there would be invented when it is loaded."""
    folder = Path(options["folder"])
    if problem := _absent(str(folder / "config.json"), f"{where}.folder"):
        yield problem
        return
    try:
        json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (ValueError, KeyError, TypeError):
        yield f"{where}.folder: {folder}/config.json names no model_type; give the folder that " + (
            "save_pretrained wrote"
        )
    names = {path.name for path in folder.iterdir()}
    for what, wanted in dict.fromkeys(_PARTS[modality] for modality in modalities):
        if names.isdisjoint(wanted):
            yield (
                f"{where}.folder: {folder} has no files of {what} ({', '.join(wanted[:2])}, ...); "
                "save it there with save_pretrained"
            )
    if options["weights"] == "trained" and not any(n.endswith(".safetensors") for n in names):
        pickled = any(name.endswith((".bin", ".pt", ".pth")) for name in names)
        what = "its weights as a pickle alone, which can run code" if pickled else "no weights"
        yield f"{where}.folder: {folder} has {what}; save them as model.safetensors"


def _rows(run: Run, model: Model) -> Iterator[str]:
    """Landscapes whose batches are larger than a set, as far as its size is known."""
    for dataset in model.datasets:
        rows = _known_rows(run, model, dataset)
        for name in run.config.select.landscapes if rows else ():
            one = run.config.shift.landscapes[name]
            learned = one.inverse_temperatures == "learned" and model.kind != "trained"
            if one.batch and one.batch > rows and not learned and len(model.modalities) == 2:
                yield (
                    f"config: shift.landscapes.{name}.batch: {one.batch} is more than the {rows} "
                    f"pairs of {model.name} on {dataset}; take at most {rows}, or take {name} out "
                    "of select.landscapes"
                )


def _known_rows(run: Run, model: Model, dataset: str) -> int | None:
    if model.embeds:
        definition = run.sets[dataset]
        return definition["items"] if definition["kind"] in ("shapes", "digits") else None
    if model.own:
        try:
            return array_header(next(iter(model.options["modalities"].values())))[0][0]
        except (UserError, OSError, IndexError):
            return None
    return None


def _set(name: str, definition: dict[str, Any], done: bool) -> Iterator[str]:
    """Own files of a set that are missing or empty, unless its pairs are there."""
    known = file_names(definition)
    for key in definition.get("files", {}):
        if key not in known:
            near = nearest(key, known)
            yield f"config: datasets.{name}.files: the set has no file {key!r}{near}"
    for key, path in {} if done else own_files(definition).items():
        if problem := _absent(path, f"config: datasets.{name}.{key}"):
            yield problem
        elif key == "table" and Path(path).is_file():
            try:
                if len(list(islice(read_rows(path), 2))) < 2:
                    yield f"config: datasets.{name}.table: {path} has no rows below its header"
            except UserError as error:
                yield f"config: datasets.{name}.table: {error}"


def name_problems(run: Run, saved: dict[str, Any]) -> Iterator[str]:
    """Models and sets that the run's name already has results of, under another definition.

    `saved` is the configuration that was saved with these results. Changed options re-run what
    depends on them; but another checkpoint, file or folder is another model.
    """
    made = {
        # Models with random weights have their seed at the end of their names.
        "models": lambda name: any(
            Path(paths.embeddings(run.name, one, "any")).parent.exists()
            for one in run.models
            if one == name or one.rpartition("_s")[0] == name
        ),
        "datasets": lambda name: _done([paths.pairs(run.name, name)]),
    }
    for group, exists in made.items():
        before, now = saved.get(group) or {}, run.options[group]
        for name in [n for n in now if n in before]:
            if _identity(before[name]) != _identity(now[name]) and exists(name):
                yield (
                    f"config: {group}.{name}: results/{run.name} has results of another "
                    f"{group[:-1]} of this name; give the run or the {group[:-1]} another name, "
                    f"or delete results/{run.name}"
                )


def _identity(definition: dict[str, Any]) -> dict[str, Any]:
    said = {key: definition.get(key) for key in _IDENTITY}
    files = definition.get("modalities")
    return {**said, "modalities": files if isinstance(files, dict) else None}
