"""Encoders, both paths and training: padding, gradients, restarts, what is refused."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_weights

from mindgap.codebook.encoders import Cells, Features, Frames, Words
from mindgap.codebook.fit import CodebookJob, Trainer
from mindgap.codebook.inputs import load_arrays, load_side, log_mel
from mindgap.codebook.measure import measure_codebook
from mindgap.codebook.model import TwoPaths, pool
from mindgap.codebook.sides import load_sides
from mindgap.codebook.store import read_codes
from mindgap.config.codebook import CodebookRecipe, Inputs
from mindgap.data.pairs import read_column
from mindgap.data.sets import build_pairs
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import write_text
from mindgap.train.job import launch
from mindgap.train.parallel import Group
from mindgap.train.rows import save_tensors
from tests.bounds import NETWORK
from tests.samples import resolve

SMALL = {
    "inputs": {"size": 16, "frames": 4},
    "width": 16,
    "dimension": 8,
    "codes": 12,
    "steps": 10,
    "batch": 16,
    "start": 4,
    "measure_items": 30,
    "seeds": [0],
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("pairs"), {}
    for role, items, seed in (("train", 48, 0), ("test", 40, 1)):
        found[role] = str(folder / f"{role}.parquet")
        scenes = {"kind": "shapes", "items": items, "size": 16, "frames": 4, "seed": seed}
        build_pairs(found[role], scenes)
    return found


def options(root, variant="matched", **more):
    run = resolve({"codebook": {"defaults": {**SMALL, **more}}})
    return run.codebooks[f"video_audio_{variant}_s0"].options


def test_variants_are_what_they_say(root):
    names = ("continuous", "both", "matched", "discrete")
    found = {name: options(root, name).model_dump() for name in names}
    assert [o["paths"] for o in found.values()] == ["continuous", "both", "both", "discrete"]
    assert [o["matching"] > 0 for o in found.values()] == [False, False, True, True]
    rest = [{k: v for k, v in o.items() if k not in ("paths", "matching")} for o in found.values()]
    assert all(one == rest[0] for one in rest)


def test_published_settings_differ_from_ours_as_they_say(root):
    """And from each other in code matching alone; the vectors that they add to are `continuous`."""
    ours, published, unmatched, plain = (
        options(root, name).model_dump()
        for name in ("matched", "published", "published_unmatched", "continuous")
    )
    assert {k for k in published if published[k] != unmatched[k]} == {"matching"}
    assert unmatched["matching"] == 0
    differs = {k: v for k, v in published.items() if ours[k] != v}
    del differs["codes"], differs["code_dimension"]
    assert differs == {
        "matching": 0.1,
        "assignment_temperature": 1.0,
        "both_directions": False,
        "commitment": 0,
        "start": 0,
        "initial_codes": "random",
        "dead_after": 100,
        "replacement": "code",
        "token_norm": "none",
        "weighting": "token",
    }
    # Everything that a model without codes has is the same: they are measured against it.
    codeless = {"paths", "codes", "code_dimension", *differs}
    assert all(published[k] == plain[k] for k in set(plain) - codeless)


def encode(encoder, **inputs):
    tokens, mask = encoder(inputs)
    return tokens, mask


@pytest.mark.parametrize("kind", ["frames", "words", "features"])
def test_padding_changes_no_token_and_no_vector(kind):
    torch.manual_seed(0)
    lengths = torch.tensor([7, 12, 4])
    make, key, values = {
        "frames": (lambda: Frames(16, 2, 10), "mel", torch.randn(3, 12, 10)),
        "words": (lambda: Words(16, 2, 30, 40), "ids", torch.randint(2, 30, (3, 12))),
        "features": (lambda: Features(16, 2, 5), "rows", torch.randn(3, 12, 5)),
    }[kind]
    encoder = make()
    for i, length in enumerate(lengths.tolist()):
        values[i, length:] = 0
    whole, mask = encode(encoder, **{key: values, "length": lengths})
    pooled = pool(whole, mask, "mean_max")
    for i, length in enumerate(lengths.tolist()):
        alone = {key: values[i : i + 1, :length], "length": lengths[i : i + 1]}
        tokens, own = encode(encoder, **alone)
        assert own.all()
        assert int(mask[i].sum()) == tokens.shape[1]
        torch.testing.assert_close(whole[i][mask[i]], tokens[0], rtol=0, atol=NETWORK)
        torch.testing.assert_close(
            pooled[i], pool(tokens, own, "mean_max")[0], rtol=0, atol=NETWORK
        )


def test_cells_see_their_own_place_and_time():
    torch.manual_seed(0)
    encoder = Cells(16, 1, 32, 4, 2).eval()
    assert encoder.shape == (2, 4, 4)
    still = torch.zeros(1, 4, 32, 32, 3, dtype=torch.uint8)
    lit = still.clone()
    lit[0, 3, 1:4, 26:30] = 255  # last frame, top right
    change = (encode(encoder, pixels=lit)[0] - encode(encoder, pixels=still)[0]).abs().sum(2)
    change = change.view(2, 4, 4)
    assert change[0].max() == 0
    assert change.flatten().argmax() == 16 + 3
    with pytest.raises(UserError, match=r"size must be a multiple of 8 .* got size 20"):
        Cells(16, 1, 20)


def test_log_mel_finds_the_pitch():
    rate, time = 8000, np.arange(8000) / 8000
    mel = log_mel(np.sin(2 * np.pi * 1000 * time).astype(np.float32), rate, 200, 40)
    assert mel.shape == (40, 40)
    # Bands of the mel scale 2595 log10(1 + f/700), whose centres are evenly spaced.
    centres = np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 42)[1:-1]
    nearest = np.abs(700 * (10 ** (centres / 2595) - 1) - 1000).argmin()
    assert abs(int(mel.mean(0).argmax()) - nearest) <= 1
    assert log_mel(np.zeros(10, np.float32), rate, 200, 40).shape == (1, 40)


def test_words_are_those_of_the_training_set(pairs):
    given = Inputs(words=5)
    train = load_side(pairs["train"], "text", given, None, 1)
    test = load_side(pairs["test"], "text", given, train.facts, 1)
    assert len(train.facts["words"]) == 5
    assert train.facts["sizes"]["vocabulary"] == 7
    assert set(np.unique(test.arrays["ids"])) <= set(range(7))
    assert len(test) == 40
    assert (test.count == 2).all()


def seen_of(model, pairs, root, shares=True):
    given = options(root).inputs
    sides = [load_side(pairs["train"], m, given, None, 1) for m in ("video", "audio")]
    rows = np.arange(16)
    return model(tuple(side.batch(rows, "cpu") for side in sides), shares)


def make_model(pairs, root, **more):
    given = options(root, **more)
    facts = {m: load_side(pairs["train"], m, given.inputs, None, 1).facts for m in given.modalities}
    torch.manual_seed(0)
    return TwoPaths(facts, given, 0)


def test_the_sum_of_paths_and_the_quantised_tokens(pairs, root):
    model = make_model(pairs, root)
    before = seen_of(model, pairs, root)
    assert not len(before.codes)  # not started: tokens pass as they are
    model.started.fill_(True)
    seen = seen_of(model, pairs, root)
    torch.testing.assert_close(seen.final, seen.continuous + seen.discrete)
    # 2 slices of 2 x 2 cells, and 32 log-mel frames in pairs.
    assert [mask.shape[1] for mask in seen.masks] == [8, 16]
    table = model.quantiser.table()
    assert torch.equal(seen.codes, torch.cdist(seen.rows.detach(), table).argmin(1))
    first = table[seen.codes[:8]].mean(0)
    torch.testing.assert_close(seen.pooled[0, 0], first, rtol=0, atol=NETWORK)
    torch.testing.assert_close(seen.log_shares.exp().sum(2), torch.ones(2, 16))


def test_without_norm_tokens_are_what_the_projection_makes_of_them(pairs, root):
    """And a token does not depend on its batch; with batch norm it does."""
    for norm, same in (("none", True), ("batch", False)):
        model = make_model(pairs, root, token_norm=norm)
        given = options(root).inputs
        sides = [load_side(pairs["train"], m, given, None, 1) for m in ("video", "audio")]
        few, more = (
            model(tuple(side.batch(np.arange(n), "cpu") for side in sides)).rows for n in (4, 16)
        )
        first = model.heads["video"]["code"][:2]
        tokens = model.encoders["video"](sides[0].batch(np.arange(4), "cpu"))[0].flatten(0, 1)
        assert torch.allclose(few[: len(tokens)], first(tokens), atol=1e-5) == same
        assert torch.allclose(few[: len(tokens)], more[: len(tokens)], atol=1e-5) == same


def test_the_mean_is_one_way_to_pool(pairs, root):
    tokens = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    mean = torch.stack([tokens[0].mean(0), tokens[1, :2].mean(0)])
    torch.testing.assert_close(pool(tokens, mask, "mean"), mean)
    most = torch.stack([tokens[0].amax(0), tokens[1, :2].amax(0)])
    torch.testing.assert_close(pool(tokens, mask, "mean_max"), torch.cat([mean, most], 1))
    model = make_model(pairs, root, pooling="mean")
    assert model.heads["video"]["continuous"].layers[0].in_features == 16


def test_random_codes_are_those_of_the_seed(root, pairs, tmp_path):
    """No k-means: the codes are where they were drawn until tokens move them."""
    more = {"initial_codes": "random", "start": 3, "dead": 0, "seeds": [0]}
    codes = make_model(pairs, root)
    before = run(root, pairs, tmp_path, "before", steps=3, **more).weights
    assert not before["started"]
    assert torch.equal(before["quantiser.vectors"], codes.quantiser.vectors)
    after = run(root, pairs, tmp_path, "after", steps=4, **more).weights
    assert after["started"]
    vectors = after["quantiser.vectors"]
    assert int((vectors != codes.quantiser.vectors).any(1).sum()) > 0
    idle = after["quantiser.counts"] < 0.9901  # 0.99, the decay, where no token came
    torch.testing.assert_close(vectors[idle], codes.quantiser.vectors[idle], rtol=1e-5, atol=1e-6)


def test_code_matching_trains_the_projection_and_not_the_heads(pairs, root):
    model = make_model(pairs, root)
    model.started.fill_(True)
    seen = seen_of(model, pairs, root)
    from mindgap.codebook.losses import code_matching

    code_matching(*seen.log_shares, "cross_entropy", 1.0, False).backward()
    graded = {
        n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0
    }
    assert any("code" in name for name in graded)
    assert any(name.startswith("encoders.") for name in graded)
    assert not any("continuous" in name or "discrete" in name for name in graded)


def test_items_without_tokens_are_refused():
    facts = {m: {"kind": "features", "sizes": {"dimension": 3}} for m in "ab"}
    given = CodebookRecipe(width=8, layers=0, dimension=4, code_dimension=2, codes=4)
    model = TwoPaths(facts, given, 0)
    full = {"rows": torch.randn(2, 5, 3), "length": torch.tensor([5, 2])}
    model((full, full))
    empty = {**full, "length": torch.tensor([5, 0])}
    with pytest.raises(UserError, match="b: item 1 of a batch is all padding"):
        model((full, empty))
    bad = {**full, "rows": full["rows"] * float("nan")}
    with pytest.raises(UserError, match="the tokens have NaN or infinite values"):
        model((full, bad))


def test_arrays_of_ones_own_are_checked(tmp_path):
    rows = np.random.default_rng(0).standard_normal((4, 5, 3)).astype(np.float32)
    np.savez(tmp_path / "good.npz", rows=rows, length=[5, 2, 3, 1])
    side = load_arrays(tmp_path / "good.npz")
    assert side.batch(np.array([1, 3]), "cpu")["rows"].shape == (2, 2, 3)
    bad = rows.copy()
    bad[2, 0, 0] = np.nan
    for name, given, words in (
        ("nan", {"rows": bad}, "item 2 has a NaN"),
        ("long", {"rows": rows, "length": [5, 6, 1, 1]}, "item 1 has"),
        ("flat", {"rows": rows[0]}, r"must have the shape \(n, L, d\)"),
        ("other", {"values": rows}, "not an .npz"),
    ):
        np.savez(tmp_path / f"{name}.npz", **given)
        with pytest.raises(UserError, match=words):
            load_arrays(tmp_path / f"{name}.npz")


def make_job(given, pairs, folder, name="one", arrays=None, save_every=30.0):
    place = folder / name
    return CodebookJob(
        options=given.model_dump(include=set(CodebookRecipe.model_fields)),
        seed=0,
        pairs=pairs,
        weights=str(place / "model/model.safetensors"),
        rows=str(place / "rows.safetensors"),
        codes=str(place / "codes.safetensors"),
        about={"book": name},
        device="cpu",
        threads=1,
        save_every=save_every,
        arrays=arrays or {},
    )


def result(job, classes=False):
    """Train; the weights, the codes with the facts beside them, and the tables."""
    launch(job)
    labels = read_column(job.pairs["test"], "label") if classes else None
    codes = load_file(job.codes) and read_codes(job.codes)
    tables = measure_codebook(job.rows, labels, 30, 2, 20, 0)
    return SimpleNamespace(weights=load_weights(job.weights), codes=codes, **tables)


def run(root, pairs, folder, name="one", save_every=30.0, **more):
    given = options(root, more.pop("variant", "matched"), **more)
    job = make_job(given, pairs, folder, name, save_every=save_every)
    return result(job, given.classes)


def test_two_processes_are_one(root, pairs, tmp_path, monkeypatch):
    """Encoders see half of each batch; statistics, codes and loss are those of the whole one."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one, two = (run(root, pairs, tmp_path, str(n), steps=6, clip=0.1, processes=n) for n in (1, 2))
    # Adam divides a gradient by its size, so that the noise of a gradient near zero moves its
    # weight by a share of the learning rate, a thousandth; the loss hardly feels such a weight.
    for key, value in one.weights.items():
        torch.testing.assert_close(two.weights[key], value, rtol=1e-3, atol=1e-4, msg=key)
    one, two = (pd.DataFrame(found.final).set_index("vector") for found in (one, two))
    measured = ["gap", "relative_gap", "cosine_matched", "cosine_a", "cosine_b"]
    pd.testing.assert_frame_equal(one[measured], two[measured], rtol=1e-3, atol=1e-4)
    # A token between two codes may go to the other one: one code of 11 counts otherwise.
    counted = one.columns.difference([*measured, "perplexity", "perplexity_a", "perplexity_b"])
    pd.testing.assert_frame_equal(one[counted], two[counted], rtol=0, atol=1.01 / 11)
    assert one["perplexity"].to_numpy() == pytest.approx(two["perplexity"].to_numpy(), rel=0.02)


