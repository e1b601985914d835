"""Options of the chapter `downstream`."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from mindgap.config.base import (
    Name,
    Names,
    Number,
    Options,
    Sides,
    Template,
    check_grid,
    distinct,
    number,
    some,
    text_or,
)


class Shifts(Options):
    """A grid of shifts along the unit gap vector."""

    start: Number = Field(-5, ge=-100, le=0, description="First shift.")
    stop: Number = Field(4.75, ge=0, le=100, description="Last shift.")
    step: Number = Field(0.25, gt=0, description="Distance between neighbouring shifts.")

    @model_validator(mode="after")
    def _grid(self) -> Self:
        check_grid(self.start, self.stop, self.step)
        return self


class TaskOptions(Options):
    """A zero-shot classification: items are classified by the nearest class prompt (Table 1)."""

    dataset: str = Field(description="A labelled set, or one that a model brings along.")
    prompts: text_or(
        Annotated[list[Template], Field(min_length=1)], Annotated[str, Field(min_length=1)]
    ) = Field(
        description="`template`, `ensemble` or a variant of workflow/prompts.yaml; a list of "
        "templates with {} for the class; or `rows`, where the text of an item is its prompt."
    )
    direction: str = Field(
        "own",
        description="own, from the class prompts to the items; or a set of pairs that the model "
        "embeds.",
    )


class AuditOptions(TaskOptions):
    """An audit of fairness: labels that fit nobody compete with the classes (Table 2)."""

    labels: text_or(
        Annotated[dict[str, Annotated[list[str], Field(min_length=1)]], Field(min_length=1)]
    ) = Field(
        description="Labels that fit nobody: category -> labels, or the name of such a list in "
        "workflow/prompts.yaml."
    )
    groups: some(str) | None = Field(
        None, description="Groups to audit, each of at least ten items; null takes all."
    )
    shifts: distinct(Number) = Field(
        [0, -0.2, -0.5, -1, 0.75],
        description="Shifts along the unit gap vector; 0 is what the others are compared with.",
    )
    sides: Sides = Field(
        "a", description="The items alone (a), as published, the prompts, or both."
    )

    @model_validator(mode="after")
    def _untouched(self) -> Self:
        if 0 not in self.shifts:
            raise ValueError("shifts lacks 0, which the others are compared with; add it")
        return self


class Methods(Options):
    """Ways of changing the gap without training."""

    calibration: Number = Field(
        0.5, gt=0, lt=1, description="Share of the items that a method is fitted on."
    )
    drop: distinct(Annotated[int, Field(ge=1)]) = Field(
        [1, 8, 32],
        description="Numbers of most different dimensions to remove; those of d or more are left "
        "out.",
    )
    shares: some(number(ge=0, le=1)) = Field(
        [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1], description="Shares of texts in a mixed corpus."
    )
    mixed_queries: int = Field(1000, ge=1, description="Queries of a mixed corpus at most.")


class Downstream(Options):
    """What the gap does to accuracy, fairness and retrieval."""

    datasets: Names | None = Field(
        None,
        description="Sets whose retrieval is shifted and whose methods are compared; null takes "
        "all.",
    )
    shifts: Shifts = Field(
        default_factory=Shifts,
        description="Grid of shifts along the unit gap vector, as in Table 1.",
    )
    sides: Sides = Field("both", description="Both modalities by half the shift, or one alone.")
    queries: int = Field(
        5000, ge=1, description="Queries of retrieval at most, against the whole gallery."
    )
    permutations: int = Field(
        10000,
        ge=100,
        description="Orders of the models behind the p-value of a rank correlation.",
    )
    tasks: dict[Name, TaskOptions] = Field({}, description="Classifications, by name.")
    audits: dict[Name, AuditOptions] = Field({}, description="Audits of fairness, by name.")
    methods: Methods = Field(
        default_factory=Methods, description="Ways of changing the gap without training."
    )
