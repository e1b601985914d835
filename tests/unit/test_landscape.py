"""The fast landscape against the textbook way: shift, normalise, multiply, log-sum-exp."""

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import logsumexp

from mindgap.runtime.errors import UserError
from mindgap.shift import kernels, sums
from mindgap.shift import landscape as module
from mindgap.shift.landscape import landscape
from tests.bounds import EPS

SHARES = {"both": (0.5, 0.5), "a": (1.0, 0.0), "b": (0.0, 1.0)}
COMMENSURABLE = [100, 50, 30, 20, 10, 1]
SHIFTS = [-5.0, -1.5, -0.25, 0.0, 0.6, 0.95, 2.0, 5.0]


def rounding(exponent):
    """Error in nats of a power of two below `exponent` in float32: of the base and the product."""
    return 2 * exponent * EPS * np.log(2)


WIDE = rounding(module.UPPER)  # 9.5e-6: the steepest tiles; others go to float64
NARROW = rounding(
    36
)  # 3e-6: the entries of `pairs` that count at 1/tau = 100 have exponents near 32


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def pairs(n, d, seed=0, gap=0.55, noise=0.5):
    """Clustered unit rows in two cones, with partners."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.standard_normal(shape) / np.sqrt(d)

    cone, across = unit(draw(1, d)), unit(draw(1, d))
    item = draw(n // 20 + 2, d)[rng.integers(n // 20 + 2, size=n)] + draw(n, d)
    return tuple(
        unit(0.6 * cone + side * gap * across + 0.5 * item + noise * draw(n, d)) for side in (1, -1)
    )


def oracle(x, y, shifts, scales, sides="both", batch=None):
    x, y = x.astype(np.float64), y.astype(np.float64)
    batch = batch or len(x)
    direction = x.mean(0) - y.mean(0)
    direction /= np.linalg.norm(direction)
    share_a, share_b = SHARES[sides]
    losses = np.zeros((2, len(shifts), len(scales)))
    distances = []
    for k, shift in enumerate(shifts):
        a, b = unit(x - share_a * shift * direction), unit(y + share_b * shift * direction)
        moved = a.mean(0) - b.mean(0)
        distances.append(np.sign(moved @ direction) * np.linalg.norm(moved))
        for i in range(0, len(x) // batch * batch, batch):
            cosines = a[i : i + batch] @ b[i : i + batch].T
            for t, scale in enumerate(scales):
                for side in (0, 1):
                    total = logsumexp(scale * cosines, axis=1 - side)
                    losses[side, k, t] += (total - scale * np.diag(cosines)).mean()
    return np.array(distances), *(losses / (len(x) // batch))


def distance_bound(x, y, shifts, sides="both"):
    """Largest error of the distance, (S,): n + d roundings of float64 times the condition.

    Normalising x - a u loses the more digits the nearer it is to the origin: |x - a u|^2 is a sum
    of terms as large as (1 + a)^2. The direction u is a difference over its own length.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    gap = x.mean(0) - y.mean(0)
    length = np.linalg.norm(gap)
    condition = np.zeros(len(shifts))
    for rows, share in zip((x, -y), SHARES[sides], strict=True):
        for k, shift in enumerate(shifts):
            near = np.square(rows - share * shift * gap / length).sum(1)
            condition[k] += ((1 + abs(share * shift)) ** 2 / near).mean() / length
    return sum(x.shape) * np.finfo(np.float64).eps * condition


def check(x, y, shifts, scales, atol=WIDE, **options):
    found = landscape(x, y, shifts, scales, **options)
    options.pop("threads", None)
    distance, ab, ba = oracle(x, y, shifts, scales, **options)
    bound = distance_bound(x, y, shifts, options.get("sides", "both"))
    np.testing.assert_array_less(np.abs(found.distance - distance), bound)
    np.testing.assert_allclose(found.loss_ab, ab, atol=atol, rtol=1e-7)
    np.testing.assert_allclose(found.loss_ba, ba, atol=atol, rtol=1e-7)
    np.testing.assert_array_equal(found.loss, (found.loss_ab + found.loss_ba) / 2)
    return found


# 531 rows are three tiles a side, the last one odd.
@pytest.mark.parametrize("sides", SHARES)
@pytest.mark.parametrize("batch", [None, 50, 2, 77, 300])
def test_every_point_is_that_of_the_textbook(sides, batch):
    x, y = pairs(531, 16)
    check(x, y, SHIFTS, COMMENSURABLE, atol=NARROW, sides=sides, batch=batch, threads=2)


