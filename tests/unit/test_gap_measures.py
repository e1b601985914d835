import numpy as np
import pytest
from scipy.stats import ortho_group

from mindgap.embed.store import Embeddings
from mindgap.gap import estimators as e
from mindgap.gap import measures as m
from mindgap.gap import registry
from mindgap.gap.cosines import unit_rows
from mindgap.gap.projection import project, project_svd, sample_pairs
from mindgap.gap.sums import Moments, spectrum
from mindgap.runtime.errors import UserError

OPTIONS = {
    "bootstrap": 100,
    "confidence": 0.95,
    "folds": 5,
    "max_pairs": 1000,
    "bins": 40,
    "seed": 0,
}
#: Measures that compare whole clouds and so keep their value under any rotation and order.
EXACT = [
    "gap",
    "gap_unbiased",
    "norm_a",
    "centroid_cosine",
    "cosine_a",
    "cosine_min_b",
    "cosine_matched",
    "cosine_unmatched",
    "relative_gap",
    "distance_matched",
    "alignment",
    "uniformity_a",
    "effective_rank_b",
    "mmd",
    "energy_distance",
    "pc1_share",
    "singular_1",
    "recall_at_1_ab",
    "recall_at_5_ba",
    "along_gap_min_a",
]


def measure(x, y, **options):
    row, histograms = m.measure_gap(
        Embeddings({"image": x, "text": y}), "image", "text", **{**OPTIONS, **options}
    )
    return row, histograms


def effective_rank(x):
    return e.effective_rank(spectrum(x), len(x))


@pytest.fixture(scope="module")
def pair():
    from tests.conftest import make_clouds

    return make_clouds(80, 12, seed=4, gap=0.6, noise=0.6)


@pytest.fixture(scope="module")
def row(pair):
    return measure(*pair)[0]


def test_two_points_have_known_measures():
    """Each modality is one direction, at a right angle: every measure has a closed form."""
    x = np.tile([2.0, 0, 0], (6, 1))
    y = np.tile([0, 3.0, 0], (6, 1))
    row, histograms = measure(x, y)
    expected = {
        "n": 6,
        "d": 3,
        "gap": np.sqrt(2),
        "gap_unbiased": np.sqrt(2),
        "gap_low": np.sqrt(2),
        "gap_high": np.sqrt(2),
        "norm_a": 1,
        "centroid_cosine": 0,
        "cosine_a": 1,
        "cosine_min_a": 1,
        "cosine_matched": 0,
        "cosine_unmatched": 0,
        "relative_gap": 1,
        "alignment": 2,
        "distance_matched": np.sqrt(2),
        "uniformity_a": 0,
        "energy_distance": 2 * np.sqrt(2),
        "separability": 1,
        "singular_1": np.sqrt(6),
        "singular_2": np.sqrt(6),
        "pc1_share": 1,
        "distinct_a": 1,
        "recall_at_1_ab": 0,
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, abs=1e-9), name
    assert np.isnan(row["effective_rank_a"])
    assert np.isnan(effective_rank(unit_rows(np.full((50, 7), 0.3))))
    assert histograms["within image"][-1] == 15
    assert histograms["matched"].sum() == 6
    assert histograms["unmatched"].sum() == 30


def test_mmd_of_two_points():
    """All distances are 0 or sqrt 2; 36 of 66 pairs differ, so the width is sqrt 2."""
    x, y = np.tile([1.0, 0], (6, 1)), np.tile([0, 1.0], (6, 1))
    assert e.mmd(x, y) == pytest.approx(np.sqrt(2 - 2 * np.exp(-0.5)))


def test_mmd_is_unbiased_for_paired_rows():
    """Equal distributions, strongly paired: the mean of MMD^2 over many sets is zero."""
    rng = np.random.default_rng(0)
    values = []
    for _ in range(300):
        shared = rng.standard_normal((20, 5))
        x, y = (unit_rows(shared + 0.3 * rng.standard_normal((20, 5))) for _ in range(2))
        values.append(e.squared_mmd(x, y))
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(300)


def slow_energy_distance(x, y):
    """Its definition, pair by pair; no row meets itself or its partner."""
    n = len(x)
    mean = lambda a, b: np.mean(  # noqa: E731
        [np.linalg.norm(a[i] - b[j]) for i in range(n) for j in range(n) if i != j]
    )
    return 2 * mean(x, y) - mean(x, x) - mean(y, y)


