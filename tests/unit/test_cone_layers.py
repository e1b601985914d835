import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mindgap.cone.kernels import (
    cap_log2,
    depth_curve,
    dual,
    first_layer_shift,
    relu_kernel,
    wide_cosine,
)
from mindgap.cone.layers import (
    ACTIVATIONS,
    BIASES,
    BLOCKS,
    Draws,
    Network,
    mean_cosines,
    member_seeds,
    networks_by_width,
    trace_depth,
)
from mindgap.runtime.errors import UserError
from tests.bounds import walk

COSINE = walk(4 * 24, 1)  # cosines of rows that passed four layers of 24 terms


def slow(network, depth, seed, inputs):
    """The published loop: one network, one layer after the other, the whole cosine matrix."""
    width = network.width
    x = Draws([seed], 0).normal(inputs, width)[0]
    first, second, bias = (Draws([seed], stream) for stream in (1, 2, 3))
    functions = {
        "sigmoid": torch.sigmoid,
        "relu": torch.relu,
        "leaky_relu": lambda t: torch.where(t > 0, t, 0.01 * t),
        "tanh": torch.tanh,
        "gelu": F.gelu,
        "quick_gelu": lambda t: t * torch.sigmoid(1.702 * t),
        "elu": F.elu,
    }
    f = functions.get(network.activation, lambda t: t)

    def cosine(x):
        unit = (x / (x.norm(dim=1, keepdim=True) + 1e-16)).double()
        return (unit @ unit.T).mean().item()

    means = [cosine(x)]
    for _ in range(depth):
        w = first.normal(width, width, std=width**-0.5)[0]
        v = second.normal(width, width, std=width**-0.5)[0] if network.second else None
        b = []
        for _ in range(2):
            normal = bias.normal(1, width, std=width**-0.5)[0]
            uniform = bias.uniform(1, width, bound=width**-0.5)[0]
            b.append({"normal": normal, "uniform": uniform, "none": 0}[network.bias])
        inner = x
        if "layernorm" in network.block or network.block == "transformer":
            inner = (x - x.mean(1, keepdim=True)) / (
                x.var(1, correction=0, keepdim=True) + 1e-5
            ).sqrt()
        h = inner @ w + b[0]
        if network.activation == "maxout":
            h = torch.stack([h, inner @ v + b[1]]).amax(0)
        h = f(h)
        if network.block == "transformer":
            h = h @ v + b[1]
        x = x + h if "residual" in network.block or network.block == "transformer" else h
        means.append(cosine(x))
    return means


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_agree_with_the_published_loop(activation):
    for bias in BIASES:
        network = Network(activation, bias, width=24)
        found = trace_depth([network], 4, 40, [3, 5], threads=2)
        for k, seed in enumerate((3, 5)):
            np.testing.assert_allclose(found[0, :, k], slow(network, 4, seed, 40), atol=COSINE)


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_agree_with_the_published_loop(block):
    network = Network("relu", "normal", block, 24)
    found = trace_depth([network], 4, 40, [7], threads=1)[0, :, 0]
    np.testing.assert_allclose(found, slow(network, 4, 7, 40), atol=COSINE)


def test_company_changes_nothing():
    """A seed's draws depend on that seed alone, a network's curve on no other network."""
    one = Network("relu", width=32)
    two = Network("maxout", "uniform", width=32)
    alone = trace_depth([one], 3, 20, [4], threads=1)
    company = trace_depth([two, one], 3, 20, [1, 4, 9], threads=2)
    np.testing.assert_array_equal(alone[0, :, 0], company[1, :, 1])
    again = trace_depth([two, one], 3, 20, [1, 4, 9], threads=1)
    np.testing.assert_array_equal(company, again)
    assert member_seeds(0, 3, "a") == member_seeds(0, 5, "a")[:3]
    assert set(member_seeds(0, 3, "a")).isdisjoint(
        member_seeds(0, 3, "b") + member_seeds(1, 3, "a")
    )


def test_the_diagonal_is_in_the_mean():
    rows = torch.eye(8)[None]
    assert mean_cosines(rows).item() == pytest.approx(1 / 8)


def test_groups_hold_one_width_and_every_network_once():
    networks = [Network(a, b, width=w) for a in ACTIVATIONS for b in BIASES for w in (8, 16)]
    groups = networks_by_width(networks, most=5)
    assert sorted(repr(n) for g in groups for n in g) == sorted(map(repr, networks))
    assert all(len({n.width for n in g}) == 1 and len(g) <= 5 for g in groups)
    assert all(len({n.second for n in g}) == 1 for g in groups)


def test_refusals():
    with pytest.raises(UserError, match="depth must be at least 1, got 0"):
        trace_depth([Network("relu")], 0, 10, [0])
    with pytest.raises(UserError, match="no activation is called 'swish'"):
        Network("swish")
    with pytest.raises(UserError, match="no bias is called 'big'"):
        Network("relu", "big")
    with pytest.raises(UserError, match="must have the same width"):
        trace_depth([Network("relu", width=8), Network("relu", width=9)], 1, 10, [0])
    bad = torch.zeros(4, 8)
    bad[1, 2] = torch.nan
    with pytest.raises(UserError, match="the inputs have values that are not finite"):
        trace_depth([Network("relu", width=8)], 1, bad, [0])
    with pytest.raises(UserError, match="inputs must have the width 9 of the networks, got 8"):
        trace_depth([Network("relu", width=9)], 1, torch.zeros(4, 8), [0])
    huge = torch.full((4, 8), 3e38)
    with pytest.raises(UserError, match="the rows of a layer are not finite"):
        trace_depth([Network("none", width=8)], 3, huge, [0])


