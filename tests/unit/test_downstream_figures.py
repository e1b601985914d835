"""Figures of the chapter: drawn from small tables, with everything on them that the tables say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from mindgap.downstream import figures
from mindgap.downstream.models import correlate, gather
from mindgap.style import label_ends


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


METHODS = ("none", "shift", "centring", "standardising", "realign", "procrustes", "drop_1")


def methods(accuracies):
    key = {"model": "m", "fit": "held_out"}
    rows = [
        {**key, "dataset": dataset, "text_rows": "pairs", "method": method}
        | {"renormalised": renormalised, "relative_gap": 0.5, "accuracy": accuracy}
        | {"recall_at_1_ab": 0.1 * renormalised, "recall_at_1_ba": 0.2}
        for dataset, accuracy in accuracies.items()
        for method in METHODS
        for renormalised in (0, 1)
    ]
    mixed = [
        {**key, "dataset": dataset, "method": method, "renormalised": renormalised}
        | {"query": query, "text_share": share}
        | {"ndcg_at_10": abs(share - 0.5) + 0.01 * k + (query != "other")}
        for dataset in accuracies
        for k, method in enumerate(METHODS)
        for renormalised in (0, 1)
        for query in ("other", "caption")
        for share in (0.0, 0.4, 1.0)
    ]
    return pd.DataFrame(rows), pd.DataFrame(mixed)


def shown_cells(axis):
    """(method, column) -> text of a cell."""
    rows = [label.get_text() for label in axis.get_yticklabels()]
    columns = [label.get_text() for label in axis.get_xticklabels()]
    texts = {
        (t.get_position()[1] - 0.5, t.get_position()[0] - 0.5): t.get_text() for t in axis.texts
    }
    return {(rows[int(i)], columns[int(j)]): text for (i, j), text in texts.items()}


def test_methods_leave_out_what_a_set_does_not_have():
    figure = figures.figure_methods(*methods({"one": np.nan, "two": 0.7}))
    shown = {axis.get_title("left"): axis for axis in figure.axes if axis.axison}
    assert len(shown) == 5
    assert {column for _, column in shown_cells(shown["zero-shot accuracy"])} == {"m\ntwo"}
    recall = shown_cells(shown["R@1, a to b (a tie is a miss)"])
    assert {column for _, column in recall} == {"m\none", "m\ntwo"}
    # What no set has is no panel.
    figure = figures.figure_methods(*methods({"one": np.nan}))
    assert len([axis for axis in figure.axes if axis.axison]) == 4


def test_methods_show_the_corpus_of_half_texts_and_every_value_at_its_method():
    figure = figures.figure_methods(*methods({"one": 0.7}))
    axis = figure.axes[3]
    assert axis.get_title("left") == "NDCG@10, 40% texts in the corpus"
    expected = {(name, "m\none"): f"{0.1 + 0.01 * k:.3f}" for k, name in enumerate(METHODS)}
    assert shown_cells(axis) == expected
    changes = axis.collections[0].get_array().ravel()
    np.testing.assert_allclose(changes, 0.01 * np.arange(len(METHODS)), atol=1e-12)
    # Rows that are not normalised again have another recall.
    assert set(shown_cells(figure.axes[1]).values()) == {"0.100"}


def test_lines_of_mixed_corpora_can_be_told_apart():
    _, mixed = methods({"one": 0.7})
    figure = figures.figure_mixed(mixed)
    assert [axis.get_title() for axis in figure.axes] == [
        "m on one\nthe other modality asks",
        "m on one\na second caption asks",
    ]
    lines = figure.axes[0].lines
    looks = {(str(line.get_color()), line.get_linestyle()) for line in lines}
    assert len(lines) == len(looks) == len(METHODS)
    np.testing.assert_array_equal(lines[0].get_xdata(), [0.0, 0.4, 1.0])
    values = [tuple(line.get_ydata().round(6)) for line in lines]
    assert (0.5, 0.1, 0.5) in values and len(set(values)) == len(METHODS)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == list(METHODS)
    hues = {name: line.get_color() for name, line in zip(METHODS, lines, strict=True)}
    assert hues["centring"] == hues["shift"] != hues["procrustes"] == hues["realign"]


def test_names_stand_at_the_ends_of_their_lines_and_apart():
    figure, axis = plt.subplots()
    ends = {"low": 0.1, "middle": 0.5, "high": 1.0, "higher": 1.0, "highest": 1.0}
    lines = {name: axis.plot([0, 1], [0, end])[0] for name, end in ends.items()}
    axis.set_ylim(0, 1)
    label_ends(axis, lines, 0.1)
    places = {text.get_text(): text.get_position()[1] for text in axis.texts}
    expected = {"low": 0.1, "middle": 0.5, "high": 0.8, "higher": 0.9, "highest": 1.0}
    assert places == pytest.approx(expected)
    assert next(text.get_color() for text in axis.texts) == lines["low"].get_color()
    plt.close(figure)


def test_retrieval_draws_every_rate_over_the_distance():
    rows = [
        {"model": "m", "dataset": "d", "shift": s, "distance": 1 - s, "direction": way}
        | {"recall_at_1": 0.1 + s, "recall_at_10": 0.2 + s, "gallery": 40}
        for way in ("ab", "ba")
        for s in (0.0, 0.5)
    ]
    (axis,) = figures.figure_retrieval(pd.DataFrame(rows)).axes
    assert axis.get_ylabel() == "recall (a tie is a miss)"
    drawn = {line.get_label(): line.get_ydata().tolist() for line in axis.lines[:4]}
    one, ten = [0.1, 0.6], [0.2, 0.7]
    assert drawn == {"R@1 to b": one, "R@10 to b": ten, "R@1 to a": one, "R@10 to a": ten}
    assert axis.lines[0].get_xdata().tolist() == [1.0, 0.5]
    assert [line.get_ydata()[0] for line in axis.lines[4:6]] == [1 / 40, 10 / 40], "chance"


def test_zero_shot_shows_the_curve_and_what_is_left_of_its_gain():
    curves = pd.DataFrame(
        {"model": "m", "task": "t", "shift": [-1.0, 0, 1]}
        | {"distance": [2.0, 1, 0], "accuracy": [0.2, 0.5, 0.6], "classes": 5}
    )
    tests = pd.DataFrame(
        {"model": "m", "task": "t", "procedure": ["published", "held_out_1", "held_out_2"]}
        | {"distance": 0.0, "shifted": 0.6, "difference": [0.1, 0.02, -0.03]}
    )
    (axis,) = figures.figure_zero_shot(curves, tests).axes
    assert axis.lines[1].get_xydata().tolist() == [[2, 0.2], [1, 0.5], [0, 0.6]]
    assert axis.lines[0].get_xdata()[0] == 1, "the untouched gap"
    assert axis.lines[2].get_xydata().tolist() == [[0, 0.6]]
    assert axis.lines[3].get_ydata()[0] == 1 / 5, "chance"
    words = [text.get_text() for text in axis.texts]
    assert words == ["chance", "best on itself +0.100\nheld out +0.020, -0.030"]


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
    group = figure.axes[0].lines[0]
    assert group.get_xydata().tolist() == [[1.0, 0.1], [1.5, 0.1]]
    named = {text.get_text(): text for text in figure.axes[0].texts}
    assert set(named) == {"u", "v", "all"}
    places = sorted(text.get_position()[1] for text in named.values())
    assert min(np.diff(places)) > 0.05, "equal ends have labels apart"