@pytest.mark.parametrize("entries", [1, 100, 1 << 21])
def test_energy_distance_is_its_definition_whatever_the_tile(clouds, monkeypatch, entries):
    monkeypatch.setattr(m, "_ENTRIES", entries)
    x, y = map(unit_rows, clouds(23, 5, gap=0.4))
    # The root of 2 - 2 cos is uncertain by the root of a rounding where a row meets itself alone,
    # and these pairs are left out.
    assert m.energy_distance(x, y) == pytest.approx(slow_energy_distance(x, y), abs=1e-9)


def test_energy_distance_is_unbiased_for_paired_rows():
    rng = np.random.default_rng(0)
    values = []
    for _ in range(300):
        shared = rng.standard_normal((20, 5))
        x, y = (unit_rows(shared + 0.3 * rng.standard_normal((20, 5))) for _ in range(2))
        values.append(m.energy_distance(x, y))
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(300)


def test_a_new_measure_is_a_column_of_every_table(monkeypatch, clouds):
    """One decorated function: gap.csv, sharded sets and correlations follow."""
    mine = registry.MEASURES.copy()
    for module in (m, registry):
        monkeypatch.setattr(module, "MEASURES", mine)

    @registry.measure(registry.MOMENTS, tells=registry.DISTANCE)
    def squared_gap(moments):
        return m.gap(moments) ** 2

    row, _ = measure(*clouds(20, 6))
    assert row["squared_gap"] == row["gap"] ** 2
    assert list(row)[-1] == "squared_gap"
    assert "squared_gap" in m.correlated()
    x, y = map(unit_rows, clouds(20, 6))
    assert "squared_gap" in registry.compute(moments=(Moments.of_rows(x, y),))


def test_ceiling_of_recall_is_what_a_perfect_model_gets():
    x = np.eye(6)
    y = np.eye(6)[[0, 1, 2, 2, 4, 4]]  # items 2 to 5 share their texts in twos
    row, _ = measure(x[[0, 1, 2, 2, 4, 4]] + 0.0, y)
    assert row["recall_ceiling_ab"] == pytest.approx(2 / 6)
    assert row["recall_at_1_ab"] == pytest.approx(2 / 6)
    assert row["distinct_b"] == 4


def test_identical_modalities_have_no_gap(pair):
    row, _ = measure(pair[0], pair[0])
    assert row["gap"] == 0
    assert row["gap_unbiased"] == 0
    assert row["gap_low"] == row["gap_high"] == 0
    assert row["relative_gap"] == pytest.approx(0, abs=1e-12)
    assert row["mmd"] < 0.05
    assert row["recall_at_1_ab"] == row["recall_at_1_ba"] == 1


def test_identity_of_the_gap(row):
    """gap^2 = |m_a|^2 + |m_b|^2 - 2 m_a . m_b and |m|^2 = c + (1 - c) / n."""
    for side in "ab":
        c = row[f"cosine_{side}"]
        assert row[f"norm_{side}"] ** 2 == pytest.approx(c + (1 - c) / row["n"])
    square = row["norm_a"] ** 2 + row["norm_b"] ** 2 - 2 * row["cosine_all"]
    assert row["gap"] ** 2 == pytest.approx(square)
    matched, rest = row["cosine_matched"], row["cosine_unmatched"]
    assert row["cosine_all"] == pytest.approx((matched + (row["n"] - 1) * rest) / row["n"])


def test_quartiles_of_the_cosines(pair, row):
    for side, rows in zip("ab", map(unit_rows, pair), strict=True):
        cosines = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
        for share in (25, 50, 75):
            expected = np.quantile(cosines, share / 100)
            assert row[f"cosine_q{share}_{side}"] == pytest.approx(expected, abs=2 / 4000 + 1e-3)


def test_unbiased_gap_is_the_u_statistic(pair):
    """Mean of (x_i - y_i) . (x_j - y_j) over i != j."""
    x, y = map(unit_rows, pair)
    difference = x - y
    products = difference @ difference.T
    n = len(x)
    slow = (products.sum() - np.trace(products)) / (n * (n - 1))
    assert m.gap_unbiased(Moments.of_rows(x, y)) ** 2 == pytest.approx(slow)


def test_separability_is_chance_without_a_difference():
    rng = np.random.default_rng(0)
    x, y = (unit_rows(rng.standard_normal((300, 6))) for _ in range(2))
    assert 0.42 < e.separability(x, y, 5, 0) < 0.58


def test_effective_rank_counts_equal_directions():
    x = np.concatenate([np.eye(4), -np.eye(4)])
    assert effective_rank(x) == pytest.approx(4)
    assert effective_rank(np.repeat(x, 3, axis=0)) == pytest.approx(4)


