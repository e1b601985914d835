"""Options of the chapter `shift`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from mindgap.config.base import Name, Number, Options, Scales, Sides, check_grid, number, text_or


class Landscape(Options):
    """A loss landscape: the loss of a model over shifts along the unit gap vector."""

    start: Number = Field(
        ge=-1e4,
        le=1e4,
        description="First shift along the unit gap vector, a length, not a share of the gap.",
    )
    stop: Number = Field(ge=-1e4, le=1e4, description="Last shift.")
    step: Number = Field(gt=0, description="Distance between neighbouring shifts.")
    sides: Sides = Field("both", description="Both modalities by half the shift, or one alone.")
    batch: int | None = Field(
        None,
        ge=2,
        description="Pairs in a batch, in the order of the set; null takes the whole set as one.",
    )
    inverse_temperatures: text_or(Scales, Literal["learned"]) | None = Field(
        None,
        description="1/tau, in place of those of the chapter; `learned` is that of a model which "
        "this run trains, other models are left out.",
    )

    @model_validator(mode="after")
    def _grid(self) -> Self:
        check_grid(self.start, self.stop, self.step)
        return self


class Spheres(Options):
    """The two small worlds on the sphere."""

    spacings: list[number(gt=0, le=60)] = Field(
        [20, 15],
        min_length=1,
        description="Degrees between neighbours in the world of six pairs: 20 as in the published "
        "code and figure, 15 as in the text.",
    )
    inverse_temperatures: Scales = Field(
        [1, 5, 35, 50, 100], description="1/tau in the world of six pairs."
    )
    ring_inverse_temperatures: Scales = Field(
        [1, 5, 10, 50, 100, 500, 1000], description="1/tau in the world of two rings."
    )


class Shift(Options):
    """The loss over shift and temperature."""

    inverse_temperatures: Scales = Field(
        [100, 50, 30, 20, 10, 1], description="1/tau, the logit scale."
    )
    landscapes: dict[Name, Landscape] = Field({}, description="Loss landscapes, by name.")
    spheres: Spheres = Field(
        default_factory=Spheres, description="The two small worlds on the sphere."
    )
