"""Ways of changing the gap: closed forms, oracles, and the table that compares them."""

import numpy as np
import pandas as pd
import pytest

from mindgap.downstream.compare import Pairs, compare_methods, splits
from mindgap.downstream.methods import (
    all_methods,
    fit_centring,
    fit_dropping,
    fit_procrustes,
    fit_realign,
    fit_shift,
    fit_standardising,
    fit_whitening,
)
from mindgap.downstream.mixed import Corpora, ndcg, rank_everything
from mindgap.downstream.rows import UnitRows
from mindgap.gap.cosines import unit_rows
from mindgap.gap.measures import modality_gap
from mindgap.gap.retrieval import match_ranks
from mindgap.runtime.errors import UserError


def fit_on(method, x, y, **more):
    """Maps of a method, fit on unit rows."""
    return method(UnitRows(x, unit=True), UnitRows(y, unit=True), **more)


OPTIONS = {
    "drop": [1, 3, 99],
    "calibration": 0.5,
    "shares": [0, 0.25, 0.5, 1],
    "queries": 1000,
    "mixed_queries": 30,
    "seed": 0,
}


@pytest.fixture
def pairs(clouds):
    return [unit_rows(rows) for rows in clouds(80, 12)]


@pytest.mark.parametrize(
    "fit", [fit_shift, fit_centring, fit_standardising, fit_realign, fit_whitening]
)
def test_no_gap_is_left_on_the_rows_that_a_method_was_fit_on(pairs, fit):
    x, y = pairs
    to_a, to_b = fit_on(fit, x, y)
    assert modality_gap(to_a(x), to_b(y)) < 1e-12  # 80 float64 roundings of numbers below 10


def test_shift_meets_in_the_middle_and_moves_no_pair_of_one_modality(pairs):
    x, y = pairs
    to_a, to_b = fit_on(fit_shift, x, y)
    middle = (x.mean(axis=0) + y.mean(axis=0)) / 2
    np.testing.assert_allclose(to_a(x).mean(axis=0), middle)
    np.testing.assert_allclose(to_b(y)[3] - to_b(y)[5], y[3] - y[5])


def test_standardised_coordinates_have_unit_variance_and_a_constant_one_stays(pairs):
    x, y = pairs
    x[:, 2] = 0.25
    to_a, to_b = fit_on(fit_standardising, x, y)
    np.testing.assert_allclose(to_b(y).std(axis=0), 1)
    assert (to_a(x)[:, 2] == 0).all()


def test_realign_matches_mean_and_trace_and_leaves_the_first_modality(pairs):
    x, y = pairs
    to_a, to_b = fit_on(fit_realign, x, y)
    np.testing.assert_array_equal(to_a(x), x)
    np.testing.assert_allclose(np.trace(np.cov(to_b(y).T)), np.trace(np.cov(x.T)))
    np.testing.assert_allclose(to_b(y).mean(axis=0), x.mean(axis=0))


def test_procrustes_is_orthogonal_and_finds_a_turn_again(pairs):
    x, _ = pairs
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((12, 12)))
    _, to_b = fit_on(fit_procrustes, x, x @ turn)
    np.testing.assert_allclose(to_b(x @ turn), x, atol=1e-12)
    found = to_b(np.eye(12))
    np.testing.assert_allclose(found @ found.T, np.eye(12), atol=1e-12)


def test_procrustes_beats_random_turns(pairs):
    x, y = pairs
    best = np.linalg.norm(x - fit_on(fit_procrustes, x, y)[1](y))
    rng = np.random.default_rng(2)
    others = (np.linalg.qr(rng.standard_normal((12, 12)))[0] for _ in range(50))
    assert all(best <= np.linalg.norm(x - y @ turn) for turn in others)


def test_the_most_different_dimensions_are_dropped(pairs):
    x, y = pairs
    to_a, to_b = fit_on(fit_dropping, x, y, dimensions=3)
    gone = np.argsort(-np.abs(x.mean(axis=0) - y.mean(axis=0)))[:3]
    assert (to_a(x)[:, gone] == 0).all()
    assert (to_b(y)[:, gone] == 0).all()
    assert (np.abs(to_a(x)).sum(axis=0) > 0).sum() == 9


def test_whitening_is_the_symmetric_root_of_the_shrunk_covariance(pairs):
    from sklearn.covariance import ledoit_wolf

    x, y = pairs
    to_a, _ = fit_on(fit_whitening, x, y)
    turn = to_a(np.eye(12) + x.mean(axis=0))
    np.testing.assert_allclose(turn, turn.T, atol=1e-9)
    covariance, _ = ledoit_wolf(x)
    np.testing.assert_allclose(turn @ covariance @ turn, np.eye(12), atol=1e-9)


def test_equal_rows_cannot_be_scaled(pairs):
    x, _ = pairs
    same = np.tile(x[:1], (80, 1))
    with pytest.raises(UserError, match="ReAlign needs rows that differ"):
        fit_on(fit_realign, x, same)
    with pytest.raises(UserError, match="whitening needs rows that differ"):
        fit_on(fit_whitening, same, x)


# Mixed corpora


