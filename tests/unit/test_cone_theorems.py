import numpy as np
import pandas as pd
import pytest
import torch

from mindgap.cone.kernels import wide_cosine
from mindgap.cone.published import (
    cap_table,
    compare_depth,
    compare_growth,
    compare_variance,
    depth_table,
    worst_by_curve,
)
from mindgap.cone.theorems import _pooled, growth_table, unit_margins, variance_table
from mindgap.runtime.errors import UserError


def test_growth_against_matrices():
    """Drawing the pair (Wu + b, Wv + b) of every unit is drawing W and b."""
    ratio, cosine, width, draws = 2.0, 0.75, 16, 4000
    generator = torch.Generator().manual_seed(0)
    u = torch.tensor([ratio, 0.0, 0.0])
    v = torch.tensor([cosine, (1 - cosine**2) ** 0.5, 0.0])
    w = torch.randn(draws, width, 3, generator=generator) * width**-0.5
    b = torch.randn(draws, width, generator=generator) * width**-0.5
    x, y = torch.relu(w @ u + b), torch.relu(w @ v + b)
    after = torch.cosine_similarity(x, y, dim=1).numpy()
    (row,) = growth_table([width], [ratio], [cosine], draws, 0).to_dict("records")
    p = (after > cosine).mean()
    assert row["bound"] == pytest.approx(0.8)
    assert abs(row["grew"] - p) < 4 * np.sqrt(2 * p * (1 - p) / draws)
    assert abs(row["after_mean"] - after.mean()) < 4 * row["after_sd"] * np.sqrt(2 / draws)
    assert row["after_sd"] == pytest.approx(after.std(), rel=0.08)


def test_growth_of_wide_layers():
    """The mean goes to the exact value, the share to 1 below the bound and to 0 far above."""
    table = growth_table([2048], [1, 2], [0, 0.5, 0.99], 400, 1).set_index(["ratio", "cosine"])
    for (ratio, cosine), row in table.iterrows():
        assert row["wide"] == wide_cosine(ratio, cosine)
        assert row["after_mean"] == pytest.approx(row["wide"], abs=0.01)
    assert (table.loc[[(1, 0), (1, 0.5), (1, 0.99), (2, 0), (2, 0.5)], "grew"] == 1).all()
    assert table.loc[(2, 0.99), "grew"] == 0


def test_published_tables_of_both_theorems(root):
    """Every entry within three standard errors of the difference; 47 entries, none bent."""
    reference = pd.read_csv(root / "workflow/reference/theorems.csv")
    growth = growth_table([16, 64, 512], [1, 2], [0, 0.5, 0.75, 0.9, 0.99], 5000, 0)
    first = reference[reference["theorem"] == 1].drop(columns="layer")
    points = compare_growth(growth, first)
    assert len(points) == len(first) == 30
    assert points["z"].abs().max() < 3, points.loc[points["z"].abs().idxmax()]
    variance = variance_table(4, 512, 100, 60, 32, 0, threads=2)
    second = reference[reference["theorem"] == 2].drop(columns=["width", "ratio", "cosine"])
    points = compare_variance(variance, second)
    assert len(points) == 8
    assert points["z"].abs().max() < 3, points
    assert (variance["margin"] > 0).all()
    assert (variance["ratio_lowest"] <= variance["ratio_units"]).all()
    lowest = variance["ratio_lowest"] - variance["beta"]
    np.testing.assert_allclose(variance["unit_margin"], lowest, rtol=1e-5, atol=1e-7)
    assert (variance["unit_margin_low"] < lowest).all()
    assert (variance["unit_margin_high"] > lowest).all()


def test_variance_is_corrected_for_the_inner_sample():
    """Units that know nothing of the initialisation have a share of 0, not of 1/n."""
    rng = np.random.default_rng(0)
    inner = rng.standard_normal((4000, 5, 8))
    means, spreads = inner.mean(1), inner.var(1, ddof=1)
    assert abs(_pooled(means, spreads, 5)) < 0.01
    naive = means.var(0, ddof=1).sum()
    assert naive / (naive + spreads.mean(0).sum()) > 0.15
    shifted = inner + rng.standard_normal((4000, 1, 8))
    assert _pooled(shifted.mean(1), shifted.var(1, ddof=1), 5) == pytest.approx(0.5, abs=0.02)


