"""Options of the chapter `codebook`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mindgap.config.base import (
    FilePath,
    Modality,
    Name,
    Number,
    Options,
    Seeds,
    distinct,
    some,
)
from mindgap.config.train import Batch, Rate, Recipe, SaveEvery, Steps, WeightDecay

Pair = distinct(Modality, min_length=2, max_length=2)
Variants = some(str)


class Inputs(Options):
    """How media become inputs."""

    size: int = Field(32, ge=8, multiple_of=8, description="Side of pictures and clips in pixels.")
    frames: int = Field(4, ge=1, description="Frames of a clip.")
    span: int = Field(2, ge=1, description="Frames of a slice; divides frames.")
    rate: int = Field(8000, ge=1000, description="Samples per second.")
    hop: int = Field(200, ge=1, description="Samples between log-mel frames.")
    mels: int = Field(40, ge=4, description="Mel bands.")
    seconds: Number = Field(1.0, gt=0, description="Longest sound; the rest is cut off.")
    centred: bool = Field(
        False,
        description="Whether each sound's mean spectrum is subtracted, and with it loudness and "
        "much of the voice.",
    )
    context: int = Field(48, ge=1, description="Words of a text at most.")
    words: int = Field(10000, ge=1, description="Words of the vocabulary at most.")


class TwoPathOptions(Options):
    """What a codebook is trained on, its two paths and its loss."""

    modalities: Pair = Field(
        ["video", "audio"], description="image, video, audio or text; with `arrays` any name."
    )
    inputs: Inputs = Field(default_factory=Inputs, description="How media become inputs.")
    captions: Literal["first", "last", "random"] = Field(
        "first", description="Caption of an item in training, where it has several."
    )
    sources: str | None = Field(
        None,
        description="Column of the pairs whose equal values are not counted as wrong answers to "
        "each other.",
    )
    width: int = Field(64, ge=4, multiple_of=2, description="Width of tokens.")
    layers: int = Field(1, ge=0, description="Layers of each encoder above its first.")
    dimension: int = Field(64, ge=2, description="Size of the final vectors.")
    paths: Literal["continuous", "discrete", "both"] = Field(
        "both", description="Paths from tokens to vectors."
    )
    quantiser: Literal["ema", "learned", "fsq", "rvq", "simvq"] = Field(
        "ema",
        description="Codes as moving averages, learned by gradients, or fixed levels; rvq adds a "
        "second codebook for what the first leaves over, simvq learns one map of fixed codes.",
    )
    codes: int = Field(64, ge=2, le=32767, description="V, the number of codes.")
    levels: list[Annotated[int, Field(ge=2)]] = Field(
        [8, 8], min_length=1, description="Levels of each dimension of fsq."
    )
    code_dimension: int = Field(8, ge=2, description="D, the size of the space of codes.")
    decay: Rate = Field(0.99, description="Decay of the moving averages.")
    distance: Literal["euclidean", "cosine"] = Field(
        "euclidean", description="Distance between tokens and codes."
    )
    gradient: Literal["straight_through", "rotation"] = Field(
        "straight_through", description="How the gradient passes the quantiser."
    )
    dead: Rate = Field(
        0.03, description="Share of the mean count below which an idle code is replaced."
    )
    dead_after: int | None = Field(
        None,
        ge=1,
        description="Updates without a token after which a code is replaced, in place of the rule "
        "by share; null for that rule.",
    )
    replacement: Literal["token", "code"] = Field(
        "token",
        description="What replaces it: a token of the step, or a copy of an active code.",
    )
    weighting: Literal["modality", "token"] = Field(
        "modality", description="What weighs the same in the moving averages."
    )
    start: int = Field(80, ge=0, description="Steps without quantisation.")
    initial_codes: Literal["kmeans", "random"] = Field(
        "kmeans",
        description="Codes to start from: k-means of the tokens of that step, or standard normal "
        "draws.",
    )
    token_norm: Literal["batch", "none"] = Field(
        "batch", description="Batch norm of each modality's tokens in the space of codes, or none."
    )
    pooling: Literal["mean_max", "mean"] = Field(
        "mean_max", description="Pooling of tokens on the continuous path."
    )
    matching: Number = Field(1.0, ge=0, description="alpha, weight of code matching.")
    form: Literal["cross_entropy", "kl", "js"] = Field(
        "cross_entropy", description="Similarity of two distributions of codes."
    )
    both_directions: bool = Field(
        True, description="Whether code matching goes both ways; the paper has one direction."
    )
    assignment_temperature: Number = Field(
        0.3, gt=0, description="tau of p(v|h), the soft assignment."
    )
    score_temperature: Number = Field(
        1.0, gt=0, description="Temperature of S_code, the similarity of distributions."
    )
    commitment: Number = Field(0.25, ge=0, description="beta, weight of the commitment loss.")
    margin: Number = Field(0.001, ge=0, description="M of masked margin softmax.")
    steps: Steps = 400
    batch: Batch = 128


class CodebookRecipe(Recipe, TwoPathOptions):
    """Everything that decides the numbers of a codebook, but for its seed."""

    weight_decay: WeightDecay = 0.01
    clip: Number = Field(1.0, ge=0, description="Largest norm of the gradient; 0 for no bound.")
    measure_items: int = Field(
        500, ge=20, description="Held-out items that the steps are measured on."
    )


class CodebookOptions(CodebookRecipe):
    """How a codebook is trained, measured and read."""

    save_every: SaveEvery
    classes: bool = Field(
        False, description="Whether retrieval is measured by class, too (column label)."
    )
    max_pairs: int = Field(1000, ge=20, description="Pairs of the final separability at most.")
    sets: int = Field(
        5, ge=1, description="Random sets of held-out pairs that retrieval is measured on."
    )
    set_items: int = Field(1000, ge=2, description="Pairs of such a set.")
    top: int = Field(3, ge=1, description="Concepts that a code is described by.")
    seeds: Seeds = Field([0, 1, 2], description="Seeds, one training each.")
    variants: Variants = Field(
        ["continuous", "both", "matched", "discrete"], description="Variants of each task."
    )


class Variant(CodebookOptions):
    """A way to train a codebook: what differs from the task."""


class Arrays(Options):
    """Tokens of somebody else's encoder."""

    train: dict[str, FilePath] = Field({}, description="Modality -> file, of the training set.")
    test: dict[str, FilePath] = Field({}, description="Modality -> file, of the held-out set.")

    def files(self) -> list[str]:
        """All files, of both sets."""
        return [*self.train.values(), *self.test.values()]


