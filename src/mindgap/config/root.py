"""All options of a run, and what it selects among its definitions."""

from typing import Annotated, Literal

from pydantic import Field

from mindgap.config.base import DEVICE_PATTERN, Name, Names, Options, Seed, distinct, some
from mindgap.config.codebook import Codebook
from mindgap.config.cone import Cone
from mindgap.config.datasets import DatasetDefinition
from mindgap.config.downstream import Downstream
from mindgap.config.gap import Embed, Gap
from mindgap.config.models import ModelDefinition
from mindgap.config.shift import Shift
from mindgap.config.train import Train

Experiments = Literal["initialisations", "depth", "theorems"]
Chapter = Literal["cone", "shift", "train", "downstream", "codebook"]


class Select(Options):
    """What a run uses, by the names of the definitions."""

    datasets: Names = Field([], description="Data sets that every selected encoder embeds.")
    models: some(str) = Field(
        description="Models; those that bring their own embeddings bring their data set, too."
    )
    landscapes: some(str) = Field(description="Loss landscapes.")
    chapters: distinct(Chapter) = Field(
        [],
        description="What the run computes that is about no model of yours: the experiments of "
        "`cone`, the spheres of `shift`, the run's own models of `train`, the papers' statistics "
        "of `downstream`, the tasks of `codebook`.",
    )
    cone: distinct(Experiments) = Field([], description="Experiments of `cone`.")
    trainings: Names = Field([], description="Trainings of the chapter `train`.")
    experiments: Names = Field([], description="Comparisons of trainings.")
    tasks: Names = Field(
        [], description="Classifications, by every model of the run that embeds their set."
    )
    audits: Names = Field([], description="Audits of fairness, likewise.")
    codebooks: Names = Field([], description="Tasks of the chapter `codebook`.")


class Config(Options):
    """All options of a run."""

    run: Name = Field(description="Name of the run; results go to results/{run}.")
    seed: Seed = Field(
        0, description="Seed of every random draw that has none of its own (bootstrap, samples)."
    )
    device: Annotated[str, Field(pattern=DEVICE_PATTERN)] = Field(
        "auto",
        description="Where networks run: auto takes an accelerator where there is one; or cpu, "
        "cuda, cuda:1, mps.",
    )
    threads: int = Field(
        1, ge=1, description="Threads of a job; as many jobs run at a time as there are cores for."
    )
    mirror: str | None = Field(
        None,
        description="Folder or base address that is tried before a source's own address, by "
        "{source}/{filename} or by checksum; the variable MINDGAP_MIRROR goes before it.",
    )
    select: Select = Field(description="What the run uses, by the names of the definitions.")
    datasets: dict[Name, DatasetDefinition] = Field({}, description="Data sets, by name.")
    models: dict[Name, ModelDefinition] = Field({}, description="Models, by name.")
    embed: Embed = Field(default_factory=Embed, description="Options of the chapter embed.")
    gap: Gap = Field(default_factory=Gap, description="Options of the chapter gap.")
    shift: Shift = Field(default_factory=Shift, description="Options of the chapter shift.")
    cone: Cone = Field(default_factory=Cone, description="Options of the chapter cone.")
    train: Train = Field(default_factory=Train, description="Options of the chapter train.")
    downstream: Downstream = Field(
        default_factory=Downstream, description="Options of the chapter downstream."
    )
    codebook: Codebook = Field(
        default_factory=Codebook, description="Options of the chapter codebook."
    )