def test_closed_form_of_the_digest():
    """k at depths 1, 2, 3, 5, 10, 15, 20 for infinitely many inputs, with each bias."""
    expected = {
        "normal": (0.3193, 0.4959, 0.6089, 0.7480, 0.9502, 0.9980, 0.9999),
        "uniform": (0.3186, 0.4945, 0.6062, 0.7401, 0.9174, 0.9951, 0.9998),
        "none": (0.3183, 0.4937, 0.6048, 0.7359, 0.8715, 0.9230, 0.9484),
    }
    for bias, values in expected.items():
        curve = depth_curve("relu", bias, 25, 10**9, 512)
        np.testing.assert_allclose(curve[[1, 2, 3, 5, 10, 15, 20]], values, atol=5.1e-5)
    assert depth_curve("relu", "none", 1, 10**9, 512)[1] == pytest.approx(1 / np.pi)
    assert depth_curve("relu", "normal", 1, 1024, 512)[0] == pytest.approx(1 / 1024)
    assert np.isnan(depth_curve("maxout", "none", 3, 10, 8)).all()


def test_duals_by_sampling():
    rng = np.random.default_rng(0)
    s, t = rng.standard_normal((2, 400_000))
    q, r = 1.7, 0.4
    x, y = np.sqrt(q) * s, np.sqrt(q) * (r * s + np.sqrt(1 - r * r) * t)
    for name in set(ACTIVATIONS) - {"maxout"}:
        a, b = (ACTIVATIONS[name](torch.from_numpy(v.copy())).numpy() for v in (x, y))
        moment, cosine = dual(name, q, r)
        assert moment == pytest.approx((a * a).mean(), rel=0.01), name
        assert cosine == pytest.approx((a * b).mean() / moment, abs=0.01), name
    with pytest.raises(UserError, match="no closed form for the activation 'maxout'"):
        dual("maxout", 1, 0)


def test_wide_networks_follow_their_closed_form():
    """Sixteen networks of width 256 on 64 inputs; the finite width adds O(1/width)."""
    networks = [Network(a, width=256) for a in ("sigmoid", "relu", "gelu", "elu", "tanh", "none")]
    found = trace_depth(networks, 5, 64, range(16), threads=2)
    for network, values in zip(networks, found, strict=True):
        curve = depth_curve(network.activation, "normal", 5, 64, 256)
        error = values.std(axis=1, ddof=1) / 4
        assert (np.abs(values.mean(axis=1) - curve) < 4 * error + 5 / 256).all(), network


def test_finite_width_of_the_first_layer():
    """5 / (4 pi width), seen with 600 networks of width 64 on standard normal rows."""
    values = trace_depth([Network("relu", "none", width=64)], 1, 256, range(600), threads=2)[0, 1]
    off = (256 * values - 1) / 255 - relu_kernel(0)
    error = off.std(ddof=1) / np.sqrt(600)
    assert abs(off.mean() - first_layer_shift(64)) < 4 * error + first_layer_shift(64) / 20
    assert off.mean() > 10 * error


def test_wide_cosine_never_falls_below_the_bound():
    for ratio in (0.5, 1, 2, 3):
        for cosine in np.linspace(0, 0.99, 12):
            rho = (1 + ratio * cosine) / np.sqrt((1 + ratio**2) * 2)
            assert wide_cosine(ratio, cosine) >= rho - 1e-12
            if cosine < 2 * ratio / (1 + ratio**2) and ratio == 1:
                assert wide_cosine(ratio, cosine) > cosine


def test_caps():
    """Section 2.1: full angle 55.94 degrees; 15.54 % in 2-D, 5.84 % (not 3.34 %) in 3-D."""
    assert 2 ** cap_log2(0.56, 2) == pytest.approx(np.degrees(np.arccos(0.56)) / 360)
    half = np.arccos(0.56) / 2
    assert 2 ** cap_log2(0.56, 3) == pytest.approx((1 - np.cos(half)) / 2)
    assert 2 ** cap_log2(0.56, 3) == pytest.approx(0.0584, abs=5e-5)
    assert cap_log2(0.56, 512) < -512
    # The two ways of computing it meet where the dimension changes from one to the other.
    assert cap_log2(0.3, 40) - cap_log2(0.3, 41) == pytest.approx(
        cap_log2(0.3, 41) - cap_log2(0.3, 42), rel=1e-2
    )
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400_000, 5))
    inside = (x[:, 0] / np.linalg.norm(x, axis=1) > np.cos(np.arccos(0.1) / 2)).mean()
    assert 2 ** cap_log2(0.1, 5) == pytest.approx(inside, rel=0.02)
    with pytest.raises(UserError, match="dimension must be at least 2"):
        cap_log2(0.5, 1)
