"""Options of the chapter `train`."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from mindgap.config.base import Name, Number, Options, Scale, Seeds, number, some

Rate = number(ge=0, lt=1)
Betas = Annotated[list[Rate], Field(min_length=2, max_length=2)]
Steps = Annotated[int, Field(ge=1, description="Training steps.")]
Batch = Annotated[
    int,
    Field(ge=1, description="Pairs in a step; the last, incomplete batch of an epoch is dropped."),
]
WeightDecay = Annotated[number(ge=0), Field(description="Weight decay of every parameter.")]
SaveEvery = Annotated[
    number(ge=0),
    Field(default=30, description="Seconds between the states that a restart goes on from."),
]


class SmallClip(Options):
    """Sizes of a small CLIP of the run's own."""

    width: int = Field(64, ge=4, description="Width of both towers.")
    layers: int = Field(2, ge=1, description="Layers of both towers.")
    heads: int = Field(4, ge=1, description="Attention heads.")
    image_size: int = Field(32, ge=8, description="Side of the pictures in pixels.")
    patch_size: int = Field(8, ge=1, description="Side of a patch in pixels.")
    dimension: int = Field(64, ge=2, description="Size of the shared space.")
    context: int = Field(48, ge=4, description="Tokens of a text at most.")
    words: int = Field(10000, ge=1, description="Words of the vocabulary at most.")


class Recipe(Options):
    """How a model is optimised; each kind of model has its own `steps` and `batch` beside it."""

    processes: int = Field(1, ge=1, description="torchrun processes that share a batch.")
    optimiser: Literal["adamw", "adam_l2"] = Field(
        "adamw", description="adam_l2, as published, adds the weight decay to the gradient."
    )
    learning_rate: Number = Field(0.002, gt=0, description="Largest learning rate.")
    weight_decay: WeightDecay
    betas: Betas = Field([0.9, 0.98], description="Decay rates of the optimiser's moments.")
    epsilon: Number = Field(1e-6, gt=0, description="Epsilon of the optimiser.")
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="Learning rate after the warm-up."
    )
    warmup: int = Field(20, ge=0, description="Steps of linear growth of the learning rate.")
    precision: Literal["auto", "float32"] = Field(
        "auto", description="What the encoders compute in: auto is bfloat16 on a CUDA device."
    )


class DualOptions(Options):
    """What a dual encoder is trained on, and by which loss."""

    model: str = Field("small", description="Sizes of the model, by their name in train.models.")
    train: str | None = Field(None, description="Data set to train on.")
    test: str | None = Field(None, description="Data set of held-out pairs to measure on.")
    zero_shot: str | None = Field(
        None, description="Labelled pictures to classify by the prompts of their classes, or null."
    )
    captions: Literal["first", "last", "random"] = Field(
        "first", description="Caption of an item; random draws another one in each epoch."
    )
    augmentation: Literal["none", "flip_crop", "resized_crop"] = Field(
        "none",
        description="Pictures are mirrored and moved, or mirrored and cut, in each step. Not for "
        "captions that tell left from right.",
    )
    word_dropout: Rate = Field(0, description="Share of a caption's words that a step leaves out.")
    wrong_captions: Number = Field(
        0, ge=0, le=1, description="Share of items that get another item's captions."
    )
    loss: Literal["cross_entropy", "sigmoid", "masked_margin", "uniformity", "dual", "simple"] = (
        Field("cross_entropy", description="Loss.")
    )
    temperature: Literal["learned", "fixed", "scheduled"] = Field(
        "learned", description="Learned from its start, fixed, or scheduled to a final value."
    )
    inverse_temperature: Scale = Field(
        14.2857, description="1/tau at the start; the default is 1/0.07, as CLIP's."
    )
    final_inverse_temperature: Scale | None = Field(
        None, description="1/tau at the end, where it is scheduled."
    )
    largest_scale: Scale = Field(100, description="Upper bound of a learned logit scale.")
    amend: Literal["none", "procrustes", "centre"] = Field(
        "none", description="Map of the untrained model's rows, fitted once and then frozen."
    )
    steps: Steps = 300
    batch: Annotated[Batch, Field(ge=2)] = 256
    accumulate: int = Field(
        1, ge=1, description="Pieces of a batch; the loss is that of the whole batch all the same."
    )


# Fields stand in the order of the bases, the last one first.
class DualRecipe(Recipe, DualOptions):
    """Everything that decides the numbers of a dual encoder, but for its seed."""

    weight_decay: WeightDecay = 0.1


class TrainingOptions(DualRecipe):
    """How a model is trained and measured."""

    save_every: SaveEvery
    bootstrap: int = Field(
        1000,
        ge=100,
        description="Resamples of held-out pairs behind the interval of the final gap.",
    )
    confidence: Number = Field(0.95, gt=0.5, lt=1, description="Coverage of that interval.")
    seeds: Seeds = Field([0], description="Seeds, one training each.")


class TrainingDefinition(TrainingOptions):
    """A training: what differs from the defaults of the chapter."""

    start: str | None = Field(
        None,
        description="What to go on from: a training, a definition (its training of the same seed), "
        "or an encoder under `models`.",
    )
    vary: dict[str, some(Any)] = Field(
        {}, max_length=1, description="One option and its values, one training each."
    )

    @model_validator(mode="after")
    def _varied(self) -> Self:
        """Check each value of a varied option as if it stood in a definition of its own."""
        for key, values in self.vary.items():
            if key in ("vary", "start", "seeds") or key not in type(self).model_fields:
                raise ValueError(f"vary names {key!r}, which is no option that can be varied")
            for value in values:
                TrainingOptions.model_validate({key: value})
        return self


class Experiment(Options):
    """A comparison of trainings: along an option, or of several definitions with one."""

    trainings: some(str) | None = Field(None, description="Definitions that are followed.")
    over: str | None = Field(None, description="Option over which the measure is followed.")
    plain: str | None = Field(None, description="Definition that the others are compared with.")
    others: some(str) | None = Field(None, description="Definitions that are compared with it.")
    measure: str = Field("gap", description="Column of trainings.csv.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = {key for key in ("trainings", "over", "plain", "others") if getattr(self, key)}
        if given not in ({"trainings", "over"}, {"plain", "others"}):
            raise ValueError("give either trainings and over, or plain and others")
        return self


class Train(Options):
    """Models that the run trains itself."""

    threads: int = Field(
        1,
        ge=1,
        description="Threads of a training: on a CPU two small trainings side by side are faster "
        "than one with two threads.",
    )
    models: dict[Name, SmallClip] = Field({}, description="Sizes of small CLIP models, by name.")
    defaults: TrainingOptions = Field(
        default_factory=TrainingOptions, description="Options of every training of the run."
    )
    trainings: dict[Name, TrainingDefinition] = Field(
        {}, description="Trainings, by name; what one leaves out is taken from `defaults`."
    )
    experiments: dict[Name, Experiment] = Field({}, description="Comparisons, by name.")
