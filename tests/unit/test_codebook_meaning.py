"""Reading codes: usage, meaning, places and agreement against codes that are planted."""

import math

import numpy as np
import pandas as pd
import pytest

from mindgap.codebook.examples import choose_codes, find_examples
from mindgap.codebook.meaning import (
    agreement,
    describe_codes,
    detection,
    generalise,
    histograms,
    name_codes,
    present,
    read_concepts,
)
from mindgap.codebook.measure import as_vectors, retrieval_rows
from mindgap.codebook.places import covered_cells, localise
from mindgap.codebook.summary import measure_contrasts, reading_row
from mindgap.codebook.usage import count_codes, jensen_shannon, measure_usage, perplexity
from mindgap.data.sets import build_pairs


def planted(n=400, seed=0):
    """Codes 0 to 3 name a concept in both modalities; 4 fires always, 5 to 9 at random, 10 never."""
    rng = np.random.default_rng(seed)
    concept = rng.integers(4, size=n)
    sides = []
    for _ in "ab":
        noise = rng.integers(5, 10, (n, 4))
        sides.append(np.column_stack([concept, np.full(n, 4), noise]).astype(np.int16))
    sides[1][:, -1] = -1
    concepts = pd.DataFrame({f"colour: {k}": concept == k for k in range(4)})
    return tuple(sides), concepts, concept


def test_usage_of_two_codes():
    a, b = np.array([[0, 0, 1, -1]]), np.array([[1, 1, 1, 2]])
    assert count_codes(a, 4).tolist() == [2, 1, 0, 0]
    row = measure_usage(a, b, 4)
    assert row["dead"] == 0.25
    assert row["shared"] == pytest.approx(1 / 3)  # code 1: a third of a, three quarters of b
    assert row["overlap"] == pytest.approx(1 / 3)
    assert row["met_1"] == pytest.approx(1 / 3)
    assert math.isnan(row["met_10"])
    assert row["perplexity_a"] == pytest.approx(3 / 2 ** (2 / 3))
    p, q = np.array([2 / 3, 1 / 3, 0]), np.array([0, 3 / 4, 1 / 4])
    m = (p + q) / 2
    kl = sum(x * np.log2(x / y) for s in (p, q) for x, y in zip(s, m, strict=True) if x > 0)
    assert row["divergence"] == pytest.approx(kl / 2)
    assert perplexity(np.full(8, 1 / 8)) == pytest.approx(8)
    assert jensen_shannon(np.array([1.0, 0]), np.array([0, 1.0])) == 1


def test_disjoint_modalities_share_nothing_and_equal_ones_everything():
    a = np.arange(8).reshape(2, 4)
    assert measure_usage(a, a, 8)["shared"] == 1
    assert measure_usage(a, a, 8)["divergence"] == 0
    apart = measure_usage(a, a + 8, 16)
    assert (apart["shared"], apart["overlap"], apart["divergence"]) == (0, 0, 1)


def test_planted_codes_are_found_and_chance_is_not():
    codes, concepts, _ = planted()
    named = name_codes(tuple(present(side, 11) for side in codes), concepts, 0)
    assert set(named["concept"]) == set(concepts.columns)
    for row in named.itertuples():
        assert row.concept == f"colour: {row.code}"
        assert row.f1 == 1.0
        assert row.null < 0.6
        share = concepts[row.concept].mean()
        assert row.always == pytest.approx(2 * share / (1 + share), abs=0.1)


def test_detection_is_counting():
    fires = np.array([[1, 0], [1, 1], [0, 0]], bool)
    has = np.array([[1], [0], [1]], bool)
    precision, recall, f1 = detection(fires, has)
    assert precision.tolist() == [[0.5], [0.0]]
    assert recall.tolist() == [[0.5], [0.0]]
    assert f1.tolist() == [[0.5], [0.0]]


def test_description_of_codes():
    codes, concepts, concept = planted()
    table = describe_codes(codes, concepts, 11, 2)
    first = table[(table["code"] == 2) & (table["rank"] == 1)]
    assert list(first["modality"]) == ["a", "b"]
    assert (first["concept"] == "colour: 2").all()
    assert (first["precision"] == 1).all()
    assert (first["items"] == (concept == 2).sum()).all()
    assert 10 not in set(table["code"])


def test_agreement_and_generalisation_of_planted_codes():
    codes, _, concept = planted()
    only = tuple(side[:, :1] for side in codes)
    found = agreement(only, 11, 0)
    assert found["agreement"] == 1.0
    assert found["agreement_shuffled"] < 0.5
    classes = {"colour": concept.astype(str), "none": np.full(len(concept), "")}
    rows = generalise(codes, classes, 11, 0)
    assert {row["family"] for row in rows} == {"colour"}
    assert len(rows) == 4
    assert min(row["accuracy"] for row in rows) > 0.95
    mixed = (codes[0], np.where(codes[1] < 4, (codes[1] + 1) % 4, codes[1]))
    across = [
        r["accuracy"]
        for r in generalise(mixed, classes, 11, 0)
        if r["trained_on"] != r["tested_on"]
    ]
    assert max(across) < 0.2  # below chance: it names the wrong one


def test_histograms_leave_padding_out():
    shares = histograms(np.array([[0, 1, -1], [2, 2, 2]]), 3)
    np.testing.assert_allclose(shares, [[0.5, 0.5, 0], [0, 0, 1]])


