"""The quantisers: against loops in float64, against vector-quantize-pytorch, in two processes."""

import copy

import numpy as np
import pytest
import torch

from mindgap.codebook.assign import NEAREST, assign, log_assign, nearest_codes
from mindgap.codebook.others import Fsq, LearnedCodebook
from mindgap.codebook.quantise import Codebook, rotate, straight_through
from mindgap.config.codebook import CodebookRecipe
from mindgap.runtime.errors import UserError
from tests.bounds import EPS


def tokens(n=60, d=6, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(n, d, generator=generator)


def squares_bound(rows, table):
    """Error of |x|^2 - 2 x.y + |y|^2 in float32: d + 2 roundings of terms up to (|x| + |y|)^2."""
    size = (rows.norm(dim=1).max() + table.norm(dim=1).max()) ** 2
    return (rows.shape[1] + 2) * EPS * float(size)


def log_bound(rows, table, tau):
    """Error of a log share: that of a square over 2 distances and tau, and of the log itself."""
    rows, table = rows.detach(), table.detach()
    distance = torch.cdist(rows.double(), table.double())
    largest = float(distance.max() / tau) + np.log(len(rows) * len(table))
    return squares_bound(rows, table) / (2 * float(distance.min()) * tau) + 4 * EPS * largest


def clear(rows, table):
    """True of a row whose nearest code leads by more than the rounding of two distances."""
    best = torch.cdist(rows.double(), table.double()).square().topk(2, largest=False).values
    return best[:, 1] - best[:, 0] > 2 * squares_bound(rows, table)


def soft_oracle(rows, table, items, count, tau):
    """Mean of softmax over the tokens of each item, token by token, in float64."""
    rows, table = rows.double(), table.double()
    shares = torch.zeros(count, len(table), dtype=torch.float64)
    for row, item in zip(rows, items, strict=True):
        distance = (row - table).norm(dim=1)
        shares[item] = shares[item] + torch.softmax(-distance / tau, 0) / (items == item).sum()
    return shares.log()


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_assignment_and_its_gradient_are_those_of_the_formula(tau):
    rows, table = tokens().requires_grad_(True), tokens(17, seed=1)
    items = torch.tensor([0] * 3 + [1] * 30 + [2] * 1 + [3] * 26)
    ours, codes = assign(rows, table, items, 4, tau)
    weights = tokens(4, 17, seed=2)
    (ours * weights).sum().backward()
    gradient, rows.grad = rows.grad, None
    theirs = soft_oracle(rows, table, items, 4, tau)
    (theirs * weights).sum().backward()
    bound = log_bound(rows, table, tau)
    torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=bound)
    # A share p enters the gradient p (q - p.q) / tau twice.
    largest = float(rows.grad.abs().max())
    torch.testing.assert_close(gradient, rows.grad, rtol=0, atol=2 * bound * largest)
    assert torch.equal(codes, torch.cdist(rows, table).argmin(1))
    torch.testing.assert_close(ours.exp().sum(1), torch.ones(4))


def test_tiles_change_nothing(monkeypatch):
    rows, table = tokens(), tokens(17, seed=1)
    items = torch.arange(6).repeat_interleave(10)
    whole = assign(rows, table, items, 6, 0.5)
    for entries in (1, 17 * 7, 17 * 25):
        monkeypatch.setattr("mindgap.codebook.assign._ENTRIES", entries)
        tiled = assign(rows, table, items, 6, 0.5)
        torch.testing.assert_close(tiled[0], whole[0], rtol=0, atol=log_bound(rows, table, 0.5))
        assert torch.equal(tiled[1], whole[1])
        assert torch.equal(nearest_codes(rows, table), whole[1])