def test_rotation_changes_nothing(pair, row):
    turn = ortho_group.rvs(12, random_state=1)
    turned, _ = measure(*(p.astype(float) @ turn for p in pair))
    for name in EXACT:
        # float64, but for the root that MMD takes of a difference of means: sqrt of 1e-16 at worst.
        assert turned[name] == pytest.approx(row[name], abs=1e-7), name


def test_order_of_pairs_changes_nothing(pair, row):
    order = np.random.default_rng(0).permutation(80)
    shuffled, histograms = measure(*(p[order] for p in pair))
    for name in EXACT:
        assert shuffled[name] == pytest.approx(row[name], abs=1e-9), name
    for kind, counts in measure(*pair)[1].items():
        np.testing.assert_array_equal(histograms[kind], counts)


def test_length_of_rows_changes_nothing(pair, row):
    scaled, _ = measure(pair[0] * 100, pair[1] * 0.01)  # rounded to float32 again: 6e-8 of 12
    for name in EXACT:
        assert scaled[name] == pytest.approx(row[name], abs=1e-6), name


def test_swapping_the_modalities_swaps_the_columns(pair, row):
    swapped, _ = m.measure_gap(
        Embeddings({"image": pair[1], "text": pair[0]}), "image", "text", **OPTIONS
    )
    assert swapped["gap"] == pytest.approx(row["gap"])
    for name in ("cosine", "norm", "uniformity", "effective_rank", "distinct"):
        assert swapped[f"{name}_a"] == pytest.approx(row[f"{name}_b"])
    assert swapped["recall_at_5_ab"] == row["recall_at_5_ba"]


def test_one_seed_one_table(pair, row):
    again, _ = measure(*pair)
    assert again == row
    other, _ = measure(*pair, seed=1)
    assert other["gap"] == row["gap"]
    assert other["gap_low"] != row["gap_low"]


def test_intervals_hold_the_estimate(row):
    for name in ("gap", "cosine_matched", "recall_at_1_ab", "recall_at_10_ba"):
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"], name


def test_several_captions_an_item(pair):
    """Extra captions change retrieval and nothing else; equal ones change nothing at all."""
    x, y = pair
    twice = Embeddings(
        {"image": x, "text": np.repeat(y, 2, axis=0)}, {"text": np.repeat(np.arange(80), 2)}
    )
    found, _ = m.measure_gap(twice, "image", "text", **OPTIONS)
    plain, _ = measure(x, y)
    assert found["n"] == 80
    for name in ("gap", "cosine_matched", "recall_at_1_ba", "recall_at_1_ab"):
        assert found[name] == pytest.approx(plain[name]), name


def test_bad_rows_are_refused(pair):
    with pytest.raises(UserError, match="unpaired"):
        measure(pair[0][:-1], pair[1])


def test_svd_picture_has_the_singular_values(pair):
    x, y = map(unit_rows, pair)
    stack = np.concatenate([x, y])
    points = project_svd(stack)
    expected = np.linalg.svd(stack, compute_uv=False)[:2]
    np.testing.assert_allclose(np.linalg.norm(points, axis=0), expected)
    np.testing.assert_allclose(project_svd(stack[::-1])[::-1], points, atol=1e-9)


def test_sample_of_pairs():
    np.testing.assert_array_equal(sample_pairs(5, 9, 0), np.arange(5))
    some = sample_pairs(100, 10, 0)
    assert len(set(some)) == 10
    assert (np.diff(some) > 0).all()


@pytest.mark.parametrize("n", [3, 30])
def test_umap_repeats_and_takes_tiny_sets(clouds, n):
    x, y = clouds(n, 8, gap=3.0)
    a, b = (project(x, y, "umap", 15, 0.1, 0) for _ in range(2))
    assert a[0].shape == (n, 2)
    np.testing.assert_array_equal(a, b)
    assert np.isfinite(a).all()


def test_umap_of_repeated_rows_starts_from_the_seed(monkeypatch):
    """Their graph falls into pieces, for which the eigensolver draws from an `rng`, or at random."""
    from scipy.sparse import linalg

    rng, plain, given = np.random.default_rng(0), linalg.eigsh, []

    def spy(*args, **more):
        given.append(more.get("rng"))
        return plain(*args, **more)

    monkeypatch.setattr(linalg, "eigsh", spy)
    x, y = rng.standard_normal((120, 8)) + 3, np.repeat(rng.standard_normal((6, 8)), 20, axis=0)
    first, again = (project(x, y, "umap", 10, 0.1, 5) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert given and set(given) == {5}
    assert linalg.eigsh is spy
