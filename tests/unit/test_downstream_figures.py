"""Figures of the chapter: drawn from small tables, with everything on them that the tables say."""

import numpy as np
import pandas as pd
import pytest

from mindgap.downstream import figures
from mindgap.downstream.models import correlate, gather


@pytest.fixture
def trainings():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "training": [f"t{i}" for i in range(6)],
            "test": "held_out",
            "gap": np.linspace(0.1, 0.6, 6),
            "recall_at_1_ab": np.linspace(0.5, 0.2, 6) + 0.01 * rng.random(6),
            "cosine_matched": 0.8,
            "cosine_a": 0.2,
            "cosine_b": np.linspace(0.1, 0.3, 6),
        }
    )


def test_models_show_tau_for_each_score_that_varies(trainings):
    gaps = pd.DataFrame({"model": ["m"], "dataset": ["d"], "gap": [1.0], "recall_at_1_ab": [0.1]})
    table = gather(gaps, None, trainings)
    assert table["over"].tolist() == ["d"] + ["trainings on held_out"] * 6
    found = correlate(table, 1000, 0)
    assert found.set_index("measure").loc["gap", "tau"] == pytest.approx(-1)
    figure = figures.figure_models(table, found)
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert len(titles) == 2
    assert "tau = -1.00" in titles[0]
    assert "6 models" in titles[0]
    empty = figures.figure_models(table, found.iloc[:0])
    assert "no set has enough models" in empty.axes[0].texts[0].get_text()


def test_methods_leave_out_what_a_set_does_not_have():
    rows = [
        {
            "model": "m",
            "dataset": dataset,
            "fit": "held_out",
            "text_rows": "pairs",
            "method": method,
            "renormalised": renormalised,
            "relative_gap": 0.5,
            "recall_at_1_ab": 0.1 * renormalised,
            "recall_at_1_ba": 0.2,
            "accuracy": accuracy,
            "ndcg_at_10": 0.3,
        }
        for dataset, accuracy in (("one", np.nan), ("two", 0.7))
        for method in ("none", "centring")
        for renormalised in (0, 1)
    ]
    figure = figures.figure_methods(pd.DataFrame(rows))
    shown = [axis.get_title() for axis in figure.axes if axis.axison]
    assert shown.count("zero-shot accuracy") == 1
    assert shown.count("R@1, a to b") == 2


def test_fairness_has_a_line_a_group_in_two_panels():
    rows = [
        {"model": "m", "audit": "a", "shift": s, "distance": 1 - s, "group": g, "category": c}
        | {"rate": 0.1, "low": 0.05, "high": 0.2}
        for s in (0, -0.5)
        for g in ("u", "v", "all")
        for c in ("bad", "sum", "accuracy")
    ]
    figure = figures.figure_fairness(pd.DataFrame(rows))
    lines = [len(axis.get_lines()) for axis in figure.axes]
    assert lines == [4, 4], "three groups and the untouched gap"
