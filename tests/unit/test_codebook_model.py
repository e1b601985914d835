"""Encoders, both paths and training: padding, gradients, restarts, what is refused."""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mindgap.codebook import fit as fitting
from mindgap.codebook.encoders import Cells, Features, Frames, Words
from mindgap.codebook.fit import Job, fit
from mindgap.codebook.inputs import load_arrays, load_side, log_mel
from mindgap.codebook.model import TwoPaths, pool
from mindgap.codebook.store import leave, load_model, read_codes, save_codes, save_model
from mindgap.data.sets import build_pairs
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import read_csv, write_text
from mindgap.train.launch import spread
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
    "set_items": 20,
    "sets": 2,
    "max_pairs": 30,
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
    found = {name: options(root, name) for name in ("continuous", "both", "matched", "discrete")}
    assert [o["paths"] for o in found.values()] == ["continuous", "both", "both", "discrete"]
    assert [o["matching"] > 0 for o in found.values()] == [False, False, True, True]
    rest = [{k: v for k, v in o.items() if k not in ("paths", "matching")} for o in found.values()]
    assert all(one == rest[0] for one in rest)


def test_published_settings_differ_from_ours_as_they_say(root):
    """And from each other in code matching alone; the vectors that they add to are `continuous`."""
    ours, published, unmatched, plain = (
        options(root, name)
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
    pooled = pool(whole, mask)
    for i, length in enumerate(lengths.tolist()):
        alone = {key: values[i : i + 1, :length], "length": lengths[i : i + 1]}
        tokens, own = encode(encoder, **alone)
        assert own.all()
        assert int(mask[i].sum()) == tokens.shape[1]
        torch.testing.assert_close(whole[i][mask[i]], tokens[0], rtol=0, atol=NETWORK)
        torch.testing.assert_close(pooled[i], pool(tokens, own)[0], rtol=0, atol=NETWORK)


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
    with pytest.raises(UserError, match="20 pixels do not divide into cells of 8"):
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


def test_words_are_those_of_the_training_set(pairs, root):
    given = options(root)["inputs"]
    train = load_side(pairs["train"], "text", {**given, "words": 5}, None, 1)
    test = load_side(pairs["test"], "text", {**given, "words": 5}, train.facts, 1)
    assert len(train.facts["words"]) == 5
    assert train.facts["sizes"]["vocabulary"] == 7
    assert set(np.unique(test.arrays["ids"])) <= set(range(7))
    assert len(test) == 40
    assert (test.count == 2).all()


def seen_of(model, pairs, root, shares=True):
    given = options(root)["inputs"]
    sides = [load_side(pairs["train"], m, given, None, 1) for m in ("video", "audio")]
    rows = np.arange(16)
    return model(tuple(side.batch(rows, "cpu") for side in sides), shares)


def make_model(pairs, root, **more):
    given = options(root, **more)
    facts = {
        m: load_side(pairs["train"], m, given["inputs"], None, 1).facts for m in given["modalities"]
    }
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
        given = options(root)["inputs"]
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
    torch.testing.assert_close(pool(tokens, mask), torch.cat([mean, most], 1))
    model = make_model(pairs, root, pooling="mean")
    assert model.heads["video"]["continuous"].layers[0].in_features == 16


def test_random_codes_are_those_of_the_seed(root, pairs, tmp_path):
    """No k-means: the codes are where they were drawn until tokens move them."""
    more = {"initial_codes": "random", "start": 3, "dead": 0, "seeds": [0]}
    codes = make_model(pairs, root)
    before = run(root, pairs, tmp_path, "before", steps=3, **more).model
    assert not before.started
    assert torch.equal(before.quantiser.vectors, codes.quantiser.vectors)
    after = run(root, pairs, tmp_path, "after", steps=4, **more).model
    assert after.started
    moved = (after.quantiser.vectors != codes.quantiser.vectors).any(1)
    assert int(moved.sum()) > 0
    idle = after.quantiser.counts < 0.9901  # 0.99, the decay, where no token came
    torch.testing.assert_close(
        after.quantiser.vectors[idle], codes.quantiser.vectors[idle], rtol=1e-5, atol=1e-6
    )


def test_code_matching_trains_the_projection_and_not_the_heads(pairs, root):
    model = make_model(pairs, root)
    model.started.fill_(True)
    seen = seen_of(model, pairs, root)
    from mindgap.codebook.losses import code_matching

    code_matching(*seen.log_shares).backward()
    graded = {
        n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0
    }
    assert any("code" in name for name in graded)
    assert any(name.startswith("encoders.") for name in graded)
    assert not any("continuous" in name or "discrete" in name for name in graded)


def test_items_without_tokens_are_refused():
    facts = {m: {"kind": "features", "sizes": {"dimension": 3}} for m in "ab"}
    given = {"width": 8, "layers": 0, "dimension": 4, "code_dimension": 2, "paths": "both"}
    given |= {"quantiser": "ema", "codes": 4, "decay": 0.9, "distance": "euclidean", "dead": 0.0}
    given |= {"dead_after": None, "replacement": "token", "weighting": "modality"}
    given |= {"token_norm": "batch", "pooling": "mean_max"}
    model = TwoPaths(facts, given | {"gradient": "straight_through"}, 0)
    full = {"rows": torch.randn(2, 5, 3), "length": torch.tensor([5, 2])}
    model((full, full))
    empty = {**full, "length": torch.tensor([5, 0])}
    with pytest.raises(UserError, match="b: item 1 of a batch is padding from end to end"):
        model((full, empty))
    bad = {**full, "rows": full["rows"] * float("nan")}
    with pytest.raises(UserError, match="NaN or infinite features reach the codebook"):
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
        ("flat", {"rows": rows[0]}, r"must be \(n, L, d\)"),
        ("other", {"values": rows}, "not an .npz"),
    ):
        np.savez(tmp_path / f"{name}.npz", **given)
        with pytest.raises(UserError, match=words):
            load_arrays(tmp_path / f"{name}.npz")