def test_scales_without_a_common_base():
    x, y = pairs(300, 24, seed=1)
    check(x, y, SHIFTS, [100, 33.3, 7.77, 1], atol=NARROW)


def test_scales_come_back_in_the_order_given_and_may_repeat():
    x, y = pairs(60, 8)
    found = check(x, y, [0, 1], [1, 100, 50, 100 * (1 + 1e-13), 100, 1e-6])
    np.testing.assert_array_equal(found.loss_ab[:, 1], found.loss_ab[:, 4])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_any_float_type(dtype):
    x, y = (rows.astype(dtype) for rows in pairs(120, 32))
    check(x, y, SHIFTS, COMMENSURABLE)


def test_untouched_set_is_untouched():
    x, y = pairs(90, 12)
    both = landscape(x, y, [0.0], [10]).loss
    for sides in ("a", "b"):
        np.testing.assert_allclose(landscape(x, y, [0.0], [10], sides=sides).loss, both, atol=1e-12)


def adversaries():
    rng = np.random.default_rng(5)
    normal = rng.standard_normal
    axis = np.eye(16)
    ball, flat = unit(normal((300, 3))), unit(normal((300, 2)))
    cone = 0.1 * normal((300, 16)) + axis[0]
    x, y = pairs(300, 16)
    return {
        "full range": (ball, unit(normal((300, 3)))),
        "partners far apart": (ball, unit(0.02 * normal((300, 3)) - ball)),
        "partners close": (ball, unit(0.1 * normal((300, 3)) + ball)),
        "plane": (flat, unit(normal((300, 2)))),
        "rows nearly identical": (
            unit(1e-4 * normal((300, 16)) + axis[0]),
            unit(1e-4 * normal((300, 16)) + axis[1] + 0.3 * axis[0]),
        ),
        "rows identical": (np.tile(x[:1], (300, 1)), np.tile(y[:1], (300, 1))),
        "opposite points": (
            unit(0.01 * normal((300, 16)) + axis[0]),
            unit(0.01 * normal((300, 16)) - axis[0]),
        ),
        "one row far below the rest": (
            unit(np.concatenate([cone[1:], -axis[:1]])),
            unit(np.concatenate([cone[:-1] + 0.5 * axis[1], axis[:1]])),
        ),
        "axes": (axis[rng.integers(16, size=300)], axis[rng.integers(16, size=300)]),
        "shuffled partners": (x, y[rng.permutation(300)]),
    }


@pytest.mark.parametrize("name", adversaries())
def test_any_input_is_right(name):
    x, y = adversaries()[name]
    scales = [1000, 100, 65, 50, 30, 1]
    check(x, y, [-5, -0.5, 0, 0.5, 1.9, 2, 5], scales)
    check(x.astype(np.float32), y.astype(np.float32), [-5, 0, 2, 5], scales, batch=150)


def test_extreme_shifts_and_scales():
    x, y = pairs(100, 16)
    check(x, y, [-1e4, -100, 40, 1e4], [*COMMENSURABLE, 1000])
    check(x, y, [-0.5, 0, 3], [1e6, 1e-3, 1e-7])


@pytest.mark.parametrize("batch", [None, 64])
def test_fallback_and_tiles_agree(monkeypatch, batch):
    x, y = pairs(300, 16)
    tiles = landscape(x, y, SHIFTS, COMMENSURABLE, batch=batch)
    monkeypatch.setattr(module, "STEEPEST", 0.0)
    monkeypatch.setattr(sums, "PANEL", 7 * 300)
    panels = landscape(x, y, SHIFTS, COMMENSURABLE, batch=batch, threads=2)
    for direction in ("loss_ab", "loss_ba"):
        np.testing.assert_allclose(
            getattr(panels, direction), getattr(tiles, direction), atol=NARROW
        )
        assert not np.array_equal(getattr(panels, direction), getattr(tiles, direction))


