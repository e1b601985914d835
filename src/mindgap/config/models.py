"""Definitions of models, one class for each kind."""

from typing import Annotated, Any, Literal, Self, Union

from pydantic import Field, model_validator

from mindgap.config.base import (
    Captions,
    FilePath,
    Modality,
    Name,
    Number,
    Options,
    Scale,
    Seed,
    Seeds,
    Weights,
    distinct,
    some,
)
from mindgap.config.codebook import Inputs

Hub = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$")]
_LABEL = "Name of the column in Figure 1 (default: the model's name)."
_SEEDS = "Seeds of random weights: one model each, named {name}_s{seed}."


class ClipModel(Options):
    """CLIP's architecture with random weights: a real two-tower model before any training."""

    kind: Literal["clip"]
    label: str | None = Field(None, description=_LABEL)
    architecture: Literal["vit-b-32", "vit-b-16", "tiny"] = Field(
        description="Sizes of the two towers."
    )
    weights: Literal["random"] = Field(
        "random", description="Drawn by OpenAI's own initialiser, without a download."
    )
    seeds: Seeds = Field([0], description=_SEEDS)
    captions: Captions = Field("first", description="Which captions of an item are embedded.")
    batch_size: int = Field(32, ge=1, description="Items of one forward pass.")


class Encoded(Options):
    """What models that are read from a checkpoint have in common."""

    weights: Weights = Field("trained", description="random draws them, from `seeds`.")
    captions: Captions = Field("first", description="Which captions of an item are embedded.")
    batch_size: int = Field(
        32, ge=1, description="Items of one forward pass; halved where memory is full."
    )
    modalities: distinct(Literal["image", "text", "audio", "video"], min_length=1, max_length=2) = (
        Field(
            ["image", "text"],
            description="What the encoder embeds, as its model type has it. A single tower has one "
            "and takes no part in the chapters that compare two.",
        )
    )


class EncoderModel(Encoded):
    """Any encoder of transformers, by name on the hub or from a folder.

    Its type is clip, siglip, siglip2, align, altclip, chinese_clip, clap, xclip or flava; or
    resnet, vit or bert, which have one modality.
    """

    kind: Literal["encoder"]
    label: str | None = Field(None, description=_LABEL)
    checkpoint: Hub | None = Field(None, description="Name on the hub, fetched once.")
    revision: Name | None = Field(
        None,
        description="Commit, tag or branch (default: main); the commit is recorded and checked.",
    )
    folder: FilePath | None = Field(
        None, description="Folder that save_pretrained wrote, in place of `checkpoint`."
    )
    seeds: Seeds | None = Field(None, description=_SEEDS)
    datasets: some(str) | None = Field(
        None, description="Which of the selected data sets it embeds (default: all that fit)."
    )
    expect: dict[str, Any] | None = Field(
        None,
        description="Facts of the checkpoint that must hold, for example {padding: max_length}.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.checkpoint is None) == (self.folder is None):
            raise ValueError("give either checkpoint (a name on the hub) or folder (a path)")
        if self.revision and self.folder:
            raise ValueError("a folder has no revision; give checkpoint or leave revision out")
        if (self.weights == "random") != (self.seeds is not None):
            raise ValueError("weights: random needs seeds, and only random weights have them")
        return self


class TrainedModel(Encoded):
    """A model that the run trains itself."""

    kind: Literal["trained"]
    label: str | None = Field(None, description=_LABEL)
    weights: Literal["trained"] = Field("trained", description="Row of Figure 1.")
    training: str = Field(description="Name of the training, for example clip_small_s0.")
    datasets: some(str) = Field(description="Data sets that it embeds, selected or not.")


class JointModel(Options):
    """Small encoders of three modalities or more of one data set, trained together on another.

    One fine-grained encoder for each modality; the loss is the mean of CLIP's over all pairs of
    modalities, at a fixed temperature.
    """

    kind: Literal["joint"]
    label: str | None = Field(None, description=_LABEL)
    weights: Literal["trained"] = Field("trained", description="Row of Figure 1.")
    modalities: distinct(Literal["image", "text", "audio", "video"], min_length=3, max_length=4) = (
        Field(description="What the encoders embed.")
    )
    train: str = Field(description="Data set to train on.")
    dataset: str = Field(description="Data set that they embed, selected or not.")
    inputs: Inputs = Field(default_factory=Inputs, description="How media become inputs.")
    width: int = Field(32, ge=4, description="Width of the encoders.")
    layers: int = Field(0, ge=0, description="Layers of each encoder above its first.")
    dimension: int = Field(64, ge=2, description="Size of the shared space.")
    steps: int = Field(160, ge=1, description="Training steps.")
    batch: int = Field(128, ge=2, description="Items of a step.")
    learning_rate: Number = Field(
        0.003, gt=0, le=1, description="Learning rate at the start; it falls to zero as a cosine."
    )
    inverse_temperature: Scale = Field(
        14.2857, description="1/tau; the default is 1/0.07, where CLIP starts."
    )
    seed: Seed = Field(0, description="Seed of the weights and the batches.")


class FeaturesModel(Options):
    """Published features: one array of shape (2, n, d), one modality in each half."""

    kind: Literal["features"]
    label: str | None = Field(None, description=_LABEL)
    dataset: Name = Field(description="Name of the set that the features come from.")
    source: str = Field(description="Source in workflow/sources.yaml.")
    file: str = Field(description="File name within the source.")
    modalities: distinct(Modality, min_length=2, max_length=2) = Field(
        description="Modality of each half, in order."
    )
    weights: Weights = Field(description="Row of Figure 1.")


class ArraysModel(Options):
    """Embeddings of your own: one file for each of two or more modalities, row i beside row i."""

    kind: Literal["arrays"]
    label: str | None = Field(None, description=_LABEL)
    dataset: Name = Field("own", description="Name of the set.")
    source: str | None = Field(
        None,
        description="Source in workflow/sources.yaml that the files belong to; without it they "
        "are your own.",
    )
    modalities: Annotated[dict[Modality, FilePath], Field(min_length=2)] = Field(
        description="Modality -> .npy, .npz or .safetensors file with an (n, d) array; "
        "`file.npz#key` names one array of several."
    )
    labels: FilePath | None = Field(
        None, description="File with the class of each item, whole numbers from 0."
    )
    classes: distinct(str, min_length=2) | None = Field(
        None, description="Names of the classes, for a task with `prompts: rows`."
    )
    groups: FilePath | None = Field(
        None, description="File with the group of each item, whole numbers."
    )
    weights: Weights = Field("trained", description="Row of Figure 1.")


KINDS = [ClipModel, EncoderModel, TrainedModel, JointModel, FeaturesModel, ArraysModel]
ModelDefinition = Annotated[Union[*KINDS], Field(discriminator="kind")]