def test_the_interval_of_the_lowest_margin_covers_it():
    """Eight units with a share of 1/2 each over a bound of 0.3: 95 % of 200 sets of draws, about."""
    rng = np.random.default_rng(0)
    covered, wide = 0, []
    for _ in range(200):
        rows = rng.standard_normal((60, 1, 8)) + rng.standard_normal((60, 10, 8))
        traces = 0.7 + 0.01 * rng.standard_normal(60)
        lowest, low, high = unit_margins(rows.mean(1), rows.var(1, ddof=1), traces, 10)
        assert low < lowest < high
        covered += low <= 0.2 <= high
        wide.append(high - low)
    # Five standard deviations of 200 draws below 0.95, and no interval that covers everything.
    assert covered >= 200 * (0.95 - 5 * np.sqrt(0.95 * 0.05 / 200))
    assert np.median(wide) < 0.5


def test_growth_has_intervals_and_says_what_the_theorem_covers():
    table = growth_table([64], [2], [0.5, 0.79, 0.81], 500, 0)
    assert table["below"].tolist() == [1, 1, 0]
    assert (table["grew_low"] <= table["grew"]).all() and (
        table["grew"] <= table["grew_high"]
    ).all()
    every = growth_table([512], [1], [0.5], 500, 0).iloc[0]
    assert every["grew"] == every["grew_high"] == 1
    assert every["grew_low"] == pytest.approx(1 / (1 + 1.96**2 / 500), abs=1e-4)  # Wilson's at 1


def test_more_units_than_the_width_are_refused():
    with pytest.raises(UserError, match="units must be at most the width 8, got 9"):
        variance_table(1, 8, 5, 4, 9, 0)


@pytest.fixture
def curves():
    """Two seeds around 0.5 at depth 1: mean 0.5, sd 0.1 * sqrt(2)."""
    cell = {"activation": "tanh", "bias": "normal", "block": "plain", "width": 512}
    found = np.array([[[0.0, 0.0], [0.4, 0.6]]])
    return depth_table(found, [cell], [np.array([0.0, 0.5])])


def reference_row(value, seeds, sd=None, reading=0.0):
    return pd.DataFrame(
        [
            {
                "source": "x",
                "activation": "tanh",
                "bias": "normal",
                "depth": 1,
                "value": value,
                "sd": sd,
                "seeds": seeds,
                "reading": reading,
            }
        ]
    ).astype({"sd": float})


def test_distances_in_standard_errors(curves):
    sd = 0.1 * np.sqrt(2)
    single = compare_depth(curves, reference_row(0.3, 1))["z"].item()
    assert single == pytest.approx(0.2 / np.hypot(sd / np.sqrt(2), sd))
    error = compare_depth(curves, reference_row(0.3, 1))["error"].item()
    assert error == pytest.approx(np.hypot(sd / np.sqrt(2), sd))
    means = compare_depth(curves, reference_row(0.3, 4, sd=0.2))["z"].item()
    assert means == pytest.approx(0.2 / np.hypot(0.1, 0.1))
    exact = compare_depth(curves, reference_row(0.3, 0))["z"].item()
    assert exact == pytest.approx(0.2 / 0.1)
    read = compare_depth(curves, reference_row(0.7, 0, reading=0.05))["z"].item()
    assert read == pytest.approx(-0.15 / 0.1)
    assert compare_depth(curves, reference_row(0.52, 0, reading=0.05))["z"].item() == 0
    none = depth_table(np.full((1, 2, 2), 0.5), [{**curves.iloc[0][:4]}], [np.zeros(2)])
    assert compare_depth(none, reference_row(0.3, 0))["z"].item() == np.inf


def test_the_worst_point_of_a_curve_counts():
    points = pd.DataFrame({"source": ["a", "a", "b"], "z": [1.0, -2.5, 0.3]})
    worst = worst_by_curve(points, ["source"]).set_index("source")
    assert worst.loc["a"].tolist() == [2, 2.5]
    assert worst.loc["b"].tolist() == [1, 0.3]


def test_every_published_point_has_its_curve(root):
    reference = pd.read_csv(root / "workflow/reference/depth.csv")
    assert len(reference) == 218
    printed = reference[reference["source"] == "printed"]
    assert printed["depth"].tolist() == list(range(26))
    assert printed["value"].is_monotonic_increasing
    assert not reference.duplicated(["source", "activation", "bias", "depth"]).any()


def test_cap_table():
    table = cap_table(0.56, [2, 3, 512]).set_index("dimension")
    assert table.loc[3, "share"] == pytest.approx(0.0584, abs=5e-5)
    assert table.loc[512, "log2"] < -512
    assert table["angle"].iloc[0] == pytest.approx(55.94, abs=0.01)
