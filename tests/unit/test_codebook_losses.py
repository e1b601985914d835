"""MMS and code matching: closed forms on three items, baselines, what the entropies do."""

import math

import pytest
import torch

from mindgap.codebook.assign import assign
from mindgap.codebook.losses import code_matching, code_scores, mask_sources
from mindgap.train.losses import LOSSES, MARGIN, masked_margin

PAPER = {"form": "cross_entropy", "temperature": 1.0, "both": False}


def distributions(n=5, v=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.log_softmax(2 * torch.randn(n, v, generator=generator, dtype=torch.float64), 1)


def test_masked_margin_of_three_items():
    scores = torch.tensor([[2.0, 0.0, -1.0], [1.0, 3.0, 0.5], [0.0, -2.0, 1.0]])
    m, total = 0.25, 0.0
    for s in (scores.tolist(), scores.T.tolist()):
        for i in range(3):
            own = math.exp(s[i][i] - m)
            total -= math.log(own / (own + sum(math.exp(s[i][j]) for j in range(3) if j != i))) / 3
    assert float(masked_margin(scores, margin=m)) == pytest.approx(total, rel=1e-6)


def test_masked_margin_is_that_of_the_chapter_train():
    x, y = (torch.randn(7, 4, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    other = LOSSES["masked_margin"](x, y, torch.tensor(1.0), None)
    assert float(masked_margin(x @ y.T)) == pytest.approx(float(other), rel=1e-6)


def test_items_of_one_source_are_no_wrong_answers():
    scores = torch.tensor([[2.0, 5.0, -1.0], [5.0, 3.0, 0.5], [0.0, -2.0, 1.0]])
    ours = masked_margin(mask_sources(scores, torch.tensor([4, 4, 1])), margin=0.0)
    total = 0.0
    allowed = [[0, 2], [1, 2], [0, 1, 2]]
    for s in (scores.tolist(), scores.T.tolist()):
        for i in range(3):
            total -= math.log(math.exp(s[i][i]) / sum(math.exp(s[i][j]) for j in allowed[i])) / 3
    assert float(ours) == pytest.approx(total, rel=1e-6)


def test_code_matching_of_three_items():
    a, b = distributions(3, 4), distributions(3, 4, 1)
    p, q = a.exp().tolist(), b.exp().tolist()

    def score(i, j):
        return sum(x * math.log(y) + y * math.log(x) for x, y in zip(p[i], q[j], strict=True))

    total = sum(
        -math.log(math.exp(score(i, i)) / sum(math.exp(score(i, j)) for j in range(3)))
        for i in range(3)
    )
    assert float(code_matching(a, b, **PAPER)) == pytest.approx(total / 3, rel=1e-9)
    back = float(code_matching(b, a, **PAPER))
    both = float(code_matching(a, b, **PAPER | {"both": True}))
    assert both == pytest.approx((total / 3 + back) / 2, rel=1e-9)


def test_the_forms_are_their_divergences():
    a, b = distributions(), distributions(seed=1)
    kl = torch.tensor(
        [[sum((x.exp() - y.exp()) * (x - y)) for y in b] for x in a], dtype=torch.float64
    )
    torch.testing.assert_close(code_scores(a, b, "kl"), -kl)
    js = torch.empty(len(a), len(b), dtype=torch.float64)
    for i, x in enumerate(a.exp()):
        for j, y in enumerate(b.exp()):
            m = (x + y) / 2
            js[i, j] = ((x * (x / m).log()).sum() + (y * (y / m).log()).sum()) / 2
    torch.testing.assert_close(code_scores(a, b, "js"), -js)
    # The cross-entropy form has the entropies of both on top.
    entropy_a, entropy_b = (-(z.exp() * z).sum(1) for z in (a, b))
    torch.testing.assert_close(
        code_scores(a, b, "cross_entropy"), -kl - entropy_a[:, None] - entropy_b[None, :]
    )


@pytest.mark.parametrize("form", ["cross_entropy", "kl", "js"])
def test_chance_is_log_b_and_distinct_one_hots_are_nearly_free(form):
    same = distributions(1).repeat(6, 1)
    assert float(code_matching(same, same, form, 1.0, False)) == pytest.approx(math.log(6))
    sharp = torch.log_softmax(40 * torch.eye(6, dtype=torch.float64), 1)
    loss = float(code_matching(sharp, sharp, form, 0.01 if form == "js" else 1.0, False))
    assert loss < 1e-6


def test_the_gradient_reaches_tokens_and_not_codes():
    rows = torch.randn(24, 5, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    table = torch.randn(7, 5, generator=torch.Generator().manual_seed(1)).requires_grad_(True)
    logs, _ = assign(rows, table, torch.arange(8).repeat_interleave(3), 8, 1.0)
    code_matching(logs[:4], logs[4:], **PAPER).backward()
    assert float(rows.grad.abs().sum()) > 0
    assert table.grad is None


def test_a_batch_of_one_costs_nothing():
    one = distributions(1)
    assert float(code_matching(one, one, **PAPER)) == 0.0
    assert float(masked_margin(torch.tensor([[3.0]]))) == 0.0
    assert MARGIN == 0.001
