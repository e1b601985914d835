"""Which codebooks a run trains: tasks, variants and seeds, made into one job each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mindgap.config import paths
from mindgap.config.problems import nearest
from mindgap.config.read import merge
from mindgap.config.root import Config
from mindgap.data.definitions import modalities
from mindgap.runtime.errors import refuse

ROLES = ("train", "test")
#: What a task says that is no option of a single training.
_TASK = ("train", "test", "arrays", "variants", "seeds")


@dataclass(frozen=True)
class Training:
    """One codebook to train.

    Attributes
    ----------
    name
        {task}_{variant}_s{seed}.
    task, variant
        Names of their definitions in the configuration.
    datasets
        Role (train, test) -> data set.
    options
        Everything that decides its numbers, with the defaults filled in.
    arrays
        Role -> modality -> file of tokens of somebody else's encoder.
    """

    name: str
    task: str
    variant: str
    datasets: dict[str, str] = field(hash=False)
    options: dict[str, Any] = field(hash=False)
    arrays: dict[str, dict[str, str]] = field(hash=False)

    @property
    def key(self) -> dict[str, Any]:
        """Columns that name it in tables."""
        return {"task": self.task, "variant": self.variant, "seed": self.options["seed"]}

    @property
    def discrete(self) -> bool:
        """Whether it has codes at all."""
        return self.options["paths"] != "continuous"


def expand_codebooks(config: Config) -> dict[str, Training]:
    """The codebooks of a run by name: one for each selected task, variant and seed.

    An option is taken from the variant, else from the task, else from the defaults.
    """
    block, found, problems = config.codebook, {}, []
    for task in config.select.codebooks:
        given = block.tasks[task].model_dump(exclude_unset=True)
        own = merge(block.defaults.model_dump(), given)
        problems += _problems(task, own, config)
        sets, arrays = {role: own[role] for role in ROLES}, own.get("arrays", {})
        for variant in filter(block.variants.__contains__, own["variants"]):
            differs = block.variants[variant].model_dump(exclude_unset=True)
            for seed in own["seeds"]:
                options = {k: v for k, v in own.items() if k not in _TASK}
                options |= {**differs, "seed": seed}
                name = f"{task}_{variant}_s{seed}"
                found[name] = Training(name, task, variant, sets, options, arrays)
    refuse(problems)
    return found


def _problems(task: str, own: dict[str, Any], config: Config) -> Iterator[str]:
    where = f"config: codebook.tasks.{task}"
    for role in ROLES:
        name = own[role]
        if name not in config.datasets:
            yield f"{where}.{role}: no data set is called {name!r}{nearest(name, config.datasets)}"
            continue
        there = {*modalities(config.datasets[name].given()), *own.get("arrays", {}).get(role, {})}
        if missing := sorted(set(own["modalities"]) - there):
            yield f"{where}.{role}: {name!r} has no {' and no '.join(missing)}"
    for variant in own["variants"]:
        if variant not in config.codebook.variants:
            near = nearest(variant, config.codebook.variants)
            yield f"{where}.variants: {variant!r} is not defined{near}"
    if own["batch"] % own["processes"]:
        yield (
            f"{where}: a batch of {own['batch']} cannot be divided among {own['processes']} "
            "processes"
        )


def codebook_sets(trainings: dict[str, Training]) -> list[str]:
    """Data sets that the codebooks of a run read, each once."""
    return list(dict.fromkeys(d for one in trainings.values() for d in one.datasets.values()))


def inputs_of(training: Training, run: str) -> dict[str, Any]:
    """Role -> pairs that a training reads, and the arrays of one's own."""
    pairs = {role: paths.pairs(run, name) for role, name in training.datasets.items()}
    files = [path for one in training.arrays.values() for path in one.values()]
    return pairs | ({"arrays": files} if files else {})


def figures_of(trainings: dict[str, Training], variant: str) -> list[str]:
    """Figures of a run: one of all codebooks, and one of the codes of each task.

    The codes are those of the first seed of a variant.
    """
    first: dict[str, str] = {}
    for name, one in trainings.items():
        if one.variant == variant and one.discrete:
            first.setdefault(one.task, name)
    shown = [f"codes/{name}.png" for name in first.values()]
    return ["codebooks.png", *shown] if trainings else []