def test_a_restart_is_as_if_nothing_had_happened(root, pairs, tmp_path, monkeypatch):
    whole = run(root, pairs, tmp_path, "whole", save_every=1e9)
    real, calls = TwoPaths.loss, []

    def failing(self, *given):
        calls.append(1)
        if len(calls) == 8:  # after the codes have started
            raise KeyboardInterrupt
        return real(self, *given)

    monkeypatch.setattr(TwoPaths, "loss", failing)
    with pytest.raises(KeyboardInterrupt):
        run(root, pairs, tmp_path, "cut", save_every=0)
    monkeypatch.setattr(TwoPaths, "loss", real)
    steps, step = [], Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self, at: steps.append(at) or step(self, at))
    resumed = run(root, pairs, tmp_path, "cut")
    assert steps == [7, 8, 9]
    for name in ("trajectory", "final", "retrieval"):
        assert getattr(resumed, name) == getattr(whole, name)
    for name in ("model/model", "rows", "codes"):
        one, other = (tmp_path / f"{run}/{name}.safetensors" for run in ("cut", "whole"))
        assert one.read_bytes() == other.read_bytes()


def test_a_step_clips_the_gradient_and_moves_the_weights(root, pairs):
    """With `clip` the norm of the gradient is that bound; a tiny bound does not stop Adam."""
    for clip in (0, 1e-3):
        given = options(root, clip=clip, start=0, initial_codes="random")
        train = load_sides(pairs["train"], {}, given, None, 1)
        facts = {"video": train.a.facts, "audio": train.b.facts}
        torch.manual_seed(0)
        trainer = Trainer(train, facts, given, 0, torch.device("cpu"), Group())
        before = [p.detach().clone() for p in trainer.model.parameters()]
        trainer.step(0)
        grads = [p.grad for p in trainer.model.parameters() if p.grad is not None]
        norm = float(torch.linalg.vector_norm(torch.stack([g.norm() for g in grads])))
        assert (norm == pytest.approx(1e-3, rel=1e-3)) if clip else norm > 0.1
        moved = zip(before, trainer.model.parameters(), strict=True)
        assert any(not torch.equal(old, new) for old, new in moved)


