"""Sums of shards, merged, are the measures of the whole."""

import itertools
from functools import reduce
from operator import add

import numpy as np
import pytest

from mindgap.embed.store import Embeddings
from mindgap.gap.cosines import cross_statistics, unit_rows, within_statistics
from mindgap.gap.measures import measure_gap
from mindgap.gap.registry import MEASURES, MOMENTS, PAIRS, compute
from mindgap.gap.sums import AllPairs, Moments, pair_sums

N = 230


@pytest.fixture
def rows(clouds):
    return [unit_rows(r) for r in clouds(N, 12)]


def cut(rows, bounds):
    edges = [0, *bounds, N]
    return [tuple(r[i:j] for r in rows) for i, j in itertools.pairwise(edges) if j > i]


@pytest.mark.parametrize("bounds", [[], [100], [1, 2, 77, 78, 229], range(1, N)])
def test_measures_of_sums_are_those_of_the_whole(rows, bounds):
    shards = cut(rows, bounds)
    merged = Moments.of_sums(reduce(add, (pair_sums(*part) for part in shards)))
    options = {"bootstrap": 100, "confidence": 0.95, "folds": 2, "max_pairs": 20, "bins": 10}
    whole, _ = measure_gap(
        Embeddings(dict(zip(("a", "b"), rows, strict=True))), "a", "b", seed=0, **options
    )
    found = compute(moments=(merged,))
    assert set(found) == {c for one in MEASURES if one.source == MOMENTS for c in one.columns}
    for name, value in found.items():
        assert value == pytest.approx(whole[name], rel=1e-9, abs=1e-12), name
    if len(shards) < 10:
        pairs = AllPairs.of_shards([lambda part=part: part for part in shards], 1000)
        found = compute(pairs=(pairs,))
        assert set(found) == {c for one in MEASURES if one.source == PAIRS for c in one.columns}
        for name, value in found.items():
            assert value == pytest.approx(whole[name], rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("bounds", [[], [100], [1, 2, 77, 229]])
def test_tiles_of_shards_count_every_pair_once(rows, bounds):
    x, y = rows
    parts = [lambda part=part: part for part in cut(rows, bounds)]
    merged = AllPairs.of_shards(parts, 40)
    expected = {
        "a": within_statistics(x, 40),
        "b": within_statistics(y, 40),
        "unmatched": cross_statistics(x, y, 40),
    }
    for name, one in expected.items():
        found = getattr(merged, name)
        assert found.pairs == one.pairs
        np.testing.assert_array_equal(found.counts, one.counts)
        for key in ("minimum", "maximum", "uniformity"):
            assert getattr(found, key) == pytest.approx(getattr(one, key), abs=1e-12), (name, key)
