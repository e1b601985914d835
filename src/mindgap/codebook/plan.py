"""Which codebooks a run trains: tasks, variants and seeds, made into one job each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mindgap.config import paths
from mindgap.config.codebook import Arrays, CodebookOptions, CodebookRecipe, CodebookTask
from mindgap.config.problems import nearest
from mindgap.config.read import merge
from mindgap.config.root import Config
from mindgap.data.definitions import modalities
from mindgap.runtime.errors import refuse

ROLES = ("train", "test")


@dataclass(frozen=True)
class CodebookTraining:
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
        How it is trained, measured and read, with the defaults filled in.
    seed
        Seed of its draws.
    arrays
        Files of tokens of somebody else's encoder.
    """

    name: str
    task: str
    variant: str
    datasets: dict[str, str] = field(hash=False)
    options: CodebookOptions = field(hash=False)
    seed: int
    arrays: Arrays = field(hash=False)

    @property
    def key(self) -> dict[str, Any]:
        """Columns that name it in tables."""
        return {"task": self.task, "variant": self.variant, "seed": self.seed}

    @property
    def discrete(self) -> bool:
        """Whether it has codes at all."""
        return self.options.paths != "continuous"

    @property
    def recipe(self) -> dict[str, Any]:
        """Plain values of everything that decides its numbers, but for the seed."""
        return self.options.model_dump(include=set(CodebookRecipe.model_fields))


def expand_codebooks(config: Config) -> dict[str, CodebookTraining]:
    """The codebooks of a run by name: one for each selected task, variant and seed.

    An option is taken from the variant, else from the task, else from the defaults.
    """
    block, found, problems = config.codebook, {}, []
    for task in config.select.codebooks:
        given = block.tasks[task].model_dump(exclude_unset=True)
        one = CodebookTask.model_validate(merge(block.defaults.model_dump(), given))
        problems += _problems(task, one, config)
        sets, arrays = {role: getattr(one, role) for role in ROLES}, one.arrays
        for variant in filter(block.variants.__contains__, one.variants):
            differs = block.variants[variant].model_dump(exclude_unset=True)
            own = merge(one.model_dump(exclude={*ROLES, "arrays"}), differs)
            options = CodebookOptions.model_validate(own)
            for seed in one.seeds:
                name = f"{task}_{variant}_s{seed}"
                found[name] = CodebookTraining(name, task, variant, sets, options, seed, arrays)
    refuse(problems)
    return found


def _problems(task: str, one: CodebookTask, config: Config) -> Iterator[str]:
    where = f"config: codebook.tasks.{task}"
    for role in ROLES:
        name = getattr(one, role)
        if name not in config.datasets:
            yield f"{where}.{role}: no data set is called {name!r}{nearest(name, config.datasets)}"
            continue
        there = {*modalities(config.datasets[name].given()), *getattr(one.arrays, role)}
        if missing := sorted(set(one.modalities) - there):
            yield f"{where}.{role}: {name!r} has no {' and no '.join(missing)}"
    for variant in one.variants:
        if variant not in config.codebook.variants:
            near = nearest(variant, config.codebook.variants)
            yield f"{where}.variants: {variant!r} is not defined{near}"
    if one.batch % one.processes:
        yield f"{where}: a batch of {one.batch} cannot be divided among {one.processes} processes"


def inputs_of(training: CodebookTraining, run: str) -> dict[str, Any]:
    """Role -> pairs that a training reads, and the arrays of one's own."""
    pairs = {role: paths.pairs(run, name) for role, name in training.datasets.items()}
    files = training.arrays.files()
    return pairs | ({"arrays": files} if files else {})


def shown_codebooks(trainings: dict[str, CodebookTraining], variant: str) -> list[str]:
    """Codebooks whose codes are shown: of each task the first seed of a variant."""
    first: dict[str, str] = {}
    for name, one in trainings.items():
        if one.variant == variant and one.discrete:
            first.setdefault(one.task, name)
    return list(first.values())
