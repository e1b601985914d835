"""Cosines, retrieval and bootstrap against their textbook definitions."""

import numpy as np
import pytest

from mindgap.gap.bootstrap import (
    bootstrap_means,
    distance_interval,
    percentile_interval,
    resample_weights,
)
from mindgap.gap.cosines import (
    cross_statistics,
    histogram,
    mean_cosine,
    mean_cross_cosine,
    unit_rows,
    within_statistics,
)
from mindgap.gap.retrieval import match_ranks, recall


def textbook(cosines, bins):
    counts, _ = np.histogram(cosines.clip(-1, 1), bins=np.linspace(-1, 1, bins + 1))
    return cosines.min(), cosines.max(), np.log(np.exp(-2 * (2 - 2 * cosines)).mean()), counts


@pytest.mark.parametrize("n", [2, 7, 64, 131])
@pytest.mark.parametrize("tile", [5, 64, 1024])
def test_tiles_equal_the_matrix(clouds, n, tile):
    x, y = map(unit_rows, clouds(n, 16))
    square = x @ x.T
    upper = square[np.triu_indices(n, 1)]
    across = (x @ y.T)[~np.eye(n, dtype=bool)]
    assert mean_cosine(x) == pytest.approx(upper.mean(), abs=1e-12)
    assert mean_cross_cosine(x, y) == pytest.approx((x @ y.T).mean(), abs=1e-12)
    for found, cosines in (
        (within_statistics(x, 41, tile), upper),
        (cross_statistics(x, y, 41, tile), across),
    ):
        low, high, uniformity, counts = textbook(cosines, 41)
        assert found.pairs == cosines.size
        assert found.minimum == pytest.approx(low, abs=1e-12)
        assert found.maximum == pytest.approx(high, abs=1e-12)
        assert found.uniformity == pytest.approx(uniformity, abs=1e-12)
        np.testing.assert_array_equal(found.counts, counts)


def test_known_cosines():
    x = np.array([[1.0, 0], [0, 1], [-1, 0]])
    assert mean_cosine(x) == pytest.approx(-1 / 3)
    np.testing.assert_array_equal(histogram(np.array([-1.0, 0, 1, 1 + 1e-15]), 4), [1, 0, 1, 2])


def slow_ranks(queries, gallery, query_items, gallery_items):
    ranks = []
    for q, item in zip(queries, query_items, strict=True):
        similar = gallery @ q
        best = similar[gallery_items == item].max()
        ranks.append(sum(s >= best - 1e-10 for s in similar[gallery_items != item]))
    return ranks


def test_ranks_equal_the_slow_ones(clouds, monkeypatch):
    x, y = map(unit_rows, clouds(50, 8, noise=2.0))
    items = np.arange(50)
    expected = slow_ranks(x, y, items, items)
    np.testing.assert_array_equal(match_ranks(x, y, items, items), expected)
    monkeypatch.setattr("mindgap.gap.retrieval._ENTRIES", 170)
    np.testing.assert_array_equal(match_ranks(x, y, items, items), expected)


def test_any_of_several_captions_is_a_hit(clouds):
    x, y = map(unit_rows, clouds(60, 8, noise=2.0))
    captions = np.arange(60) // 3
    pictures = np.arange(20)
    found = match_ranks(x[:20], y, pictures, captions)
    np.testing.assert_array_equal(found, slow_ranks(x[:20], y, pictures, captions))
    back = match_ranks(y, x[:20], captions, pictures)
    np.testing.assert_array_equal(back, slow_ranks(y, x[:20], captions, pictures))


def test_ties_count_against_the_model():
    """A model that gives every item one vector retrieves nothing."""
    x = unit_rows(np.ones((7, 3)) + 0.1)
    items = np.arange(7)
    ranks = match_ranks(x, x, items, items)
    np.testing.assert_array_equal(ranks, 6)
    assert recall(ranks, 1) == 0
    assert recall(ranks, 7) == 1


def test_identical_rows_tie_whatever_the_order_of_summation():
    rng = np.random.default_rng(0)
    y = unit_rows(rng.standard_normal((4099, 37)))
    y[4098] = y[0]
    items = np.arange(4099)
    ranks = match_ranks(y, y, items, items)
    assert ranks[0] == ranks[4098] == 1
    assert not ranks[1:4098].any()


def test_weights_are_counts_of_draws():
    blocks = list(resample_weights(11, 250, seed=1))
    weights = np.concatenate(blocks)
    assert weights.shape == (250, 11)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_array_equal(np.rint(weights * 11), weights * 11)
    assert weights.mean() == pytest.approx(1 / 11)


def test_bootstrap_agrees_with_the_loop():
    rng = np.random.default_rng(3)
    data = rng.standard_normal((40, 2))
    draws = rng_indices(40, 200, seed=5)
    expected = np.stack([data[rows].mean(axis=0) for rows in draws])
    np.testing.assert_allclose(bootstrap_means(data, 200, seed=5), expected)


def rng_indices(n, resamples, seed):
    return np.random.default_rng(seed).integers(n, size=(resamples, n))


def test_interval_of_a_mean_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        sample = rng.standard_normal((100, 1))
        low, high = percentile_interval(bootstrap_means(sample, 300, seed)[:, 0], 0.9)
        hits += low <= 0 <= high
    assert 165 <= hits <= 194  # 180 expected, sd 4.2, a little less for a small sample


def test_interval_of_a_distance_covers_the_population():
    """The percentile interval of a norm misses upwards; the reflected one must not."""
    rng = np.random.default_rng(0)
    truth, hits, naive = 0.5, 0, 0
    for seed in range(200):
        sample = rng.standard_normal((60, 50)) * 0.3
        sample[:, 0] += truth
        estimate = np.linalg.norm(sample.mean(axis=0))
        squares = np.square(bootstrap_means(sample, 300, seed)).sum(axis=1)
        low, high = distance_interval(squares, estimate, 0.95)
        hits += low <= truth <= high
        low, high = np.sqrt(percentile_interval(squares, 0.95))
        naive += low <= truth <= high
    assert hits >= 178
    assert naive < 60, "if the simple interval covered too, the reflection would be needless"
