import runpy
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mindgap.config.shift import Landscape
from mindgap.embed.store import Embeddings, save_embeddings
from mindgap.runtime.errors import UserError
from mindgap.shift.tables import landscape_table, minima_table, shift_grid, trend_table


def test_grid():
    grid = shift_grid(-5, 4.75, 0.25)
    assert len(grid) == 40
    assert grid[20] == 0
    assert not np.signbit(grid[20])
    np.testing.assert_array_equal(shift_grid(0, 0.3, 0.1), [0, 0.1, 0.2, 0.3])
    np.testing.assert_array_equal(shift_grid(2, 2, 1), [2])
    with pytest.raises(UserError, match="a grid of shifts from 1 to 0 is empty"):
        shift_grid(1, 0, 0.5)
    with pytest.raises(UserError, match="more than 100,000 points; take larger steps"):
        shift_grid(-5, 5, 1e-7)


def test_a_landscape_that_does_not_fit_is_named(root, clouds, tmp_path):
    """What the options alone tell is refused with the configuration."""
    path = tmp_path / "set.safetensors"
    save_embeddings(path, Embeddings(dict(zip(("image", "text"), clouds(49, 8), strict=True))))
    options = Landscape(start=-1, stop=1, step=0.5, batch=50, inverse_temperatures=[10])
    job = SimpleNamespace(
        input=SimpleNamespace(embeddings=path, training=[]),
        output={},
        wildcards=SimpleNamespace(model="mine", dataset="own"),
        params=SimpleNamespace(landscapes={"fine": options.model_dump()}),
        threads=1,
    )
    main = runpy.run_path(str(root / "scripts/sweep_shift.py"))["main"]
    what = "config: shift.landscapes.fine, mine on own: batch must be between 2 and the 49 pairs"
    with pytest.raises(UserError, match=what):
        main(job)


@pytest.fixture
def points():
    """Parabolas, lowest at the shifts 0, 0.5 and 1 as it gets hotter, text to image a step before."""
    shifts, scales = np.array([-1.0, -0.5, 0, 0.5, 1.0, 1.5]), np.array([100.0, 2.0, 1.0])
    middle = np.array([0.0, 0.5, 1.0])
    loss = (shifts[:, None] - middle) ** 2
    found = SimpleNamespace(
        shifts=shifts,
        scales=scales,
        distance=0.9 - shifts,
        loss_ab=loss,
        loss_ba=(shifts[:, None] + 0.5 - middle) ** 2,
        loss=loss + 1,
    )
    return landscape_table(found)


def test_one_row_a_point(points):
    assert len(points) == 6 * 3 * 3
    row = points[
        (points["shift"] == 0.5)
        & (points["inverse_temperature"] == 2)
        & (points["direction"] == "ba")
    ]
    assert row["loss"].tolist() == [0.25]
    assert row["distance"].tolist() == [0.4]


def test_minima_and_trends(points):
    minima = minima_table(points).set_index(["direction", "inverse_temperature"])
    assert minima.loc[("ab", 100), "shift"] == 0
    assert minima.loc[("mean", 1), "shift"] == 1
    assert minima.loc[("ba", 2), "shift"] == 0
    assert minima.loc[("mean", 2), "loss_untouched"] == 1.25
    assert (minima["shift_untouched"] == 0).all()
    trends = trend_table(minima_table(points)).set_index("direction")
    assert trends.loc["ab", "monotone"] == 1
    assert trends.loc["ab", "reach_coldest"] == pytest.approx(0.9)
    assert trends.loc["ab", "reach_hottest"] == pytest.approx(0.1)
    assert not minima["at_edge"].any()
    back = minima_table(points.assign(loss=-points["loss"]))
    assert back["at_edge"].all(), "the lowest point of a hill is an end of the grid"
    assert trend_table(back)["monotone"].isna().all()
    still = minima_table(points).assign(distance=0.9)
    assert (trend_table(still)["monotone"] == 0).all(), "a minimum that stays does not move"
    turned = pd.concat([minima_table(points)]).assign(
        inverse_temperature=lambda t: 1 / t["inverse_temperature"]
    )
    assert trend_table(turned).set_index("direction").loc["ab", "monotone"] == 0
