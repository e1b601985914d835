"""What the options of all chapters share: the base class and the types of single values."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    WrapValidator,
)

#: Grids of shifts have at most this many points.
MOST_POINTS = 100_000


class Options(BaseModel):
    """Options of one part of a run: unknown keys are refused, values are never converted."""

    # One validator is built for all options of a run, at its first use, and not one for each class.
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True
    )

    def given(self) -> dict[str, Any]:
        """Plain values of what differs from the defaults, and of what has none."""
        return self.model_dump(exclude_defaults=True)


def _as_given(value: Any, handler: Callable) -> float:
    checked = handler(value)
    return value if isinstance(value, int) else checked


def _unique(values: list) -> list:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands there twice; name it once")
    return values


def text_or(other: Any, text: Any = str) -> Any:
    """Type of a value that is a text or something else; a mistake is told of the one given."""
    return Annotated[
        Annotated[text, Tag("text")] | Annotated[other, Tag("other")],
        Discriminator(lambda value: "text" if isinstance(value, str) else "other"),
        PlainSerializer(lambda value: value),
    ]


def number(**bounds: float) -> Any:
    """Type of a number that stays whole where it was given whole, as tables show it."""
    return Annotated[float, Field(**bounds), WrapValidator(_as_given)]


def distinct(kind: Any, **lengths: int) -> Any:
    """Type of a list of distinct values."""
    unique = Field(**lengths, json_schema_extra={"uniqueItems": True})
    return Annotated[list[kind], AfterValidator(_unique), unique]


def some(kind: Any) -> Any:
    """Type of a list of distinct values, at least one."""
    return distinct(kind, min_length=1)


#: Braces are Snakemake's own.
FILE_PATTERN = r"^[^{}]+$"
TEMPLATE_PATTERN = r"[{][}]"
DEVICE_PATTERN = r"^(auto|cpu|mps|cuda(:[0-9]+)?)$"

Number = number()
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
FilePath = Annotated[str, Field(pattern=FILE_PATTERN)]
Modality = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Template = Annotated[str, Field(pattern=TEMPLATE_PATTERN)]
Seed = Annotated[int, Field(ge=0)]
Names = distinct(str)
Seeds = some(Seed)
Widths = some(Annotated[int, Field(ge=1)])
#: 1/tau; beyond this range the loss is that of the nearest row alone, or knows no difference.
Scale = number(ge=1e-8, le=1e9)
Scales = some(Scale)
Sides = Literal["both", "a", "b"]
Captions = Literal["first", "last", "all"]
Weights = Literal["trained", "random"]


def check_grid(start: float, stop: float, step: float) -> None:
    """Refuse a grid that runs backwards or has too many points."""
    if stop < start:
        raise ValueError(f"stop is {stop:g}, below start, which is {start:g}; swap them")
    if (stop - start) / step > MOST_POINTS:
        raise ValueError(
            f"step {step:g} makes more than {MOST_POINTS:,} points from {start:g} to {stop:g}; "
            "take a larger step"
        )