def test_a_sharp_assignment_does_not_underflow():
    rows, table = tokens(scale=3).requires_grad_(True), tokens(17, seed=1, scale=3)
    items = torch.arange(6).repeat_interleave(10)
    ours, _ = assign(rows, table, items, 6, 0.005)
    assert torch.isfinite(ours).all()
    assert float(ours.detach().min()) < -400  # far below what float32 can hold as a share
    distance = torch.cdist(rows.double(), table.double())
    logs = torch.log_softmax(-distance / 0.005, 1).view(6, 10, -1)
    expected = logs.logsumexp(1) - np.log(10)
    bound = log_bound(rows, table, 0.005)
    torch.testing.assert_close(ours.double(), expected, rtol=0, atol=bound)
    ours.sum().backward()
    assert torch.isfinite(rows.grad).all()


def test_a_token_on_its_code_has_a_finite_gradient():
    table = tokens(5)
    rows = table.clone().requires_grad_(True)
    for function in (lambda *a: assign(*a)[0], log_assign):
        found = function(rows, table, torch.arange(5), 5, 1.0)
        found.diagonal().sum().backward()
        assert torch.isfinite(rows.grad).all()
    assert NEAREST > 0


def codebook(codes, dimension, modalities=2, **more):
    return Codebook(CodebookRecipe(codes=codes, code_dimension=dimension, **more), modalities, 0)


def update_oracle(book, rows, codes, modality, decay):
    """One joint, balanced update as loops in float64."""
    v, sides = len(book.vectors), sorted(set(modality.tolist()))
    counts, sums = book.counts.double().clone(), book.sums.double().clone()
    n = {m: int((modality == m).sum()) for m in sides}
    new_counts, new_sums = torch.zeros(v).double(), torch.zeros_like(sums)
    for row, code, m in zip(rows.double(), codes.tolist(), modality.tolist(), strict=True):
        weight = len(rows) / len(sides) / n[m]
        new_counts[code] += weight
        new_sums[code] += weight * row
    counts = decay * counts + (1 - decay) * new_counts
    sums = decay * sums + (1 - decay) * new_sums
    return counts, sums, sums / counts[:, None]


def test_update_is_joint_balanced_and_equal_to_a_loop():
    book = codebook(8, 6, decay=0.9, dead=0)
    sides = torch.tensor([0] * 50 + [1] * 10)
    for step in range(20):
        rows = tokens(seed=step)
        sure = clear(rows, book.vectors)
        rows, modality = rows[sure], sides[sure]
        found = book(rows)
        # The codes are those before the update.
        assert torch.equal(found.codes, torch.cdist(rows, book.vectors).argmin(1))
        expected = update_oracle(book, rows, found.codes, modality, 0.9)
        book.update(rows, found.codes, modality)
        # Sums over up to 60 tokens of length 3, one rounding a token: 60 * 3 * 2**-24.
        for ours, theirs in zip((book.counts, book.sums, book.vectors), expected, strict=True):
            torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-5)


