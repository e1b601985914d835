"""Figures draw whatever landscapes a configuration can ask for."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from mindgap.shift.figures import figure_landscape, figure_valley
from mindgap.shift.tables import minima_table


def landscape(name, scales, batch=10, n=40, count=9):
    shifts = np.linspace(-1, 1, count)
    rows = [
        {"landscape": name, "sides": "both", "batch": batch, "n": n, "shift": shift}
        | {"distance": 0.5 - shift, "inverse_temperature": scale, "direction": direction}
        | {"loss": (shift - 0.2) ** 2 * scale + len(direction)}
        for shift in shifts
        for scale in scales
        for direction in ("ab", "ba", "mean")
    ]
    points = pd.DataFrame(rows)
    minima = minima_table(points).assign(landscape=name)
    return points, minima


def both(*parts):
    return [pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True)]


@pytest.mark.parametrize(
    "parts",
    [
        [landscape("published", [100, 1])],
        [landscape("valley", list(range(1, 25)))],
        [landscape("published", [100, 1]), landscape("full", [100, 14], batch=40)],
        [landscape("published", [100]), landscape("fine", [100], count=33)],
        [landscape("one", [5], count=1)],
    ],
    ids=["few", "only many", "different temperatures", "two grids", "one point"],
)
def test_every_selection_is_drawn(parts):
    points, minima = both(*parts)
    curves = figure_landscape(points, minima, ("image", "text"))
    drawn = [np.asarray(line.get_ydata()) for axis in curves.axes for line in axis.lines]
    first = points[points["landscape"] == parts[0][0]["landscape"].iloc[0]]
    first = first[first["inverse_temperature"] == first["inverse_temperature"].iloc[0]]
    curve = first.loc[first["direction"] == "mean", "loss"].to_numpy()
    assert any(np.array_equal(y[np.isfinite(y)], curve) for y in drawn)
    assert "dotted where they cross" in curves.legends[0].get_title().get_text()
    assert figure_valley(points, minima).axes[0].collections
    plt.close("all")


def test_the_minimum_of_all_grids_of_a_row_is_marked_and_hollow_at_an_end():
    coarse, fine = landscape("published", [100]), landscape("fine", [100], count=3)
    points, minima = both(coarse, fine)
    figure = figure_landscape(points, minima, ("image", "text"))
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "v"]
    lowest = minima.loc[minima["loss"].idxmin()]
    assert marks[0].get_xdata()[0] == pytest.approx(lowest["distance"])
    assert marks[0].get_markerfacecolor() != "white"
    edge = coarse[0].assign(loss=coarse[0]["shift"])
    figure = figure_landscape(edge, minima_table(edge).assign(landscape="published"), ("a", "b"))
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "v"]
    assert {mark.get_markerfacecolor() for mark in marks} == {"white"}
    plt.close("all")
