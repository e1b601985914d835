"""Options of the chapters `embed` and `gap`."""

from typing import Annotated, Literal

from pydantic import Field

from mindgap.config.base import Name, Number, Options, some


class Embed(Options):
    """How encoders embed the pairs."""

    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="What networks compute in: auto is bfloat16 on a CUDA device and float32 "
        "elsewhere. Vectors are stored as float32 in any case.",
    )
    part_items: int = Field(
        4096, ge=1, description="Items that a restart after a kill repeats at most."
    )
    shards: dict[Name, Annotated[int, Field(ge=1)]] = Field(
        {},
        description="Number of jobs that embed a data set, by its name, for example "
        "{mscoco_train: 16}; one where none is given.",
    )
    join_items: int = Field(
        1_000_000,
        ge=2,
        description="A sharded set with more items is joined as an even sample of this many. Its "
        "measures from sums (gap/parts/{model}/{dataset}.sharded.csv) count every item.",
    )
    tile_items: int = Field(
        200_000,
        ge=0,
        description="Up to this many items the cosines of all pairs of a sharded set are counted; "
        "the statistics from sums have no such bound.",
    )


class Projection(Options):
    """The pictures of Figure 1."""

    methods: some(Literal["umap", "svd"]) = Field(
        ["umap", "svd"],
        description="umap is the main figure; svd, without centring, is Supp. Fig. 4.",
    )
    pairs: int = Field(
        1000, ge=2, description="Pairs drawn at most; a larger set is sampled with the run's seed."
    )
    neighbours: int = Field(
        15, ge=2, description="UMAP's n_neighbors; the default is UMAP's own, as in the paper."
    )
    min_dist: Number = Field(
        0.1, ge=0, le=1, description="UMAP's min_dist; the default is UMAP's own, as in the paper."
    )


class Gap(Options):
    """How the gap is measured."""

    bootstrap: int = Field(1000, ge=100, description="Resamples of pairs behind each interval.")
    confidence: Number = Field(0.95, gt=0.5, lt=1, description="Coverage of the intervals.")
    folds: int = Field(
        5,
        ge=2,
        description="Folds of the held-out linear classifier that tells the modalities apart.",
    )
    max_pairs: int = Field(
        2000,
        ge=10,
        description="Pairs that the quadratic or iterative measures (separability, MMD) use at "
        "most; a larger set is sampled with the run's seed. All other measures use every pair.",
    )
    bins: int = Field(200, ge=10, description="Bins of the cosine histograms between -1 and 1.")
    projection: Projection = Field(
        default_factory=Projection, description="The pictures of Figure 1."
    )