class CodebookTask(CodebookOptions):
    """Two modalities that share a codebook: what differs from the defaults of the chapter."""

    train: str = Field(description="Data set to train on.")
    test: str = Field(description="Data set of held-out pairs.")
    arrays: Arrays = Field(
        default_factory=Arrays,
        description="Tokens of somebody else's encoder in place of ours: .npz files with rows "
        "(n, L, d) and length (n,).",
    )


class Codebook(Options):
    """Codebooks that two modalities share."""

    threads: int = Field(1, ge=1, description="Threads of a training.")
    shown: str = Field("matched", description="Variant whose codes are drawn, of the first seed.")
    codes_shown: int = Field(8, ge=1, description="Codes in the figure of meanings.")
    examples: int = Field(3, ge=1, description="Examples of a code in each modality.")
    contrasts: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(
        [], description="Variants that are compared seed by seed: the first minus the second."
    )
    defaults: CodebookOptions = Field(
        default_factory=CodebookOptions, description="Options of every codebook of the run."
    )
    variants: dict[Name, Variant] = Field(
        {}, description="Variants, by name; an option of a variant goes before that of a task."
    )
    tasks: dict[Name, CodebookTask] = Field(
        {}, description="Tasks, by name; what one leaves out is taken from `defaults`."
    )

    @model_validator(mode="after")
    def _contrasts(self) -> Self:
        for variant in (name for pair in self.contrasts for name in pair):
            if variant not in self.variants:
                raise ValueError(f"contrasts names {variant!r}, which is not among the variants")
        return self