def test_tokens_may_all_weigh_the_same():
    """N_v <- g N_v + (1 - g) sum_M n_v^M and m_v alike, as loops in float64."""
    book = codebook(8, 6, decay=0.9, dead=0, weighting="token")
    modality = torch.tensor([0] * 50 + [1] * 10)
    for step in range(5):
        rows = tokens(seed=step)
        codes = book(rows).codes
        counts, sums = 0.9 * book.counts.double(), 0.9 * book.sums.double()
        for row, code in zip(rows.double(), codes.tolist(), strict=True):
            counts[code] += 0.1
            sums[code] += 0.1 * row
        book.update(rows, codes, modality)
        torch.testing.assert_close(book.counts.double(), counts, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(
            book.vectors.double(), sums / counts[:, None], rtol=1e-5, atol=1e-5
        )
    # By modality the ten tokens of the second one would weigh as much as the fifty of the first.
    assert not torch.allclose(counts, update_oracle(book, rows, codes, modality, 0.9)[0])


def test_a_code_is_replaced_after_so_many_misses_in_a_row():
    book = codebook(5, 6, dead_after=4, replacement="code")
    rows, modality = tokens(), torch.tensor([0] * 30 + [1] * 30)
    met = torch.arange(60) % 3  # codes 3 and 4 are missed
    before = book.vectors.clone()
    for step in range(3):
        book.update(rows, met, modality)
        assert book.misses.tolist() == [0, 0, 0, step + 1, step + 1]
    # A hit starts the count again.
    book.update(rows, torch.where(torch.arange(60) == 7, 4, met), modality)
    assert book.misses.tolist() == [0, 0, 0, 0, 0]
    assert int(book.replaced) == 1
    # Code 3 is now a copy of a code with tokens, with the count that all start from.
    assert not torch.allclose(book.vectors[3], before[3])
    assert (book.vectors[:3] == book.vectors[3]).all(1).sum() == 1
    assert float(book.counts[3]) == 1
    torch.testing.assert_close(book.sums[3], book.vectors[3])
    copy_ = book.vectors[3].clone()
    for _ in range(3):
        book.update(rows, met, modality)
    torch.testing.assert_close(book.vectors[3], copy_)  # without a hit it lasts as long again
    assert int(book.replaced) == 1


def test_copies_are_drawn_one_by_one_from_active_codes():
    book = codebook(40, 6, dead_after=1, replacement="code")
    rows, modality = tokens(), torch.tensor([0] * 30 + [1] * 30)
    book.update(rows, torch.arange(60) % 8, modality)
    own = (book.vectors[8:, None] == book.vectors[None, :8]).all(2)
    assert own.any(1).all()  # each is a copy of a code that had tokens
    assert own.any(0).sum() > 2  # and not all of them of one
    # A token of the step is the other choice, and the share of the mean the other rule.
    book = codebook(40, 6, dead_after=1)
    book.update(rows, torch.arange(60) % 8, modality)
    assert (book.vectors[8:, None] == rows[None]).all(2).any(1).all()
    assert float(book.counts[20]) == pytest.approx(float(book.counts.mean()), rel=0.2)
    assert "misses" not in codebook(40, 6).state_dict()


def test_a_code_without_tokens_stays_where_it_is():
    book = codebook(8, 6, decay=0.9, dead=0)
    before = book.vectors.clone()
    rows = before[:2].repeat_interleave(30, 0) + 0.01 * tokens()
    book.update(rows, book(rows).codes, torch.tensor([0] * 30 + [1] * 30))
    # Sum and count shrink alike; three roundings of numbers below 4.
    torch.testing.assert_close(book.vectors[2:], before[2:], rtol=0, atol=3 * 4 * EPS)
    assert (book.vectors[:2] - before[:2]).abs().max() > 1e-5


def test_a_dead_code_is_replaced_by_a_token_and_lasts():
    book = codebook(4, 6, decay=0.9, dead=0.03)
    book.vectors[3] = 100.0
    book.counts[3], book.sums[3] = 1e-6, 1e-4
    rows, modality = tokens(), torch.tensor([0] * 30 + [1] * 30)
    book.update(rows, book(rows).codes, modality)
    assert int(book.replaced) == 1
    assert (rows - book.vectors[3]).norm(dim=1).min() < 1e-6
    placed = book.vectors[3].clone()
    # A step in which nothing comes to it does not take it away.
    far = rows + 50
    book.update(far, torch.zeros(60, dtype=torch.long), modality)
    assert int(book.replaced) == 1
    torch.testing.assert_close(book.vectors[3], placed)


def test_several_dead_codes_get_distinct_tokens_of_both_modalities():
    book = codebook(10, 6, dead=0.03)
    book.counts[2:], book.sums[2:] = 1e-6, 1e-6
    rows, modality = tokens(), torch.tensor([0] * 50 + [1] * 10)
    book.update(rows, torch.zeros(60, dtype=torch.long), modality)
    new = book.vectors[2:]
    assert len(torch.unique(new, dim=0)) == 8
    origin = torch.cdist(new, rows).argmin(1)
    assert 1 <= int((origin >= 50).sum()) < 8


def test_forward_and_assignment_change_nothing():
    book = codebook(8, 6)
    before = copy.deepcopy(book.state_dict())
    book.eval()
    assign(book.place(tokens()), book.table(), torch.zeros(60, dtype=torch.long), 1, 1.0)
    book(book.place(tokens()))
    for key, value in book.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_straight_through_and_rotation():
    rows, codes = tokens().requires_grad_(True), tokens(seed=1)
    given = tokens(seed=2)
    out = straight_through(rows, codes)
    torch.testing.assert_close(out, codes)
    (gradient,) = torch.autograd.grad((out * given).sum(), rows)
    assert torch.equal(gradient, given)
    out = rotate(rows, codes)
    # Two reflections are sums over d = 6 twice, of rows below 4: 1e-5 is 40 roundings of these.
    torch.testing.assert_close(out, codes, rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad((out * given).sum(), rows)
    # A rotation keeps the angle: gradient to token as given gradient to code.
    scale = codes.norm(dim=1) / rows.norm(dim=1)
    torch.testing.assert_close(
        (gradient * rows).sum(1), (given * codes).sum(1), rtol=1e-3, atol=1e-4
    )
    torch.testing.assert_close(
        gradient.norm(dim=1), given.norm(dim=1) * scale, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("rotation", [False, True])
def test_same_codes_and_codebook_as_vector_quantize_pytorch(cosine, rotation):
    """One batch and 100 updates of both, from the same codes, with one modality's weights.

    An update forgets a hundredth, roundings included, so that they do not add up over the steps:
    1e-5 is 20 roundings of sums that are below 8, as d = 8 products with their codes are.
    """
    from vector_quantize_pytorch import VectorQuantize

    torch.manual_seed(0)
    theirs = VectorQuantize(
        dim=8,
        codebook_size=32,
        decay=0.99,
        eps=0.0,
        commitment_weight=1.0,
        use_cosine_sim=cosine,
        rotation_trick=rotation,
        threshold_ema_dead_code=0,
        sync_codebook=False,
    )
    more = {"distance": "cosine"} if cosine else {}
    more |= {"gradient": "rotation"} if rotation else {}
    ours = codebook(32, 8, 1, decay=0.99, dead=0, **more)
    start = theirs._codebook.embed[0].clone()
    ours.vectors.copy_(start)
    ours.sums.copy_(theirs._codebook.embed_avg[0])
    theirs.train()
    for step in range(100):
        rows = tokens(256, 8, seed=step)
        rows = rows[clear(ours.place(rows), ours.vectors)]
        one, two = rows.clone().requires_grad_(True), rows.clone().requires_grad_(True)
        out, codes, loss = theirs(one[None])
        placed = ours.place(two)
        found = ours(placed)
        assert torch.equal(found.codes, codes[0]), step
        torch.testing.assert_close(found.rows, out[0], rtol=0, atol=1e-5)
        # Theirs takes the mean over dimensions as well, and of the rows before they are normalised.
        if not cosine:
            torch.testing.assert_close(found.loss / 8, loss.reshape(()), rtol=1e-5, atol=1e-6)
            given = tokens(len(rows), 8, seed=1000 + step)
            (a,) = torch.autograd.grad((out[0] * given).sum(), one)
            (b,) = torch.autograd.grad((found.rows * given).sum(), two)
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
        ours.update(placed, found.codes, torch.zeros(len(rows), dtype=torch.long))
        torch.testing.assert_close(ours.vectors, theirs._codebook.embed[0], rtol=0, atol=1e-5)
    assert (ours.vectors - start).abs().max() > 0.05


def test_fsq_is_that_of_vector_quantize_pytorch():
    from vector_quantize_pytorch import FSQ

    levels = [8, 5, 4]
    ours, theirs = Fsq(levels, 6), FSQ(levels)
    rows = tokens(scale=2)
    placed = ours.place(rows)
    found = ours(placed)
    out, codes = theirs(ours.down(rows)[None])
    assert torch.equal(found.codes, codes[0].long())
    torch.testing.assert_close(found.rows, ours.up(out[0]))
    # Rounding is the nearest point of the grid, from which the soft assignment is made.
    nearest = nearest_codes(placed.detach(), ours.table())
    assert torch.equal(nearest, found.codes)
    assert ours.table().shape == (160, 3)


def test_learned_codes_follow_the_gradient():
    book, rows = LearnedCodebook(4, 6, 0), tokens().requires_grad_(True)
    found = book(book.place(rows))
    found.loss.backward()
    chosen = book.vectors.detach()[found.codes]
    for v in range(4):
        own = rows.detach()[found.codes == v]
        expected = 2 * (len(own) * book.vectors.detach()[v] - own.sum(0)) / len(rows)
        torch.testing.assert_close(book.vectors.grad[v], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(rows.grad, (rows.detach() - chosen) / 2 / len(rows))


def test_kmeans_start_counts_each_modality_alike():
    centres = 10 * tokens(5, 6)
    rows = torch.cat([centres[:4].repeat(20, 1), centres[4:].repeat(20, 1)])
    rows = rows + 0.01 * tokens(100, 6, seed=1)
    modality = torch.tensor([0] * 80 + [1] * 20)
    book = codebook(5, 6)
    book.start(rows, modality, 1000)
    assert torch.cdist(centres, book.vectors).min(1).values.max() < 0.02
    # The second modality has a fifth of the tokens and half of the counts.
    own = torch.cdist(centres[4:], book.vectors).argmin()
    assert float(book.counts[own]) == pytest.approx(500)
    torch.testing.assert_close(book.sums / book.counts[:, None], book.vectors)


def test_what_cannot_be_quantised_is_refused():
    book = codebook(50, 6)
    few = torch.tensor([0] * 20 + [1] * 20)
    with pytest.raises(
        UserError, match="50 codes, but its k-means start has only 40 distinct tokens"
    ):
        book.start(tokens(40), few, 40)
    with pytest.raises(UserError, match=r"only 1 distinct tokens.*features have collapsed"):
        book.start(torch.ones(200, 6), torch.arange(2).repeat_interleave(100), 200)
    for bad in (float("nan"), float("inf")):
        rows = tokens()
        rows[3, 2] = bad
        with pytest.raises(UserError, match="the tokens have NaN or infinite values"):
            book.place(rows)
    with pytest.raises(UserError, match="a batch is all padding"):
        book.place(tokens(0))


@pytest.mark.parametrize("kind", ["rvq", "simvq"])
def test_quantisers_of_the_library_have_the_interface_of_ours(kind):
    from mindgap.codebook.others import make_quantiser

    torch.manual_seed(0)
    options = CodebookRecipe(quantiser=kind, codes=8, code_dimension=6)
    quantiser = make_quantiser(options, 2, 0).train()
    rows, modality = tokens(200), torch.arange(200) // 100
    quantiser.start(rows, modality, 200)
    before = quantiser.table().detach().clone()
    given = rows.clone().requires_grad_(True)
    found = quantiser(quantiser.place(given))
    some = clear(rows, before)
    assert some.sum() > 100
    assert (found.codes == nearest_codes(rows, before))[some].all()
    assert found.codes.shape == (200,)
    (found.rows.square().sum() + found.loss).backward()
    assert given.grad.abs().sum() > 0
    if kind == "rvq":
        # The second codebook takes away a part of what the first leaves over.
        left = (rows - before[found.codes]).square().sum()
        assert (rows - found.rows.detach()).square().sum() < 0.8 * left
        assert not torch.equal(quantiser.table(), before)
    else:
        assert torch.equal(found.rows.detach().norm(dim=1) > 0, torch.ones(200, dtype=bool))
        assert next(quantiser.inner.code_transform.parameters()).grad.abs().sum() > 0
    # Nothing moves in evaluation.
    quantiser.eval()
    now = quantiser.table().detach().clone()
    quantiser(quantiser.place(rows))
    assert torch.equal(quantiser.table(), now)
