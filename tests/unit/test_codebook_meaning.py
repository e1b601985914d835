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
from mindgap.data.pairs import read_column
from mindgap.data.sets import build_pairs
from mindgap.data.shapes import COLOURS, MOTIONS
from mindgap.runtime.errors import UserError
from tests.samples import resolve


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
    assert found["background"] == 0
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


def test_places_are_those_of_a_loop_and_keep_every_concept(tmp_path):
    build_pairs(
        tmp_path / "p.parquet", {"kind": "shapes", "items": 40, "size": 16, "frames": 2, "seed": 0}
    )
    objects = read_column(tmp_path / "p.parquet", "objects")
    rng = np.random.default_rng(0)
    concepts = [f"colour: {name}" for name in COLOURS] + ["motion: moving up", "shape: none"]
    named = pd.DataFrame({"concept": concepts, "code": np.arange(len(concepts))})
    for modality, shape, length in (("video", (2, 4, 4), 32), ("audio", (1, 1, 16), 16)):
        codes = rng.integers(-1, 4, (40, length))
        found = localise(codes, modality, shape, objects, named, 0.05).set_index("concept")
        # Codes from 4 on fire nowhere; no scene has the last concept.
        assert list(found.index) == concepts[:-1]
        assert found["fired"].gt(0).tolist() == [True] * 4 + [False] * 5
        assert found.loc[concepts[5], ["hits", "on_object", "background"]].isna().all()
        for code, concept in enumerate(concepts[:-1]):
            family, value = concept.split(": ")
            place = {"own": 0, "other": 0, "both": 0, "none": 0}
            for i, things in enumerate(objects):
                has = [thing[family] == value for thing in things]
                if len(things) != 2 or sum(has) != 1:
                    continue
                for t in np.flatnonzero(codes[i] == code):
                    on = [int(0.05 * (t + 0.5) >= 0.4) == slot for slot in (0, 1)]
                    if modality == "video":
                        on = [
                            covered_cells(o["x"], o["y"], o["size"], MOTIONS[o["motion"]], 4)[
                                t % 16 // 4, t % 4
                            ]
                            for o in things
                        ]
                    right, wrong = on[has.index(True)], on[has.index(False)]
                    place[
                        ("both" if wrong else "own") if right else ("other" if wrong else "none")
                    ] += 1
            row, fired = found.loc[concept], sum(place.values())
            assert row["fired"] == fired
            assert row["pointed"] == place["own"] + place["other"]
            if fired:
                assert row["hits"] == place["own"] / (place["own"] + place["other"])
                assert row["on_object"] == (place["own"] + place["both"]) / fired
                assert row["background"] == place["none"] / fired


def test_a_concept_that_never_hits_one_object_alone_still_counts():
    """Fires on the background alone: no hits to speak of, and all the more firings off it."""
    places = pd.DataFrame(
        {
            "modality": ["a", "a"],
            "hits": [0.5, np.nan],
            "pointed": [2, 0],
            "fired": [10, 30],
            "on_object": [0.2, 0.0],
            "background": [0.6, 1.0],
            "expected": [0.25, 0.25],
        }
    )
    row = reading_row(pd.DataFrame(), pd.DataFrame(), places)
    assert row["hits_a"] == 0.5
    assert row["background_a"] == pytest.approx((0.6 * 10 + 1.0 * 30) / 40)
    assert row["on_a"] == pytest.approx((0.2 * 10 - 0.25 * 40) / 40)


def test_a_reading_names_the_concept_farthest_above_firing_always():
    concepts = pd.DataFrame({"f1": [0.9, 0.5, 0.3], "always": [0.95, 0.2, 0.25], "null": 0.1})
    # The half that codes are chosen on tells which concept it is; the other half, what it gets.
    concepts = concepts.assign(f1_chosen=[0.96, 0.4, 0.6], always_chosen=[0.95, 0.1, 0.5])
    places = pd.DataFrame(
        {"modality": ["a", "a"], "hits": [1.0, 0.5], "pointed": [3, 1], "fired": [30, 10]}
    ).assign(on_object=[0.1, 0.9], expected=0.25, background=[0.8, 0.1])
    row = reading_row(concepts, pd.DataFrame(), places)
    assert (row["f1"], row["f1_always"], row["named"]) == (0.5, 0.2, 0)
    assert row["f1_above"] == pytest.approx(0.3)
    assert row["hits_a"] == pytest.approx(0.875)
    assert row["on_a"] == pytest.approx((0.1 * 30 + 0.9 * 10) / 40 - 0.25)
    assert row["background_a"] == pytest.approx((0.8 * 30 + 0.1 * 10) / 40)
    none = concepts.assign(always_chosen=1.0)  # nothing beats firing always: the best is still said
    assert reading_row(none, pd.DataFrame(), places)["f1"] == 0.9