def same(one, other):
    for field in ("distance", "loss_ab", "loss_ba"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


@pytest.mark.parametrize("batch", [None, 50])
def test_threads_and_passes_change_nothing(monkeypatch, batch):
    x, y = pairs(1100, 16)
    one = landscape(x, y, SHIFTS, COMMENSURABLE, batch=batch, threads=1)
    for threads in (2, 3):
        same(one, landscape(x, y, SHIFTS, COMMENSURABLE, batch=batch, threads=threads))
    monkeypatch.setattr(module, "BUDGET", 1)  # one shift a pass
    many = landscape(x, y, SHIFTS, COMMENSURABLE, batch=batch, threads=2)
    np.testing.assert_allclose(many.loss, one.loss, atol=1e-12)


def test_rotation_changes_nothing():
    x, y = pairs(200, 24)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((24, 24)))[0]
    one = landscape(x, y, SHIFTS, COMMENSURABLE)
    other = landscape(x @ rotation, y @ rotation, SHIFTS, COMMENSURABLE)
    np.testing.assert_allclose(other.distance, one.distance, atol=1e-9)
    np.testing.assert_allclose(other.loss_ab, one.loss_ab, atol=NARROW)


def test_order_matters_to_batches_alone():
    x, y = pairs(300, 16)
    order = np.random.default_rng(0).permutation(300)
    one = landscape(x, y, SHIFTS, COMMENSURABLE)
    other = landscape(x[order], y[order], SHIFTS, COMMENSURABLE)
    np.testing.assert_allclose(other.loss_ba, one.loss_ba, atol=NARROW)
    batches = np.arange(300).reshape(6, 50)[::-1].ravel()  # whole batches change places
    one = landscape(x, y, SHIFTS, COMMENSURABLE, batch=50)
    other = landscape(x[batches], y[batches], SHIFTS, COMMENSURABLE, batch=50)
    np.testing.assert_allclose(other.loss_ba, one.loss_ba, atol=NARROW)


def test_swapped_sets_swap_directions():
    x, y = pairs(200, 16)
    one = landscape(x, y, SHIFTS, COMMENSURABLE)
    other = landscape(y, x, SHIFTS, COMMENSURABLE)
    np.testing.assert_allclose(other.loss_ab, one.loss_ba, atol=NARROW)
    np.testing.assert_allclose(other.loss_ba, one.loss_ab, atol=NARROW)
    np.testing.assert_allclose(other.distance, one.distance, atol=1e-12)


def test_distance_is_the_gap_and_changes_sign():
    x, y = pairs(200, 16)
    found = landscape(x, y, np.arange(-1, 2, 0.25), [1])
    gap = np.linalg.norm(x.mean(0) - y.mean(0))
    assert found.distance[4] == pytest.approx(gap, abs=1e-12)
    assert (np.diff(found.distance) < 0).all()
    assert found.distance[-1] < 0 < found.distance[0]


def test_hot_loss_is_that_of_chance():
    x, y = pairs(200, 16)
    for batch in (None, 50, 13):
        found = landscape(x, y, [-5, 0, 5], [1e-12], batch=batch)
        np.testing.assert_allclose(found.loss, np.log(batch or 200), atol=1e-7)


def test_small_losses_keep_their_digits():
    x, y = np.eye(4, 8), unit(np.eye(4, 8) + 1e-3 * np.eye(4, 8, 4) - 0.1)
    logits = 60 * (x @ y.T)
    others = np.exp(logits - np.diag(logits)[:, None]) * (1 - np.eye(4))
    exact = np.log1p(others.sum(axis=1)).mean()
    assert exact < 1e-25
    assert landscape(x, y, [0.0], [60]).loss_ab.item() == pytest.approx(exact, rel=WIDE, abs=0)


