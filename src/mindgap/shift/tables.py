"""Tidy tables of a loss landscape: the points, the minima, and how these move with temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mindgap.runtime.errors import UserError

if TYPE_CHECKING:
    from mindgap.shift.landscape import Landscape

MANY = 100_000  # shifts of a grid at most
DIRECTIONS = ("ab", "ba", "mean")


def shift_grid(start: float, stop: float, step: float) -> np.ndarray:
    """Return the shifts from `start` to `stop`, both included where the step allows."""
    if (stop - start) / step > MANY:
        raise UserError(
            f"a grid of shifts from {start:g} to {stop:g} in steps of {step:g} has more than "
            f"{MANY:,} points; take larger steps"
        )
    shifts = np.round(np.arange(start, stop + step / 2, step), 10)
    if not len(shifts):
        raise UserError(
            f"a grid of shifts from {start:g} to {stop:g} is empty; stop must not be below start"
        )
    return shifts + 0.0  # no negative zero


def landscape_table(found: Landscape) -> pd.DataFrame:
    """One row per shift, temperature and direction.

    Columns shift, distance, inverse_temperature, direction (`ab` retrieves b for a; `mean` is the
    symmetric loss), loss.
    """
    losses = np.stack([found.loss_ab, found.loss_ba, found.loss], axis=-1)
    size = losses.shape
    shift, scale, direction = np.indices(size).reshape(3, -1)
    return pd.DataFrame(
        {
            "shift": found.shifts[shift],
            "distance": found.distance[shift],
            "inverse_temperature": found.scales[scale],
            "direction": np.array(DIRECTIONS)[direction],
            "loss": losses.ravel(),
        }
    )


def minima_table(table: pd.DataFrame) -> pd.DataFrame:
    """Where each curve of a landscape is lowest, beside the untouched gap.

    One row per temperature and direction: shift, distance and loss at the minimum, and the same at
    the grid point nearest to no shift (`*_untouched`). `at_edge` is 1 where the lowest point is an
    end of the grid, so that the curve may go on falling outside.
    """
    rows, ends = [], (table["shift"].min(), table["shift"].max())
    for (scale, direction), curve in table.groupby(
        ["inverse_temperature", "direction"], sort=False
    ):
        lowest = curve.loc[curve["loss"].idxmin()]
        untouched = curve.loc[curve["shift"].abs().idxmin()]
        columns = ("shift", "distance", "loss")
        rows.append(
            {"inverse_temperature": scale, "direction": direction}
            | {column: lowest[column] for column in columns}
            | {f"{column}_untouched": untouched[column] for column in columns}
            | {"at_edge": int(lowest["shift"] in ends)}
        )
    return pd.DataFrame(rows)


def trend_table(minima: pd.DataFrame) -> pd.DataFrame:
    """How the minimum moves as the temperature grows, one row per direction.

    `monotone` is 1 where no higher temperature has its minimum farther from zero distance and the
    highest has it nearer than the lowest, and empty where a minimum lies at the edge of the grid,
    so that its place is not known; `reach_coldest` and `reach_hottest` are the absolute distances
    at the lowest and the highest temperature.
    """
    rows = []
    for direction, part in minima.groupby("direction", sort=False):
        reach = part.sort_values("inverse_temperature", ascending=False)["distance"].abs()
        monotone = (np.diff(reach) <= 1e-12).all() and reach.iloc[0] - reach.iloc[-1] > 1e-12
        rows.append(
            {
                "direction": direction,
                "monotone": np.nan if part["at_edge"].any() else float(monotone),
                "reach_coldest": reach.iloc[0],
                "reach_hottest": reach.iloc[-1],
            }
        )
    return pd.DataFrame(rows)
