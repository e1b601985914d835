"""Three modalities or more: rows of gap.csv, directions, rank correlations, heat maps, decisions."""

import runpy
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mindgap.api.fixes import compare_fixes
from mindgap.downstream.models import gather
from mindgap.downstream.shares import most_mixed
from mindgap.embed.store import Embeddings, load_embeddings, save_embeddings
from mindgap.gap.figures import figure_cosines, figure_modalities
from mindgap.gap.modalities import MEASURES, directions, rank_correlations
from mindgap.report.decisions import Decision, read_decisions, summarise, to_page
from mindgap.report.pages import metrics, to_html, to_markdown, to_rst
from mindgap.report.rollup import to_screen

NAMES = ("image", "video", "audio", "text")
GAP = {"bootstrap": 100, "confidence": 0.95, "folds": 3, "max_pairs": 60, "bins": 20}


@pytest.fixture(scope="module")
def rows():
    """Four modalities of 60 items, ever noisier and farther apart."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((60, 16))
    return {
        m: (shared + 0.4 * k * rng.standard_normal((60, 16)) + 2 * k * np.eye(16)[k]).astype("f4")
        for k, m in enumerate(NAMES, 1)
    }


def call(root, script, **job):
    given = {k: SimpleNamespace(**v) if isinstance(v, dict) else v for k, v in job.items()}
    wildcards = SimpleNamespace(model="mine", dataset="own")
    runpy.run_path(str(root / f"scripts/{script}.py"))["main"](
        SimpleNamespace(wildcards=wildcards, threads=1, **given)
    )


@pytest.fixture(scope="module")
def measured(root, rows, tmp_path_factory):
    """(modality, ...) -> tables of measures and cosines of arrays with these modalities alone."""
    folder, found = tmp_path_factory.mktemp("measured"), {}
    for some in (NAMES, *combinations(NAMES, 2)):
        place = folder / "-".join(some)
        place.mkdir()
        files = {m: str(place / f"{m}.npy") for m in some}
        for m, file in files.items():
            np.save(file, rows[m])
        stored = str(place / "own.safetensors")
        options = {"kind": "arrays", "modalities": files}
        params = {"options": options, "files": [*files.values()], "sha256": {}}
        call(root, "import_embeddings", input=[], output=[stored], params=params)
        params = {"options": GAP, "seed": 0, "label": "mine", "weights": "trained"}
        output = {"measures": place / "gap.csv", "cosines": place / "cosines.csv"}
        call(root, "measure_gap", input=[stored], output=output, params=params)
        found[some] = {name: pd.read_csv(file) for name, file in output.items()}
    return found


def test_each_pair_equals_a_run_with_these_two_alone(measured):
    whole = measured[NAMES]
    gaps = whole["measures"]
    assert [tuple(pair) for pair in gaps[["modality_a", "modality_b"]].to_numpy()] == [
        *combinations(NAMES, 2)
    ]
    for i, pair in enumerate(combinations(NAMES, 2)):
        pd.testing.assert_frame_equal(
            gaps.loc[[i]].reset_index(drop=True), measured[pair]["measures"], check_exact=True
        )
        cosines = whole["cosines"]
        own = (cosines["modality_a"] == pair[0]) & (cosines["modality_b"] == pair[1])
        pd.testing.assert_frame_equal(
            cosines[own].reset_index(drop=True), measured[pair]["cosines"], check_exact=True
        )
    assert gaps["gap"].nunique() == 6


def test_directions_are_symmetric_but_for_retrieval(measured):
    gaps = measured[NAMES]["measures"]
    table = directions(gaps).set_index(["query", "gallery"])
    assert len(table) == 12
    for _, pair in gaps.iterrows():
        a, b = pair["modality_a"], pair["modality_b"]
        for name in ("gap", "cosine_matched"):
            assert table.loc[(a, b), name] == table.loc[(b, a), name] == pair[name]
        for end in ("", "_low", "_high"):
            assert table.loc[(a, b), f"recall_at_1{end}"] == pair[f"recall_at_1_ab{end}"]
            assert table.loc[(b, a), f"recall_at_1{end}"] == pair[f"recall_at_1_ba{end}"]
    assert (gaps["recall_at_1_ab"] != gaps["recall_at_1_ba"]).any()
    assert directions(measured["image", "text"]["measures"]).empty


def test_rank_correlation_is_spearmans_over_the_pairs(measured):
    gaps = measured[NAMES]["measures"]
    table = rank_correlations(gaps).set_index("measure")
    assert list(table.index) == list(MEASURES)
    assert set(table["pairs"]) == {6} and set(table["modalities"]) == {4}
    both = (gaps["recall_at_1_ab"] + gaps["recall_at_1_ba"]) / 2
    for name in MEASURES:
        # Pearson's correlation of the ranks.
        expected = np.corrcoef(gaps[name].rank(), both.rank())[0, 1]
        assert table.loc[name, "spearman"] == pytest.approx(expected)
        assert expected == pytest.approx(stats.spearmanr(gaps[name], both).statistic)
    assert table.loc["gap", "spearman"] < 0 < table.loc["cosine_matched", "spearman"]
    assert rank_correlations(measured["image", "text"]["measures"]).empty, "one pair has no rank"
    still = rank_correlations(gaps.assign(recall_at_1_ab=0.5, recall_at_1_ba=0.5))
    assert still["spearman"].isna().all() and len(still) == 3


def test_the_heat_map_says_every_number(measured):
    table = directions(measured[NAMES]["measures"])
    axes = figure_modalities(table).axes
    assert len(axes) == 3
    for axis, column in zip(axes, ("gap", "cosine_matched", "recall_at_1"), strict=True):
        said = sorted(text.get_text() for text in axis.texts)
        assert said == sorted(f"{value:.3f}" for value in table[column])
        assert [label.get_text() for label in axis.get_yticklabels()] == list(NAMES)
    assert "tie" in axes[2].get_title()
    # Rows ask: the cell of the first row and last column is R@1 of images among texts.
    wanted = table.set_index(["query", "gallery"]).loc[("image", "text"), "recall_at_1"]
    cells = {text.get_position(): text.get_text() for text in axes[2].texts}
    assert cells[3.5, 0.5] == f"{wanted:.3f}"


def test_cosines_have_a_panel_for_each_pair(measured):
    several = measured[NAMES]["cosines"]
    two = measured["image", "text"]["cosines"].assign(model="two")
    titles = [a.get_title() for a in figure_cosines(pd.concat([several, two])).axes]
    assert titles[0] == "mine on own\nimage, video"
    assert titles[-1] == "two on own" and len(titles) == 7


def test_models_of_several_gaps_are_not_compared_by_one(measured):
    gaps = pd.concat([measured[NAMES]["measures"], measured["image", "text"]["measures"]])
    gaps["model"] = ["mine"] * 6 + ["two"]
    assert gather(gaps, None, None)["model"].tolist() == ["two"]


def test_the_share_nearest_to_a_half():
    assert most_mixed([0, 0.1, 0.25, 0.5, 0.75, 0.9, 1]) == 0.5
    assert most_mixed([0.75, 0.25]) == 0.25
    assert most_mixed([1]) == 1


# The decision


@pytest.fixture(scope="module")
def decided(root, rows, tmp_path_factory):
    """Table and page of the decision about three modalities, the text first."""
    folder = tmp_path_factory.mktemp("decided")
    stored = str(folder / "own.safetensors")
    some = {m: rows[m] for m in ("text", "image", "audio")}
    save_embeddings(stored, Embeddings(some, about={"modalities": list(some)}))
    labels = folder / "labels.npy"
    np.save(labels, np.arange(60) % 3)
    methods = {"shares": [0, 0.25, 1], "calibration": 0.5, "mixed_queries": 20}
    results = folder / "downstream/decisions/mine"
    results.mkdir(parents=True)
    output = {"table": results / "own.csv", "page": results / "own.md"}
    params = {"options": methods, "labels": str(labels), "confidence": 0.9, "seed": 3}
    params["files"] = {m: f"{m} rows.npy" for m in some}
    call(root, "decide_fix", input={"embeddings": stored}, output=output, params=params)
    return folder, load_embeddings(stored).rows


def test_a_decision_is_that_of_compare(decided):
    folder, rows = decided
    table = pd.read_csv(folder / "downstream/decisions/mine/own.csv")
    pairs = [*combinations(rows, 2)]
    assert [*table.groupby(["modality_a", "modality_b"], sort=False).groups] == pairs
    page = (folder / "downstream/decisions/mine/own.md").read_text()
    for (a, b), share in zip(pairs, (0.75, 0.75, 0.25), strict=True):
        own = {"text_share": share, "queries": 20, "confidence": 0.9, "seed": 3}
        fixes = compare_fixes({a: rows[a], b: rows[b]}, labels=np.arange(60) % 3, **own)
        found = table[(table["modality_a"] == a) & (table["modality_b"] == b)]
        expected = fixes.to_frame()
        for column in ("method", "use", "estimate", "low", "high"):
            assert found[column].tolist() == expected[column].tolist()
        assert "zero-shot" in set(found["use"])
        assert "\n".join(fixes.decide({m: f"{m} rows.npy" for m in (a, b)})) in page


def test_labels_that_do_not_do_are_left_out(root, rows, tmp_path, caplog):
    stored, labels = str(tmp_path / "own.safetensors"), str(tmp_path / "labels.npy")
    save_embeddings(stored, Embeddings({m: rows[m] for m in ("image", "text")}))
    np.save(labels, np.arange(60))
    methods = {"shares": [0.5], "calibration": 0.5, "mixed_queries": 20}
    output = {"table": tmp_path / "own.csv", "page": tmp_path / "own.md"}
    params = {"options": methods, "labels": labels, "confidence": 0.9, "seed": 0}
    params["files"] = {"image": "i.npy", "text": "t.npy"}
    call(root, "decide_fix", input={"embeddings": stored}, output=output, params=params)
    assert "without classification" in caplog.text
    assert "zero-shot" not in set(pd.read_csv(output["table"])["use"])


def test_the_best_fix_is_told_with_its_gap(measured):
    gaps = measured["image", "text"]["measures"]
    fix = {"modality_a": "image", "modality_b": "text", "changes": "rows", "measure": "R@1"}
    rows = [
        ("none", "retrieval a to b", 0.5, 0.0),
        ("centring", "retrieval a to b", 0.6, -0.1),
        ("none", "mixed corpus", 0.1, 0.0),
        ("centring", "mixed corpus", 0.4, 0.2),
        ("procrustes", "mixed corpus", 0.7, 0.3),
    ]
    table = pd.DataFrame(
        {**fix, "method": m, "use": use, "renormalised": True, "estimate": e, "sure": sure}
        | {"low": e - 0.1, "high": e + 0.1}
        for m, use, e, sure in rows
    )
    found = summarise(table, gaps)["image, text"]
    assert found["gap"] == gaps["gap"][0]
    assert found["gap_low"] < found["gap"] < found["gap_high"]
    best = found["best"]
    assert best["retrieval a to b"]["method"] == "none", "a gain that is not sure is none"
    assert best["mixed corpus"] | {"low": 0, "high": 0} == {
        "method": "procrustes",
        "changes": "rows",
        "renormalised": True,
        "measure": "R@1",
        "estimate": 0.7,
        "low": 0,
        "high": 0,
        "untouched": 0.1,
    }


CLAIM = {"id": "a", "paper": "MTG", "figure": "Fig 1", "class": "empirical", "evidence": "P"}
CLAIM |= {
    "published": 1.0,
    "measured": None,
    "tolerance": "±1",
    "verdict": "not_run",
    "power": None,
}
CLAIM |= {"statement": "A gap.", "points": 1, "reason": "not here"}
FIGURES = [{"paper": "MTG", "name": "Fig 1", "about": "clouds", "figures": ["Fig 1"], "file": []}]


def decisions(tmp_path, pairs):
    page = to_page("mine", "own", {pair: ["use: 0.1", "  0.7 with <it>"] for pair in pairs})
    path = tmp_path / "downstream/decisions/mine/own.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page)
    assert read_decisions(tmp_path, [("mine", "own"), ("other", "own")]) == [
        Decision("mine", "own", "downstream/decisions/mine/own.md", page)
    ]
    return read_decisions(tmp_path, [("mine", "own")])


def test_a_run_of_ones_own_ends_in_its_decision(tmp_path):
    """In place of claims that nobody could answer; beside them where some are answered."""
    own = decisions(tmp_path, [("image", "text")])
    screen = to_screen([CLAIM], FIGURES, tmp_path, own)
    assert screen == [
        f"{tmp_path}: none of the 1 claims is about what this run has",
        f"decision about mine on own ({tmp_path / own[0].file}):",
        "  use: 0.1",
        "    0.7 with <it>",
    ]
    pages = [to_markdown([CLAIM], "r", [], own), to_html([CLAIM], "r", [], own)]
    for page in pages:
        assert "use: 0.1" in page and "not run" not in page.lower()
    assert "0.7 with &lt;it&gt;" in pages[1]
    answered = {**CLAIM, "verdict": "reproduced", "measured": 1.0}
    both = "\n".join(to_screen([answered], FIGURES, tmp_path, own))
    assert both.index("1 claims, 1 answered") < both.index("use: 0.1")
    for page in (to_markdown([answered], "r", [], own), to_html([answered], "r", [], own)):
        assert "1 reproduced" in page and "use: 0.1" in page
    assert "   use: 0.1" in to_rst([], own)
    assert metrics([CLAIM], {"mine": {}})["decisions"] == {"mine": {}}
    assert "decisions" not in metrics([CLAIM])
    assert to_screen([CLAIM], FIGURES, tmp_path) == screen[:1]


def test_several_pairs_are_named_on_the_screen_and_a_long_decision_is_cut(tmp_path):
    (one,) = decisions(tmp_path, [("image", "text"), ("image", "audio")])
    assert one.sentences[:2] == ["image and text:", "use: 0.1"]
    own = decisions(tmp_path, [("image", f"m{k}") for k in range(20)])
    screen = to_screen([CLAIM], FIGURES, tmp_path, own)
    assert len(screen) < 40 and screen[-1] == "  ... 30 more lines"