def run(root, pairs, folder, name, **more):
    variant = more.pop("variant", "matched")
    return fit(Job(options(root, variant, **more), pairs, {}, str(folder / f"{name}.state")))


def test_two_processes_are_one(root, pairs, tmp_path, monkeypatch):
    """Encoders see half of each batch; statistics, codes and loss are those of the whole one."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    given = options(root, "matched", steps=6, clip=0.1)
    names = ("trajectory", "final", "retrieval", "codes", "weights")
    jobs = []
    for count in (1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        outputs = {name: str(folder / f"{name}.csv") for name in names}
        outputs["weights"] = str(folder / "model/model.safetensors")
        jobs.append(Job(given, pairs, {}, str(folder / "a.state"), "cpu", 1, outputs, {"book": 1}))
    leave(fit(jobs[0]), jobs[0])
    spread(jobs[1], 2, "mindgap.codebook.fit")
    # Adam divides a gradient by its size, so that the noise of a gradient near zero moves its
    # weight by a share of the learning rate, a thousandth; the loss hardly feels such a weight.
    one, two = (load_model(Path(job.outputs["weights"]).parent).state_dict() for job in jobs)
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-3, atol=1e-4, msg=key)
    one, two = (read_csv(job.outputs["final"]) for job in jobs)
    assert one["book"].eq(1).all()
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
    # `save_every` is part of what makes a state, so the restart has the same.
    resumed = run(root, pairs, tmp_path, "cut", save_every=0)
    assert resumed.steps == whole.steps
    assert resumed.final == whole.final
    assert resumed.retrieval == whole.retrieval
    for ours, theirs in zip(resumed.held.codes, whole.held.codes, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_another_option_forgets_the_state(root, pairs, tmp_path):
    run(root, pairs, tmp_path, "one", save_every=0, steps=6)
    found = run(root, pairs, tmp_path, "one", save_every=0, steps=5)
    assert found.steps[-1]["step"] == 5


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
    found = run(root, pairs, tmp_path, "state", **more)
    table = found.final
    assert {"gap", "relative_gap", "separability"} <= set(table[0])
    if more.get("variant") == "continuous":
        assert found.held.codes is None
        assert [row["vector"] for row in table] == ["final"]
    else:
        assert "shared" in table[0]
        assert {row["vector"] for row in found.retrieval} >= {"final", "codes"}
    levels = {row["level"] for row in found.retrieval}
    assert levels == ({"item", "class"} if more.get("classes") else {"item"})
    save_model(
        tmp_path / "model", found.model, {"facts": found.facts, "options": found.model.options}
    )
    again = load_model(tmp_path / "model")
    for key, value in found.model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


def test_codes_travel_through_their_file(tmp_path):
    codes = tuple(np.array(z, np.int16) for z in ([[1, -1]], [[2, 3]]))
    save_codes(tmp_path / "codes.safetensors", codes, {"size": 7})
    found, about = read_codes(tmp_path / "codes.safetensors")
    assert about == {"size": 7}
    for ours, theirs in zip(found, codes, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_start_needs_enough_tokens(root, pairs, tmp_path):
    with pytest.raises(UserError, match="3000 codes, but its k-means start only"):
        run(root, pairs, tmp_path, "state", codes=3000)


def test_an_odd_number_of_partners_is_refused(root, pairs, tmp_path):
    rows = np.ones((47, 2, 3), np.float32)
    np.savez(tmp_path / "own.npz", rows=rows)
    arrays = {"train": {"audio": str(tmp_path / "own.npz")}}
    job = Job(options(root), pairs, arrays, str(tmp_path / "a.state"))
    with pytest.raises(UserError, match="48 items of video stand beside 47 of audio"):
        fit(job)


def test_a_lost_state_of_a_crash_is_not_read(root, pairs, tmp_path):
    write_text(tmp_path / "state.state", "no state at all")
    write_text(tmp_path / "state.state.key", "another")
    found = run(root, pairs, tmp_path, "state", steps=5)
    assert found.steps[-1]["step"] == 5


def test_batches_of_one(root, pairs, tmp_path):
    """Nothing to tell apart: both losses are zero, and nothing breaks."""
    given = options(root, "both", commitment=0, batch=1, steps=3, start=0)
    given = copy.deepcopy(given) | {"codes": 8}
    found = fit(Job(given, pairs, {}, str(tmp_path / "a.state")))
    assert np.isfinite(found.final[0]["gap"])
    assert fitting.START_TOKENS == 64
