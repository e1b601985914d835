"""Options of the chapter `cone`."""

from typing import Annotated, Literal

from pydantic import Field

from mindgap.config.base import Name, Names, Number, Options, Seed, Widths, distinct, number, some

Activation = Literal[
    "sigmoid", "relu", "leaky_relu", "tanh", "none", "gelu", "quick_gelu", "elu", "maxout"
]
_TWO = Field(ge=2)


class Mlp(Options):
    """A random ReLU network on rows of noise."""

    depth: int = Field(10, ge=1, description="Layers.")
    width: int = Field(512, ge=2, description="Units of a layer.")


class TrainedTower(Options):
    """Trained weights beside the random ones."""

    model: Name = Field(description="Architecture, as the tables name it.")
    checkpoints: some(Annotated[str, Field(min_length=1)]) = Field(
        description="Folders, or names on the hub whose files are in the local cache. Several "
        "checkpoints of one architecture are one cloud each in Fig. 2c (Supp. 13)."
    )
    revision: str | None = Field(None, description="Revision on the hub.")


class Towers(Options):
    """Towers, and the inputs that they embed."""

    models: some(Literal["resnet-18", "resnet-tiny", "vit-b-32", "vit-b-16", "tiny"]) = Field(
        ["resnet-18", "vit-b-32"], description="Architectures."
    )
    seeds: int = Field(25, ge=2, description="Initialisations of each, with the seeds 0, 1, ...")
    noise_items: int = Field(16, ge=2, description="Noise inputs; the paper has 5000.")
    noise_seed: Seed = Field(42, description="Seed of the noise inputs.")
    items: int = Field(16, ge=2, description="Items of each data set; the paper has 5000.")
    drawings: dict[str, str] = Field(
        {},
        description="A set of `datasets` and the set that draws the same items another way, item "
        "i beside item i.",
    )
    few: int = Field(
        5,
        ge=0,
        description="Initialisations that also see second drawings, drawn captions and no "
        "normalisation.",
    )
    mlp: Mlp = Field(default_factory=Mlp, description="A random ReLU network on rows of noise.")
    batch_size: int = Field(16, ge=1, description="Inputs of one forward pass.")
    trained: dict[Name, TrainedTower] = Field({}, description="Trained weights, by name.")


class CloudMeasures(Options):
    """What is measured on the embeddings of towers."""

    datasets: Names = Field([], description="Data sets of pictures with captions, by name.")
    sizes: distinct(Annotated[int, _TWO]) = Field(
        [64, 128, 256, 512, 1024], description="Embedding sizes of fresh projections."
    )
    bins: int = Field(400, ge=10, description="Bins of the cosine histograms between -1 and 1.")
    neighbour_rows: int = Field(
        5000, ge=10, description="Rows of the nearest-neighbour vote at most."
    )
    points: int = Field(2500, ge=10, description="Points of a scatter plot at most.")
    methods: some(Literal["umap", "pca"]) = Field(
        ["umap", "pca"], description="umap is Fig. 2c, pca is Supp. Fig. 7."
    )
    neighbours: int = Field(15, ge=2, description="UMAP's n_neighbors.")
    min_dist: Number = Field(0.1, ge=0, le=1, description="UMAP's min_dist.")


class Initialisations(CloudMeasures, Towers):
    """Many random initialisations of one architecture on the same inputs (Fig. 2a, 2c)."""


class Blocks(Options):
    """Which part of a modern network makes the cone."""

    activations: some(Activation) = Field(["relu", "gelu"], description="Activations.")
    kinds: list[Literal["plain", "residual", "layernorm", "residual_layernorm", "transformer"]] = (
        Field(
            ["plain", "residual", "layernorm", "residual_layernorm", "transformer"],
            description="Kinds of blocks.",
        )
    )
    seeds: int = Field(5, ge=2, description="Networks of each kind.")


class WidthStudy(Options):
    """One activation at several widths."""

    activation: Activation = Field("relu", description="Activation.")
    widths: Widths = Field([64, 256, 1024], description="Widths.")
    seeds: int = Field(5, ge=2, description="Networks of each width.")
    inputs: int = Field(64, ge=2, description="Standard normal rows.")


class Depth(Options):
    """Mean cosine over the depth of random networks (Fig. 2b)."""

    depth: int = Field(25, ge=1, description="Number of layers.")
    width: int = Field(512, ge=2, description="Units of a layer.")
    inputs: int = Field(1024, ge=2, description="Standard normal rows.")
    seeds: int = Field(20, ge=2, description="Networks of each kind; the paper has one.")
    activations: some(Activation) = Field(
        ["sigmoid", "relu", "leaky_relu", "tanh", "none", "gelu", "quick_gelu", "elu", "maxout"],
        description="Activations.",
    )
    biases: some(Literal["normal", "uniform", "none"]) = Field(
        ["normal", "uniform", "none"],
        description="Biases: drawn from N(0, 1/width), PyTorch's default, or none.",
    )
    blocks: Blocks = Field(
        default_factory=Blocks, description="What makes the cone in a modern network."
    )
    widths: WidthStudy = Field(
        default_factory=WidthStudy, description="One activation at several widths."
    )


class Growth(Options):
    """Theorem 1 on random draws."""

    widths: Widths = Field([16, 64, 512], description="Widths of the layer.")
    ratios: some(number(gt=0)) = Field(
        [1, 1.5, 2, 3], description="Ratios of the lengths of two inputs."
    )
    cosines: some(number(ge=-1, le=1)) = Field(
        [0, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99],
        description="Cosines between two inputs.",
    )
    draws: int = Field(5000, ge=10, description="Layers drawn.")


class Variance(Options):
    """Theorem 2 on random draws."""

    depth: int = Field(10, ge=1, description="Layers.")
    width: int = Field(512, ge=2, description="Units of a layer.")
    inputs: int = Field(200, ge=2, description="Inputs.")
    draws: int = Field(300, ge=4, description="Initialisations.")
    units: int = Field(32, ge=1, description="Units that the unit-wise minimum is taken over.")


class Cap(Options):
    """The share of a sphere that a cone covers (section 2.1)."""

    cosine: Number = Field(0.56, ge=-1, le=1, description="Cosine of the full angle of the cone.")
    dimensions: list[Annotated[int, _TWO]] = Field(
        [2, 3, 512], min_length=1, description="Dimensions."
    )


class Theorems(Options):
    """Theorems 1 and 2 on random draws, and the sphere of section 2.1."""

    growth: Growth = Field(default_factory=Growth, description="Theorem 1.")
    variance: Variance = Field(default_factory=Variance, description="Theorem 2.")
    cap: Cap = Field(default_factory=Cap, description="Share of a sphere in a cone.")


class Cone(Options):
    """The cone at initialisation."""

    initialisations: Initialisations = Field(
        default_factory=Initialisations,
        description="Many random initialisations of one architecture.",
    )
    depth: Depth = Field(
        default_factory=Depth, description="Mean cosine over the depth of random networks."
    )
    theorems: Theorems = Field(
        default_factory=Theorems, description="Both theorems on random draws."
    )