def test_picking_the_best_of_many_concepts_gains_nothing():
    """Codes that know nothing of 20 concepts: whichever is picked, its F1 is that of any.

    All codes fire and all concepts hold at the same rates p and q, independently, so that concepts
    are alike but for luck: the mean over all of them, and what shuffled concepts get, are the null
    of the one that is picked. Means over 200 draws agree with it within four standard errors.
    """
    rng, p, q, n = np.random.default_rng(0), 0.3, 0.6, 400
    found = []
    for seed in range(200):
        fires = tuple(rng.random((n, 16)) < q for _ in "ab")
        has = rng.random((n, 20)) < p
        concepts = pd.DataFrame({f"kind: {c}": has[:, c] for c in range(20)})
        named = name_codes(fires, concepts, seed)
        row = reading_row(named, pd.DataFrame(), pd.DataFrame({"modality": []}))
        chosen = named.loc[(named["f1_chosen"] - named["always_chosen"]).idxmax()]
        best = named.loc[(named["f1"] - named["always"]).idxmax()]
        found.append(
            {
                "over_mean": row["f1"] - row["f1_mean"],
                "over_null": row["f1"] - chosen["null"],
                "f1_a": chosen["f1_a"] - 2 * p * q / (p + q),
                "above": row["f1_above"],
                "on_the_same_half": best["f1"] - row["f1_mean"],
            }
        )
    found = pd.DataFrame(found)
    mean, error = found.mean(), found.std() / np.sqrt(len(found))
    for name in ("over_mean", "over_null", "f1_a"):
        assert abs(mean[name]) < 4 * error[name], name
    # A code that fires always does better than one that knows nothing, 2p/(1 + p) > 2pq/(p + q).
    assert mean["above"] < -4 * error["above"]
    # Picked on the half that it is measured on, the same codes would seem to know something.
    assert mean["on_the_same_half"] > 4 * error["on_the_same_half"]


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
    assert last["detectable"] == pytest.approx(0)
    first = found.iloc[0]
    assert first["low"] < 1 < first["high"]
    # The interval's half width is t(0.975) s / sqrt(3) with t = 4.302653; power adds t(0.8) = 1.060660.
    half = (first["high"] - first["low"]) / 2
    assert first["detectable"] == pytest.approx(half * (1 + 1.060660 / 4.302653), rel=1e-6)


@pytest.mark.parametrize("overlay", ["default", "codebook"])
def test_every_task_answers_both_questions_on_both_settings(root, overlay):
    """Does the discrete path add to R@1, and does code matching make codes common?"""
    run = resolve(overlay)
    rng = np.random.default_rng(0)
    rows = [
        {**one.key, "recall_at_1": rng.random(), "shared": rng.random() if one.discrete else np.nan}
        for one in run.codebooks.values()
    ]
    found = measure_contrasts(pd.DataFrame(rows), run.config.codebook.contrasts, 0.95)
    for task in run.config.select.codebooks:
        if task == "video_audio_again":  # our settings alone, with more seeds
            continue
        own = found[found["task"] == task].set_index(["effect", "measure"])
        for ours, plain, measure in (
            ("matched", "continuous", "recall_at_1"),
            ("matched", "both", "shared"),
            ("published", "continuous", "recall_at_1"),
            ("published", "published_unmatched", "shared"),
            ("matched", "published", "shared"),
        ):
            assert own.loc[(f"{ours} minus {plain}", measure), "seeds"] == 3, (task, ours, plain)


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


def test_concepts_that_are_too_rare_to_be_split_end_in_a_sentence():
    (a, b), concepts, _ = planted(n=40)
    fires = present(a, 12), present(b, 12)
    with pytest.raises(
        UserError, match="no concept is in 10 items of each half of the 40 held-out"
    ):
        name_codes(fires, concepts, 0)