def slow_rank(query, corpus, own):
    similar = corpus @ query
    return int((similar >= similar[own] - 1e-10).sum()) - 1


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_mixed_ranks_are_those_of_the_corpus_written_out(pairs, scale):
    x, y = (scale * rows * np.linspace(0.5, 2, 80)[:, None] for rows in pairs)
    y[11] = y[12]  # a tie
    spare = unit_rows(x + 0.3)
    corpora = Corpora.draw(80, [1, 0.3, 0], 999, 25, 4)
    assert corpora.shares.tolist() == [0, 0.3, 1]
    own = corpora.asking[:25]
    for norm, found in enumerate(rank_everything(x, y, spare, corpora, threads=2)):
        a, b = (unit_rows(z) if norm else z for z in (x, y))
        items = np.arange(80)
        expected = match_ranks(a, b, items, items)[corpora.asking]
        assert (found.ab == expected).all()
        assert (found.ba == match_ranks(b, a, items, items)[corpora.asking]).all()
        for k, cut in enumerate(corpora.cuts):
            texts = items < cut
            corpus = np.where(texts[:, None], b, a)
            for place, i in enumerate(own):
                other = a[i] if texts[i] else b[i]
                assert found.mixed["other"][k, place] == slow_rank(other, corpus, i)
                asked = unit_rows(spare)[i] if norm else spare[i]
                assert found.mixed["caption"][k, place] == slow_rank(asked, corpus, i)


def test_ranks_do_not_depend_on_threads_or_blocks(pairs, monkeypatch):
    from mindgap.downstream import mixed

    corpora = Corpora.draw(80, [0, 0.5, 1], 60, 20, 0)
    whole = rank_everything(*pairs, None, corpora, threads=1)
    monkeypatch.setattr(mixed, "_ENTRIES", 80 * 7)
    pieces = rank_everything(*pairs, None, corpora, threads=3)
    for one, other in zip(whole, pieces, strict=True):
        assert (one.ab == other.ab).all()
        assert (one.mixed["other"] == other.mixed["other"]).all()


def test_ndcg_of_one_relevant_item():
    assert ndcg(np.array([0, 1, 9, 10])) == pytest.approx(
        (1 + 1 / np.log2(3) + 1 / np.log2(11)) / 4
    )


def test_a_gap_makes_mixed_corpora_worse_than_pure_ones_and_centring_mends_it():
    rng = np.random.default_rng(0)
    shared = 0.5 * rng.standard_normal((200, 16))
    x, y = (
        unit_rows(shared + 0.1 * rng.standard_normal((200, 16)) + 3 * c) for c in np.eye(16)[:2]
    )
    table = pd.DataFrame([c for _, curve in compare_methods(Pairs(x, y), **OPTIONS) for c in curve])
    table = table[(table["fit"] == "held_out") & (table["renormalised"] == 1)]
    shown = table.pivot(index="text_share", columns="method", values="ndcg_at_10")
    assert shown.loc[0.5, "none"] < 0.3 * min(shown.loc[0, "none"], shown.loc[1, "none"])
    assert shown.loc[0.5, "centring"] > 3 * shown.loc[0.5, "none"]


# The table


def test_every_method_is_fit_on_some_rows_and_measured_on_others(pairs):
    x, y = pairs
    labels = np.arange(80) % 4
    rows = pd.DataFrame(
        [row for row, _ in compare_methods(Pairs(x, y, None, y[:4], labels), **OPTIONS)]
    )
    names = [name for name in all_methods([1, 3], 12)]
    assert list(dict.fromkeys(rows["method"])) == names, "99 of 12 dimensions are left out"
    assert not [c for c in rows if c.startswith("ndcg")], "each share has a row of its own"
    held = rows[rows["fit"] == "held_out"]
    assert set(held["n_fit"] + held["n_test"]) == {80}
    assert set(rows[rows["fit"] == "transductive"]["n_fit"]) == {80}
    prompts = rows[rows["text_rows"] == "prompts"]
    assert set(prompts["method"]) == {"shift", "centring"}
    assert rows["accuracy"].between(0, 1).all()
    none = rows[(rows["method"] == "none") & (rows["fit"] == "transductive")]
    assert none["gap"].tolist() == pytest.approx([modality_gap(x, y)] * 2)
    items = np.arange(80)
    assert none["recall_at_1_ab"].iloc[0] == (match_ranks(x, y, items, items) < 1).mean()
    centred = rows[(rows["method"] == "centring") & (rows["text_rows"] == "pairs")]
    by_hand = centred[(centred["fit"] == "transductive") & (centred["renormalised"] == 0)]
    classes = y[:4] - y.mean(axis=0)
    expected = (((x - x.mean(axis=0)) @ classes.T).argmax(axis=1) == labels).mean()
    assert by_hand["accuracy"].item() == expected


def test_held_out_rows_have_no_part_in_the_fit(pairs):
    """Other test rows, same calibration rows: the maps stay as they are."""
    x, y = pairs
    train, test = splits(80, 0.5, 0)["held_out"]
    assert not set(train) & set(test)
    moved = x.copy()
    moved[test] = unit_rows(moved[test] + 5)
    before, after = (fit_on(fit_centring, z[train], y[train])[0](x) for z in (x, moved))
    assert (before == after).all()


@pytest.mark.parametrize(("n", "share"), [(3, 0.5), (80, 0.001), (80, 0.999)])
def test_an_empty_split_is_refused(n, share):
    with pytest.raises(UserError, match=r"downstream\.methods\.calibration=.* both need 2 or more"):
        splits(n, share, 0)