def test_last_incomplete_batch_counts_in_the_direction_only():
    x, y = pairs(130, 16)
    found = check(x, y, SHIFTS, [50], batch=50)
    assert not np.allclose(
        found.loss, landscape(x[:100], y[:100], SHIFTS, [50], batch=50).loss, atol=1e-6
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shifts": []}, "the list of shifts is empty"),
        ({"scales": []}, "the list of inverse temperatures is empty"),
        ({"scales": [100, 0]}, "above 0 and at most 1e.09, got 0"),
        ({"scales": [np.inf]}, "above 0 and at most 1e.09, got inf"),
        ({"scales": [np.nan]}, "got nan"),
        ({"scales": [1, 1e30]}, "got 1e.30"),
        ({"shifts": [0, np.nan]}, "between -10000 and 10000, got nan"),
        ({"shifts": [np.inf]}, "got inf"),
        ({"batch": 41}, "batch must be between 2 and the 40 pairs, got 41"),
        ({"batch": 1}, "between 2 and the 40 pairs, got 1"),
        ({"batch": 0}, "between 2 and the 40 pairs, got 0"),
        ({"sides": "left"}, "sides must be one of both, a, b, got 'left'"),
        ({"y": pairs(39, 8)[1]}, "x and y must have the same shape"),
        ({"x": pairs(40, 8)[0][:1], "y": pairs(40, 8)[1][:1]}, "must have the shape"),
        ({"y": pairs(40, 8)[0][::-1]}, "equal means"),
        ({"x": 2 * pairs(40, 8)[0]}, "not unit vectors"),
        ({"x": np.full((40, 8), np.nan)}, "not finite; remove"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(change, message):
    x, y = pairs(40, 8)
    given = {"x": x, "y": y, "shifts": [0, 1], "scales": [10, 1]} | change
    with pytest.raises(UserError, match=message) as caught:
        landscape(given.pop("x"), given.pop("y"), given.pop("shifts"), given.pop("scales"), **given)
    assert "\n" not in str(caught.value)


def test_equal_means_are_recognised_through_float32():
    x, _ = (rows.astype(np.float32) for rows in pairs(500, 16))
    y = unit(x[::-1].astype(np.float64)).astype(np.float32)
    with pytest.raises(UserError, match="equal means"):
        landscape(x, y, [0], [1])


def test_a_row_on_the_origin_is_refused():
    x, y = np.tile([[1.0, 0.0]], (4, 1)), np.tile([[-1.0, 0.0]], (4, 1))
    with pytest.raises(UserError, match="onto the origin"):
        landscape(x, y, [0, 2], [1])


def test_exponential():
    values = np.concatenate([np.linspace(-126, 127.9, 4001), np.linspace(-1, 1, 2001)])
    found = np.array([kernels.exp2_float32(np.float32(v)) for v in values], np.float64)
    exact = np.exp2(values.astype(np.float32).astype(np.float64))
    assert np.abs(found / exact - 1).max() < 2.5e-7
    assert kernels.exp2_float32(kernels.LOWEST) == 0


def test_groups_cover_every_scale_once():
    rng = np.random.default_rng(0)
    lists = [COMMENSURABLE, [100, 33.3, 7.77, 1], range(1, 40), 2.0 ** np.arange(-9, 9)]
    lists += [1 / np.array([0.01, 0.02, 0.07, 0.5]), rng.uniform(0.1, 200, 20)]
    for scales in lists:
        scales = np.unique(np.array(scales, np.float64))
        groups = kernels.group_scales(scales)
        columns = [column for group in groups for column in group.columns]
        assert sorted(columns) == list(range(len(scales)))
        for group in groups:
            np.testing.assert_allclose(
                group.base * np.array(group.multiples), scales[list(group.columns)], rtol=1e-9
            )
            assert all(a < b for a, b in pairwise(group.multiples))
            assert group.multiples[-1] <= kernels.HIGHEST_MULTIPLE
            assert len(group.multiples) <= kernels.LARGEST_GROUP
    assert [g.multiples for g in kernels.group_scales(np.array([1.0, 10, 20, 30, 50, 100]))] == [
        (1, 2, 3, 5, 10),
        (1,),
    ]


def test_addition_chains_reach_their_multiples():
    for multiples in [(1,), (16,), (7, 11, 13), (1, 2, 3, 5, 10), (1, 15), (9, 14)]:
        have = {1}
        for power, left, right in kernels.addition_chain(multiples):
            assert power == left + right
            assert {left, right} <= have
            have.add(power)
        assert set(multiples) <= have
    assert len(kernels.addition_chain((1, 2, 3, 5, 10))) == 4


def test_kernel_does_without_a_cache(monkeypatch):
    compiled = []

    def refuse(*arguments, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: compiled.append(function.__name__)

    monkeypatch.setattr(kernels, "njit", refuse)
    kernels.tile_sums.__wrapped__((1, 7))
    assert compiled == ["tile_sums_1_7"]


def test_kept_code_works_in_a_new_process(tmp_path):
    """The first process compiles and keeps, the second one loads."""
    script = (
        "import numpy as np; from mindgap.shift.landscape import landscape; r = np.eye(5);"
        "print(landscape(r, r * [1, 1, 1, 1, -1], [0, 1], [8]).loss.tolist())"
    )
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    outputs = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
        )
        outputs.append(done.stdout)
        kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}
        assert kept
    assert outputs[0] == outputs[1]
    assert kept == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}
