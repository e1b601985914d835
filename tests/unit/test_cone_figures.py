"""Figures of the chapter draw whatever a configuration can ask for."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from mindgap.cone import figures, scatters
from mindgap.cone.cones import cone_tables, gap_table, summarise, twin_table
from mindgap.cone.plan import cone_datasets, cone_figures, tower_datasets, towers
from mindgap.cone.published import compare_depth
from mindgap.cone.separation import separation_tables
from mindgap.cone.store import Cloud
from mindgap.cone.studies import depth_studies, run_study
from mindgap.cone.theorems import growth_table, variance_table
from mindgap.config.cone import Blocks, CloudMeasures, Depth, WidthStudy
from mindgap.runtime.errors import UserError
from tests.samples import resolve

OPTIONS = CloudMeasures(neighbour_rows=100, points=40, methods=["pca"], neighbours=5)
BY = ["model", "weights", "inputs"]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def tower(model, modalities, weights="random", members=3):
    rng = np.random.default_rng(len(model))
    draw = lambda k: rng.standard_normal((k, 6, 16)) + 2 * rng.standard_normal((k, 1, 16))  # noqa: E731
    sets = ["set"] if weights == "trained" else ["noise", "set"]
    tensors = {f"{s}/{m}": draw(members) for s in sets for m in modalities}
    if weights == "random":
        tensors["set captions drawn/image"] = draw(2)
    if "text" in modalities:
        tensors |= {f"{k}.pooled": v for k, v in tensors.items() if "drawn" not in k}
    clouds = {Cloud.parse(name): rows for name, rows in tensors.items()}
    return clouds, {"model": model, "weights": weights}, list(range(members))


@pytest.fixture(params=["random", "with trained weights"])
def tables(request):
    all_towers = [tower("resnet-18", ["image"]), tower("vit-b-32", ["image", "text"])]
    if request.param != "random":
        all_towers += [tower("resnet-18", ["image"], "trained", 1)]
        all_towers += [tower("ensemble", ["image"], "trained", 4)]
    found = {name: [] for name in "cones bars gaps twins separation spectra scatter".split()}
    for tensors, key, members in all_towers:
        cones, bars = cone_tables(tensors, key, members, 60)
        parts = [cones, bars, gap_table(tensors, key, members, [8, 32], 0)]
        parts += [
            twin_table(tensors, key, "set", None),
            *separation_tables(tensors, key, OPTIONS, 0),
        ]
        for name, part in zip(found, parts, strict=True):
            found[name].append(part)
    return {name: pd.concat(parts) for name, parts in found.items()}


def test_cones(tables):
    summary = summarise(tables["cones"], [*BY, "modality", "n"], ["mean", "min"])
    figure = figures.figure_cones(tables["bars"], summary)
    drawn = [axis for axis in figure.axes if axis.lines]
    trained = (summary["weights"] == "trained").any()
    assert len(drawn) == (8 if trained else 6)
    texts = [text.get_text() for axis in drawn for text in axis.texts]
    expected = summary[(summary["statistic"] == "mean") & ~summary["inputs"].str.contains("drawn")]
    assert {text.split(" ")[0] for text in texts} == {f"{m:.3f}" for m in expected["mean"]}


def test_scatters_and_spectra(tables):
    figure = scatters.figure_scatter(tables["scatter"], tables["separation"])
    drawn = [axis for axis in figure.axes if axis.collections]
    assert len(drawn) == len(tables["separation"])
    assert all("named" in axis.get_xlabel() for axis in drawn)
    figure = scatters.figure_spectra(tables["spectra"], tables["separation"])
    lines = [line for axis in figure.axes for line in axis.lines if len(line.get_xdata()) > 2]
    assert len(lines) == len(tables["separation"])


def test_twins(tables):
    figure = scatters.figure_twins(tables["twins"], tables["gaps"])
    left, right = figure.axes
    assert len(left.texts) == len(tables["twins"].drop_duplicates(scatters.CASE))
    assert right.lines
    alone = scatters.figure_twins(tables["twins"], tables["gaps"].iloc[:0])
    assert len(alone.axes) == 2


def test_depth_blocks_and_theorems(root):
    options = Depth(
        depth=3,
        inputs=16,
        seeds=2,
        activations=["relu", "none"],
        biases=["normal", "none"],
        blocks=Blocks(activations=["relu"], kinds=["plain", "transformer"], seeds=2),
        widths=WidthStudy(widths=[8, 16], seeds=2, inputs=16),
    )
    tables = [run_study(study, options.depth, 0) for study in depth_studies(options)]
    assert [len(t) for t in tables] == [16, 8, 8]
    table = pd.concat(tables)
    assert table["closed_form"].isna().sum() == 4, "the transformer block has none"
    points = compare_depth(tables[0], pd.read_csv(root / "workflow/reference/depth.csv"))
    assert {"printed", "re-run", "closed form"} <= set(points["source"])
    figure = figures.figure_depth(table, points)
    assert [axis.get_title() for axis in figure.axes] == ["bias N(0, 1/width)", "no bias"]
    relu = tables[0].query("bias == 'normal' and activation == 'relu'")
    lines = figure.axes[0].lines
    assert any(np.array_equal(line.get_ydata(), relu["mean"]) for line in lines)
    assert any(np.array_equal(line.get_ydata(), relu["closed_form"]) for line in lines)
    blocks = figures.figure_blocks(table)
    assert [axis.get_title() for axis in blocks.axes] == ["ReLU, width 512", "ReLU, by width"]
    drawn = [line.get_ydata().tolist() for axis in blocks.axes for line in axis.lines]
    for _, curve in pd.concat(tables[1:]).groupby(["study", "block", "width"]):
        assert curve["mean"].tolist() in drawn
    growth = growth_table([8, 32], [1, 2], [0, 0.5, 0.9], 50, 0)
    variance = variance_table(2, 16, 8, 8, 4, 0)
    theorems = figures.figure_theorems(growth, variance)
    assert [axis.get_title() for axis in theorems.axes[:3]] == [
        "r = 1, bound 1.00",
        "r = 2, bound 0.80",
        "Theorem 2",
    ]
    some = growth.query("ratio == 2 and width == 32")
    assert some["grew"].tolist() in [list(x.get_ydata()) for x in theorems.axes[1].lines]
    np.testing.assert_array_equal(theorems.axes[2].lines[0].get_ydata(), variance["ratio"])


def cone(**options):
    return {"cone": {"initialisations": options}}


def test_what_a_configuration_makes():
    config = resolve(cone(trained={"mine": {"model": "x", "checkpoints": ["y"]}})).config
    assert towers(config) == ["resnet-18", "vit-b-32", "mlp", "mine"]
    assert list(cone_datasets(config)) == ["shapes", "shapes_small"]
    assert tower_datasets(config, "mlp") == []
    assert tower_datasets(config, "mine") == ["shapes"]
    assert "fig2c_umap" in cone_figures(config)
    config = resolve({"select": {"cone": ["depth"]}}).config
    assert towers(config) == [] and cone_datasets(config) == {}
    assert set(cone_figures(config)) == {"fig2b", "blocks"}


@pytest.mark.parametrize(
    ("overlay", "sentence"),
    [
        ({"cone": {"depth": {"depth": 0}}}, "cone.depth.depth: must be at least 1, got 0"),
        (
            {"cone": {"depth": {"activations": ["rleu"]}}},
            r"'rleu' is not known \(did you mean 'relu'\?\)",
        ),
        (
            cone(datasets=["shape"]),
            r"datasets names 'shape', which is not defined \(did you mean 'shapes'\?\)",
        ),
        (cone(models=["resnet18"]), r"'resnet18' is not known \(did you mean 'resnet-18'\?\)"),
        (
            cone(trained={"mlp": {"model": "x", "checkpoints": ["y"]}}),
            "'mlp' is the name of an architecture; rename it",
        ),
        ({"select": {"cone": ["dept"]}}, r"'dept' is not known \(did you mean 'depth'\?\)"),
    ],
)
def test_bad_options_are_refused(overlay, sentence):
    with pytest.raises(UserError, match=sentence):
        resolve(overlay)