def test_codes_on_the_right_object_and_on_the_wrong_one():
    red = {
        "shape": "circle",
        "colour": "red",
        "size": "small",
        "place": "",
        "motion": "standing still",
    }
    blue = {**red, "colour": "blue"}
    left, right = {"x": 0.125, "y": 0.125}, {"x": 0.875, "y": 0.875}
    objects = [[{**red, **left}, {**blue, **right}], [{**blue, **left}, {**red, **right}]]
    named = pd.DataFrame({"concept": ["colour: red"], "code": [3]})
    cells = covered_cells(0.125, 0.125, "small", (0, 0), 4)
    assert cells[0, 0]
    assert cells.sum() == 1
    assert covered_cells(0.125, 0.125, "small", (1, 0), 4)[0, :2].all()
    codes = np.zeros((2, 16), int)
    codes[0, 0] = codes[1, 15] = 3
    found = localise(codes, "image", (1, 4, 4), objects, named, 0.0).iloc[0]
    assert (found["hits"], found["pointed"], found["on_object"]) == (1, 2, 1)
    assert found["expected"] == pytest.approx(1 / 16)
    codes[1] = codes[1][::-1]
    found = localise(codes, "image", (1, 4, 4), objects, named, 0.0).iloc[0]
    assert found["hits"] == 0.5
    # Sound: the first object sounds for 0.4 s, then the second one.
    codes = np.zeros((2, 16), int)
    codes[0, :8] = codes[1, 8:] = 3
    found = localise(codes, "audio", (1, 1, 16), objects, named, 0.05).iloc[0]
    assert found["hits"] == 1
    assert found["expected"] == 0.5


def test_a_reading_names_the_concept_farthest_above_firing_always():
    concepts = pd.DataFrame({"f1": [0.9, 0.5, 0.3], "always": [0.95, 0.2, 0.25], "null": 0.1})
    places = pd.DataFrame(
        {"modality": ["a", "a"], "hits": [1.0, 0.5], "pointed": [3, 1], "fired": [30, 10]}
    ).assign(on_object=[0.1, 0.9], expected=0.25)
    row = reading_row(concepts, pd.DataFrame(), places)
    assert (row["f1"], row["f1_always"], row["named"]) == (0.5, 0.2, 0)
    assert row["hits_a"] == pytest.approx(0.875)
    assert row["on_a"] == pytest.approx((0.1 * 30 + 0.9 * 10) / 40 - 0.25)
    none = concepts.assign(always=1.0)  # nothing beats firing always: the best is still said
    assert reading_row(none, pd.DataFrame(), places)["f1"] == 0.9


def test_concepts_of_scenes_labels_and_captions(tmp_path):
    build_pairs(
        tmp_path / "p.parquet", {"kind": "shapes", "items": 20, "size": 16, "frames": 2, "seed": 0}
    )
    scenes = read_concepts(tmp_path / "p.parquet", ["objects"], ["video", "audio"])
    families = {name.partition(":")[0] for name in scenes}
    assert families == {"shape", "colour", "size", "motion"}
    assert not any("place" in name for name in scenes)
    still = read_concepts(tmp_path / "p.parquet", ["objects"], ["image", "text"])
    assert {name.partition(":")[0] for name in still} == {"shape", "colour", "size", "place"}
    labels = read_concepts(tmp_path / "p.parquet", ["label"], ["image", "audio"])
    assert (labels.sum(axis=1) == 1).all()
    words = read_concepts(tmp_path / "p.parquet", ["text"], ["image", "text"])
    assert words["word: a"].all()


def test_retrieval_in_random_sets():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 8))
    rows = retrieval_rows({"final": (x, x), "noise": (x, x[::-1])}, list("ab") * 25, 3, 20, 0)
    assert len(rows) == 3 * 2 * 2
    perfect = [r for r in rows if r["vector"] == "final" and r["level"] == "item"]
    assert all(0.8 <= r["recall_at_1_ab"] <= 1 and r["items"] == 20 for r in perfect)
    again = retrieval_rows({"final": (x, x)}, None, 3, 20, 0)
    assert [r["recall_at_1_ab"] for r in again] == [r["recall_at_1_ab"] for r in perfect]
    whole = retrieval_rows({"final": (x, x)}, None, 3, 50, 0)
    assert len(whole) == 1


def test_code_scores_as_dot_products():
    rng = np.random.default_rng(0)
    logs = np.log(rng.dirichlet(np.ones(6), (2, 5)))
    x, y = as_vectors(logs)
    p, q = np.exp(logs)
    expected = p @ logs[1].T + logs[0] @ q.T
    np.testing.assert_allclose(x @ y.T, expected, rtol=1e-6)


def test_contrasts_are_paired_by_seed():
    rows = [
        {"task": "t", "variant": v, "seed": s, "gap": base + shift}
        for v, shift in (("both", 0.0), ("matched", 0.5))
        for s, base in enumerate((1.0, 2.0, 4.0))
    ]
    found = measure_contrasts(pd.DataFrame(rows), [["matched", "both"], ["kl", "both"]], 0.95)
    assert list(found["effect"]) == ["both", "matched", "matched minus both"]
    last = found.iloc[-1]
    assert (last["estimate"], last["low"], last["high"]) == pytest.approx((0.5, 0.5, 0.5))
    assert last["seeds"] == 3
    assert found.iloc[0]["low"] < 1 < found.iloc[0]["high"]


def test_examples_fire_and_codes_are_shown_once():
    codes, concepts, concept = planted()
    named = name_codes(tuple(present(side, 11) for side in codes), concepts, 0)
    named = pd.concat([named, named.head(1).assign(concept="size: any")])
    chosen = choose_codes(named.reset_index(drop=True), 3)
    assert len(chosen) == chosen["code"].nunique() == 3
    for own in find_examples(codes, chosen, 2):
        for code, items in own.items():
            assert len(set(items)) == 2
            assert (concept[items] == code).all()
