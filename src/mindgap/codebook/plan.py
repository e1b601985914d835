"""Which codebooks a run trains: tasks, variants and seeds, made into one job each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mindgap.config import merge
from mindgap.data.definitions import modalities
from mindgap.runtime.errors import UserError

ROLES = ("train", "test")
_TASK = ("train", "test", "arrays", "variants", "seeds")  # what is no option of a training


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


def expand_codebooks(config: dict[str, Any]) -> dict[str, Training]:
    """The codebooks of a run by name: one a selected task, variant and seed.

    An option is taken from the variant, else from the task, else from the defaults.
    """
    block, found = config["codebook"], {}
    for task in config["select"]["codebooks"]:
        own = merge(block["defaults"], block["tasks"][task])
        _check(task, own, config)
        for variant in own["variants"]:
            for seed in own["seeds"]:
                options = {k: v for k, v in own.items() if k not in _TASK}
                options |= {**block["variants"][variant], "seed": seed}
                if options["batch"] % options["processes"]:
                    raise UserError(
                        f"config: codebook.tasks.{task}: a batch of {options['batch']} does not "
                        f"divide among {options['processes']} processes"
                    )
                name = f"{task}_{variant}_s{seed}"
                sets = {role: own[role] for role in ROLES}
                found[name] = Training(name, task, variant, sets, options, own.get("arrays", {}))
    for other, plain in block["contrasts"]:
        for variant in (other, plain):
            if variant not in block["variants"]:
                raise UserError(f"config: codebook.contrasts: no variant is called {variant!r}")
    return found


def _check(task: str, own: dict[str, Any], config: dict[str, Any]) -> None:
    where = f"config: codebook.tasks.{task}"
    for role in ROLES:
        name = own.get(role)
        if name not in config["datasets"]:
            raise UserError(f"{where}.{role}: no data set is called {name!r}")
        given = own.get("arrays", {}).get(role, {})
        missing = set(own["modalities"]) - set(modalities(config["datasets"][name])) - set(given)
        if missing:
            raise UserError(f"{where}.{role}: {name!r} has no {' and no '.join(sorted(missing))}")
    for variant in own["variants"]:
        if variant not in config["codebook"]["variants"]:
            known = ", ".join(config["codebook"]["variants"])
            raise UserError(f"{where}.variants: {variant!r} is not defined (known: {known})")


def codebook_sets(trainings: dict[str, Training]) -> list[str]:
    """Data sets that the codebooks of a run read, each once."""
    return list(dict.fromkeys(d for one in trainings.values() for d in one.datasets.values()))


def inputs_of(training: Training, run: str) -> dict[str, Any]:
    """Role -> pairs that a training reads, and the arrays of one's own."""
    pairs = {role: f"results/{run}/pairs/{d}.parquet" for role, d in training.datasets.items()}
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
