"""The registry of measures: what each is computed from, and which columns it fills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: What a measure can be a function of: `Moments`, `AllPairs` (both in `mindgap.gap.sums`), the unit
#: rows x and y of all pairs or of a sample, or the draws of `mindgap.gap.measures`. Moments and
#: statistics of all pairs merge from shards, so their measures exist for sharded sets too.
MOMENTS, PAIRS, ROWS, SAMPLE, DRAWS = "moments", "pairs", "rows", "sample", "draws"
#: What a measure tells: how far apart the modalities are, or how much each varies.
DISTANCE, SPREAD = "distance", "spread"


@dataclass(frozen=True)
class Measure:
    """A function of one source, and the columns of gap.csv that it fills."""

    source: str
    columns: tuple[str, ...]
    tells: str | None
    function: Callable[..., Any]


MEASURES: list[Measure] = []


def measure(source: str, *columns: str, tells: str | None = None) -> Callable:
    """Register a function as a measure; columns are in the order of definition.

    A function fills the column of its own name; one that returns a tuple names its `columns`, and
    one that returns a dict gives them with the values. Measures that tell something are correlated
    with downstream scores.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        MEASURES.append(Measure(source, columns or (function.__name__,), tells, function))
        return function

    return register


def compute(**sources: tuple) -> dict[str, float]:
    """One row with the columns of every measure whose source (its arguments) is given."""
    row: dict[str, float] = {}
    for one in MEASURES:
        if one.source in sources:
            found = one.function(*sources[one.source])
            if not isinstance(found, dict):
                values = found if isinstance(found, tuple) else (found,)
                found = dict(zip(one.columns, values, strict=True))
            row |= found
    return row