@pytest.mark.parametrize(
    "more",
    [
        {"variant": "continuous"},
        {"variant": "discrete"},
        {"quantiser": "fsq", "levels": [4, 4]},
        {"quantiser": "learned"},
        {"distance": "cosine", "gradient": "rotation"},
        {"variant": "published", "codes": 12, "dead_after": 2},
        {"pooling": "mean", "token_norm": "none", "initial_codes": "random"},
        {"form": "js", "start": 0, "modalities": ["image", "text"], "captions": "random"},
        {"modalities": ["audio", "text"], "captions": "last", "sources": "label", "classes": True},
    ],
)
def test_what_can_be_chosen_runs(root, pairs, tmp_path, more):
    found = run(root, pairs, tmp_path, **more)
    table = found.final
    assert {"gap", "relative_gap", "separability"} <= set(table[0])
    if more.get("variant") == "continuous":
        assert not found.codes
        assert [row["vector"] for row in table] == ["final"]
    else:
        assert "shared" in table[0]
        assert {row["vector"] for row in found.retrieval} >= {"final", "codes"}
    levels = {row["level"] for row in found.retrieval}
    assert levels == ({"item", "class"} if more.get("classes") else {"item"})


def test_codes_travel_through_their_file(tmp_path):
    codes = tuple(np.array(z, np.int16) for z in ([[1, -1]], [[2, 3]]))
    save_tensors(tmp_path / "codes.safetensors", dict(zip("ab", codes, strict=True)), {"size": 7})
    found, about = read_codes(tmp_path / "codes.safetensors")
    assert about == {"size": 7}
    for ours, theirs in zip(found, codes, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_start_needs_enough_tokens(root, pairs, tmp_path):
    with pytest.raises(UserError, match="3000 codes, but its k-means start has only"):
        run(root, pairs, tmp_path, codes=3000)


def test_an_odd_number_of_partners_is_refused(root, pairs, tmp_path):
    rows = np.ones((47, 2, 3), np.float32)
    np.savez(tmp_path / "own.npz", rows=rows)
    arrays = {"train": {"audio": str(tmp_path / "own.npz")}}
    with pytest.raises(UserError, match="48 items of video but 47 of audio"):
        launch(make_job(options(root), pairs, tmp_path, arrays=arrays))


def test_a_lost_state_of_another_training_is_not_read(root, pairs, tmp_path):
    job = make_job(options(root, steps=5), pairs, tmp_path)
    write_text(job.state.file, "no state at all")
    write_text(job.state.folder / "key", "another")
    assert result(job).trajectory[-1]["step"] == 5
    assert not job.state.folder.exists()


def test_in_batches_of_one_there_is_nothing_to_tell_apart(root, pairs):
    """Both losses are zero, and no weight moves."""
    more = {"commitment": 0, "codes": 8, "weight_decay": 0, "initial_codes": "random"}
    given = options(root, batch=1, steps=3, start=0, **more)
    train = load_sides(pairs["train"], {}, given, None, 1)
    facts = {"video": train.a.facts, "audio": train.b.facts}
    trainer = Trainer(train, facts, given, 0, torch.device("cpu"), Group())
    before = [p.detach().clone() for p in trainer.model.parameters()]
    for step in range(3):
        assert trainer.step(step) == 0
        assert all(p.grad is None or not p.grad.any() for p in trainer.model.parameters())
    for old, new in zip(before, trainer.model.parameters(), strict=True):
        assert torch.equal(old, new)
