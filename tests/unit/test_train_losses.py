"""Losses against sums written out, amendments against closed forms, batches against their promise."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from mindgap.config.train import DualRecipe
from mindgap.runtime.errors import UserError
from mindgap.train.amend import Amendment, fit_amendment
from mindgap.train.augment import crop_and_resize, flip_and_crop, leave_out_words
from mindgap.train.batches import Batches, wrong_partners
from mindgap.train.effects import measure_effects
from mindgap.train.loop import make_optimiser, rate
from mindgap.train.losses import LOSSES, MARGIN
from mindgap.train.trainer import scale


def rows(n=7, d=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        F.normalize(torch.randn(n, d, generator=generator, dtype=torch.float64), dim=1)
        for _ in "ab"
    ]


def oracle(name, x, y, s, b):
    """Each loss as a double sum over floats."""
    n = len(x)
    x, y = x.tolist(), y.tolist()

    def dot(u, v):
        return sum(p * q for p, q in zip(u, v, strict=True))

    def log_share(logits, i):
        return logits[i] - math.log(sum(map(math.exp, logits)))

    def entropy(u, v):
        return -sum(log_share([s * dot(u[i], w) for w in v], i) for i in range(n)) / n

    def uniform(u):
        squares = [
            sum((p - q) ** 2 for p, q in zip(u[i], u[j], strict=True))
            for i in range(n)
            for j in range(i + 1, n)
        ]
        return math.log(sum(math.exp(-2 * v) for v in squares) / len(squares))

    if name == "cross_entropy":
        return (entropy(x, y) + entropy(y, x)) / 2
    if name == "uniformity":
        return (entropy(x, y) + entropy(y, x)) / 2 + (uniform(x) + uniform(y)) / 2
    if name == "sigmoid":
        return (
            sum(
                math.log(1 + math.exp(-(1 if i == j else -1) * (s * dot(x[i], y[j]) + b)))
                for i in range(n)
                for j in range(n)
            )
            / n
        )
    if name == "masked_margin":
        total = 0
        for u, v in ((x, y), (y, x)):
            for i in range(n):
                logits = [s * dot(u[i], v[j]) - (MARGIN if i == j else 0) for j in range(n)]
                total -= log_share(logits, i) / n
        return total
    if name == "dual":
        both = x + y
        total = 0
        for i in range(2 * n):
            others = [j for j in range(2 * n) if j != i]
            logits = [s * dot(both[i], both[j]) for j in others]
            total -= log_share(logits, others.index((i + n) % (2 * n))) / (2 * n)
        return total
    total = 0
    for u, v in ((x, y), (y, x)):
        kept = []
        for i in range(n):
            logits = [s * dot(u[i], w) for w in v]
            if max(range(n), key=logits.__getitem__) == i:
                kept.append(-log_share(logits, i))
        total += sum(kept) / max(1, len(kept))
    return total / 2


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_is_its_sum(name):
    x, y = rows()
    s, b = torch.tensor(4.0, dtype=torch.float64), torch.tensor(-2.0, dtype=torch.float64)
    assert float(LOSSES[name](x, y, s, b)) == pytest.approx(oracle(name, x, y, 4.0, -2.0), abs=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_know_no_order_and_no_direction(name):
    x, y = rows(9, 6, seed=3)
    s, b = torch.tensor(10.0, dtype=torch.float64), torch.tensor(-10.0, dtype=torch.float64)
    loss = float(LOSSES[name](x, y, s, b))
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(9, generator=generator)
    turn = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))[0]
    assert float(LOSSES[name](x[order], y[order], s, b)) == pytest.approx(loss, abs=1e-9)
    assert float(LOSSES[name](y, x, s, b)) == pytest.approx(loss, abs=1e-9)
    assert float(LOSSES[name](x @ turn, y @ turn, s, b)) == pytest.approx(loss, abs=1e-9)


def cones(n=200, d=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(2, d, generator=generator, dtype=torch.float64)
    return [
        F.normalize(c + 0.3 * torch.randn(n, d, generator=generator, dtype=torch.float64), dim=1)
        for c in centres
    ]


def test_procrustes_turns_and_closes_the_gap_of_two_cones():
    x, y = cones()
    amendment = fit_amendment("procrustes", x, y)
    turn = amendment.turn.double()
    # The turn is kept as float32: 12 products, each with two entries rounded, make 24 * 2**-24.
    torch.testing.assert_close(
        turn @ turn.T, torch.eye(12, dtype=torch.float64), atol=1.5e-6, rtol=0
    )
    _, turned = amendment(x, y)
    means = [z.mean(0) for z in (x, y, turned)]
    gap = (means[0] - means[2]).norm()
    # Two narrow cones are nearly one direction each: what is left is the difference of their means' lengths.
    assert gap < 0.1 * (means[0] - means[1]).norm()
    # No other rotation brings the pairs closer: a small turn of the solution makes it worse.
    best = (x - turned).square().sum()
    for seed in range(5):
        skew = torch.randn(
            12, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        other = torch.linalg.matrix_exp(0.05 * (skew - skew.T)) @ turn
        assert (x - y @ other.T).square().sum() > best


def test_centring_leaves_no_gap_on_its_own_rows_before_normalisation():
    x, y = cones()
    amendment = fit_amendment("centre", x, y)
    for rows_, centre in zip((x, y), amendment.centres, strict=True):
        assert (rows_ - centre.double()).mean(0).norm() < 1e-6
    a, b = amendment(x, y)
    assert (a.mean(0) - b.mean(0)).norm() < 0.2 * (x.mean(0) - y.mean(0)).norm()
    torch.testing.assert_close(a.norm(dim=1), torch.ones(200, dtype=torch.float64))


def test_an_amendment_comes_back_from_its_tensors():
    x, y = cones()
    for kind in ("none", "procrustes", "centre"):
        one = fit_amendment(kind, x, y)
        again = Amendment.of_tensors(one.tensors())
        for a, b in zip(one(x, y), again(x, y), strict=True):
            torch.testing.assert_close(a, b)


def test_batches_are_a_function_of_seed_and_step():
    first, count = np.arange(0, 50, 5), np.full(10, 5)
    partner = np.arange(10)
    one = Batches(first, count, 4, "random", partner, 3, "none", 0)
    two = Batches(first, count, 4, "random", partner, 3, "none", 0)
    forward = [one[step] for step in range(6)]
    backward = [two[step] for step in reversed(range(6))][::-1]
    for a, b in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(a[:2], b[:2])
    epoch = np.concatenate([items for items, *_ in forward[:2]])
    assert len(set(epoch.tolist())) == 8
    for items, captions, _ in forward:
        np.testing.assert_array_equal(captions // 5, items)
    firsts, lasts = (
        Batches(first, count, 4, which, partner, 3, "none", 0)[0] for which in ("first", "last")
    )
    np.testing.assert_array_equal(lasts[1] - firsts[1], 4)
    with pytest.raises(
        UserError, match="batch must be at most 10, the size of the training set, got 11"
    ):
        Batches(first, count, 11, "first", partner, 0, "none", 0)


def test_wrong_captions_are_all_wrong_and_as_many_as_asked_for():
    partner = wrong_partners(100, 0.2, 5)
    assert (partner != np.arange(100)).sum() == 20
    assert sorted(partner) == list(range(100))
    np.testing.assert_array_equal(wrong_partners(100, 0.0, 5), np.arange(100))


def test_rates_and_scales():
    recipe = DualRecipe(steps=100, learning_rate=1.0, warmup=10)
    assert rate(recipe, 0) == pytest.approx(0.1)
    assert rate(recipe, 9) == rate(recipe, 10) == 1.0
    assert rate(recipe, 55) == pytest.approx(0.5)
    assert rate(recipe.model_copy(update={"schedule": "constant"}), 55) == 1.0
    recipe = DualRecipe(steps=11, inverse_temperature=1.0, final_inverse_temperature=100.0)
    assert [scale(recipe, step) for step in (0, 5, 10, 11)] == pytest.approx([1, 10, 100, 100])


def adam(kind, weight, gradients, recipe):
    """Adam of one weight (Kingma and Ba 2015), with decay apart (Loshchilov and Hutter 2019) or not."""
    m = v = 0.0
    one, two = recipe.betas
    for t, gradient in enumerate(gradients, 1):
        if kind == "adam_l2":
            gradient += recipe.weight_decay * weight
        m, v = one * m + (1 - one) * gradient, two * v + (1 - two) * gradient**2
        if kind == "adamw":
            weight -= recipe.learning_rate * recipe.weight_decay * weight
        size = math.sqrt(v / (1 - two**t)) + recipe.epsilon
        weight -= recipe.learning_rate * m / (1 - one**t) / size
    return weight


@pytest.mark.parametrize("kind", ["adamw", "adam_l2"])
def test_each_optimiser_is_its_formula(kind):
    recipe = DualRecipe(
        optimiser=kind, betas=[0.5, 0.9], learning_rate=0.01, epsilon=0.3, weight_decay=0.7
    )
    model, gradients = torch.nn.Linear(1, 1, bias=False), (0.2, -0.9, 0.4)
    torch.nn.init.constant_(model.weight, 3.0)
    optimiser = make_optimiser(model, recipe)
    for gradient in gradients:
        model.weight.grad = torch.full((1, 1), gradient)
        optimiser.step()
    assert model.weight.item() == pytest.approx(adam(kind, 3.0, gradients, recipe), rel=1e-6)


def test_flip_and_crop():
    pictures = np.arange(2 * 3 * 16 * 24, dtype=np.int16).reshape(2, 3, 16, 24)
    still = np.array([[0.9, 0.5, 0.5], [0.1, 0.5, 0.5]])
    same, mirrored = flip_and_crop(pictures, still)
    assert (same == pictures[0]).all()
    assert (mirrored == pictures[1][:, :, ::-1]).all()
    moved = flip_and_crop(pictures, np.array([[0.9, 0.0, 0.999], [0.9, 0.999, 0.0]]))
    # The furthest moves are an eighth of each side, and what comes in is the picture reflected.
    assert (moved[0][:, 2:, :-3] == pictures[0][:, :-2, 3:]).all()
    assert (moved[0][:, 1, :-3] == pictures[0][:, 1, 3:]).all()
    assert (moved[1][:, :-2, 3:] == pictures[1][:, 2:, :-3]).all()


def test_augmentation_draws_anew_in_each_step():
    some = np.arange(8), np.ones(8, np.int64)
    batches = Batches(*some, 4, "first", np.arange(8), 3, "flip_crop", 0)
    again = Batches(*some, 4, "first", np.arange(8), 3, "flip_crop", 0)
    for numbers in ("pictures", "words"):
        one, same, other = (getattr(b[2], numbers) for b in (batches[5], again[5], batches[6]))
        assert (one == same).all()
        assert not (one == other).any()
    assert Batches(*some, 4, "first", np.arange(8), 3, "none", 0)[5][2] is None


def test_crops_come_back_in_full_size():
    ramp = np.arange(64, dtype=np.float32)
    pictures = np.broadcast_to(ramp * 2, (4, 3, 64, 64)).copy()
    pictures[2:] = pictures[2:].transpose(0, 1, 3, 2)
    whole = np.array([0.9, 0.5, 0.5, 0.9999999, 0.5])
    draws = np.stack([whole, whole, [0.1, 0.5, 0.5, 0.9999999, 0.5], [0.9, 0.0, 0.5, 0.0, 0.5]])
    same, also, mirrored, cut = crop_and_resize(pictures, draws)
    assert np.abs(same - pictures[0]).max() < 1e-3
    assert (same == also).all()
    assert np.abs(mirrored - pictures[2][:, :, ::-1]).max() < 1e-3
    # The least part, from the top edge: sqrt(0.35) of the ramp.
    inner = cut[0, 2:-2, 0]
    assert np.allclose(np.diff(inner), 2 * 0.35**0.5, atol=1e-3)
    assert inner[0] < 5
    small = crop_and_resize(pictures.astype(np.uint8), draws)
    assert small.dtype == np.uint8


def test_words_are_left_out_and_the_rest_moves_up():
    ids = np.array([[1, 11, 12, 13, 2, 0, 0], [1, 21, 2, 0, 0, 0, 0]])
    tokens = {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}
    out = np.zeros((2, 9), bool)
    out[:, [0, 2, 4]] = True
    found = leave_out_words(tokens, out, 0)
    assert found["input_ids"].tolist() == [[1, 11, 13, 2, 0, 0, 0], [1, 21, 2, 0, 0, 0, 0]]
    assert found["attention_mask"].sum(1).tolist() == [4, 3]
    everything = leave_out_words({"input_ids": ids}, ~np.zeros((2, 9), bool), 0)
    assert everything["input_ids"][:, :3].tolist() == [[1, 2, 0], [1, 2, 0]]
    assert "attention_mask" not in everything


def test_effects_are_differences_of_seeds_and_moves_over_the_steps():
    finals = pd.DataFrame(
        {"definition": ["plain", "plain", "turned", "turned"], "seed": [0, 1, 0, 1]}
    ).assign(gap=[0.5, 0.3, 0.2, 0.2])
    steps = pd.DataFrame(
        [
            {"definition": d, "seed": s, "step": step, "gap": gap}
            for d, s, gaps in (
                ("plain", 0, (1.2, 0.7, 0.5)),
                ("plain", 1, (1.3, 1.4, 0.3)),
                ("turned", 0, (0.1, 0.6, 0.2)),
                ("turned", 1, (0.1, 0.4, 0.2)),
            )
            for step, gap in zip((0, 1, 300), gaps, strict=True)
        ]
    ).sample(frac=1, random_state=0)
    experiment = {"start": {"plain": "plain", "others": ["turned"], "measure": "gap"}}
    found = measure_effects(finals, experiment, 0.95, steps).set_index("effect")
    assert found.loc["turned minus plain", "estimate"] == pytest.approx(-0.2)
    assert found.loc["plain at its end minus its start", "estimate"] == pytest.approx(-0.85)
    moved = found.loc["turned at its end minus its start"]
    assert (moved["estimate"], moved["low"], moved["high"]) == pytest.approx((0.1, 0.1, 0.1))


def test_a_measure_that_does_not_change_has_no_order():
    finals = pd.DataFrame({"definition": "hot", "seed": 0, "scale": [1, 10, 100]})
    experiment = {"heat": {"trainings": ["hot"], "over": "scale", "measure": "gap"}}
    for gaps, tau in (([0.1, 0.2, 0.3], 1), ([0.3, 0.2, 0.1], -1), ([0.2, 0.2, 0.2], 0)):
        table = finals.assign(gap=gaps, gap_low=gaps, gap_high=gaps)
        found = measure_effects(table, experiment, 0.95).set_index("effect")
        assert found.loc["Kendall's tau with scale", "estimate"] == pytest.approx(tau)
