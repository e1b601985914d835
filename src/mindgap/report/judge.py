"""The verdict on one claim."""

from __future__ import annotations

import math
from typing import Any

from mindgap.report.cells import Cell

#: A direction that varies with the seed needs so many.
LEAST_SEEDS = 3


def judge(claim: dict[str, Any], cells: list[Cell]) -> tuple[str, float | None]:
    """Verdict on a claim and the number it hangs on.

    `broken` where a cell is missing. A `tolerance` bounds the distance from the published value, a
    `deviation` the largest distance of all points from theirs. A `direction` is strict: it is
    judged by the interval of the value where there is one, and `undecided` where the interval
    does not settle it or fewer than `LEAST_SEEDS` seeds are behind it. Of several cells each must
    hold, and the number is that of the worst.
    """
    if any(cell.missing for cell in cells):
        return "broken", None
    if "tolerance" in claim:
        value = cells[0].value
        return _within(abs(value - claim["published"]), claim["tolerance"]), value
    if "deviation" in claim:
        worst = max(_deviation(cell) for cell in cells)
        if not math.isfinite(worst):  # nothing scatters, and yet it is off
            return "differs", None
        return _within(worst, claim["deviation"]["most"]), worst
    low, high = bounds(claim["direction"])
    verdicts = [_direction(cell, low, high) for cell in cells]
    worst = min(cells, key=lambda cell: min(cell.value - low, high - cell.value))
    for verdict in ("differs", "undecided"):
        if verdict in verdicts:
            return verdict, worst.value
    return "reproduced", worst.value


def bounds(direction: dict[str, Any]) -> tuple[float, float]:
    """What a direction's value lies strictly between."""
    if "between" in direction:
        return tuple(direction["between"])
    return direction.get("above", -math.inf), direction.get("below", math.inf)


def _within(distance: float, most: float) -> str:
    # A published value is rounded: half a unit of the last digit must not fail by an ulp.
    return "reproduced" if distance <= most * (1 + 1e-9) else "differs"


def _deviation(cell: Cell) -> float:
    beyond = max(abs(cell.value - cell.published) - cell.reading - 1e-12, 0.0)
    if cell.unit > 0:
        return beyond / cell.unit
    return math.inf if beyond else 0.0


def _direction(cell: Cell, low: float, high: float) -> str:
    if cell.seeds is not None and cell.seeds < LEAST_SEEDS:
        return "undecided"
    bottom = cell.value if cell.low is None else cell.low
    top = cell.value if cell.high is None else cell.high
    if low < bottom and top < high:
        return "reproduced"
    # A single number decides; an interval must lie beyond the bound as a whole.
    outside = top < low or bottom > high if cell.low is not None else True
    return "differs" if outside else "undecided"


def tolerance(claim: dict[str, Any]) -> str:
    """What a claim accepts, in words."""
    if "tolerance" in claim:
        return f"±{claim['tolerance']:g}"
    if "deviation" in claim:
        unit = claim["deviation"].get("unit")
        most = f"off by {claim['deviation']['most']:g} at most"
        return f"{most}, in units of {unit}" if unit else most
    low, high = bounds(claim["direction"])
    if high == math.inf:
        return f"above {low:g}"
    return f"below {high:g}" if low == -math.inf else f"between {low:g} and {high:g}"
