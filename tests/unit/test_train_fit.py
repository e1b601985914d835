"""Training small models: restarts, pieces, processes, refusals, and what is left behind."""

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from mindgap.data.pairs import write_pairs
from mindgap.data.sets import build_pairs
from mindgap.embed.encoders.load import load_encoder
from mindgap.gap.cosines import unit_rows
from mindgap.gap.measures import modality_gap
from mindgap.runtime.errors import UserError
from mindgap.train import trainer
from mindgap.train.fit import Job, fit
from mindgap.train.launch import spread
from tests.bounds import UNIT
from tests.samples import picture

SIZES = {
    "width": 16,
    "layers": 1,
    "heads": 2,
    "image_size": 16,
    "patch_size": 8,
    "dimension": 8,
    "context": 40,
    "words": 100,
}
CPU = torch.device("cpu")
# Three steps of Adam at a rate of 0.01: it divides a gradient by its size, so that the noise of one
# near zero, UNIT of the largest, moves a weight by up to 0.01, which the loss feels a hundred times less.
TRAINED = {"rel": 2e-4, "abs": 2e-5}
COUNTED = 1.01 / 16  # one of 16 prompted pictures, or of 24 pairs, may change sides at a near tie
OPTIONS = {
    "steps": 6,
    "batch": 8,
    "loss": "cross_entropy",
    "temperature": "learned",
    "inverse_temperature": 10.0,
    "learning_rate": 0.01,
    "warmup": 2,
    "captions": "first",
    "amend": "none",
    "wrong_captions": 0.0,
    "seed": 0,
    "save_every": 0.0,
    "bootstrap": 100,
    "confidence": 0.95,
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    sets = {"train": 40, "test": 24, "zero_shot": 16}
    for seed, (role, items) in enumerate(sets.items()):
        definition = {"kind": "shapes", "items": items, "size": 16, "frames": 2, "seed": seed}
        build_pairs(folder / f"{role}.parquet", definition)
    return {role: str(folder / f"{role}.parquet") for role in sets}


@pytest.fixture
def job(pairs, tmp_path):
    def make(name="m", **options):
        return Job(
            {**OPTIONS, **options},
            SIZES,
            pairs,
            {"template": "a {}"},
            None,
            str(tmp_path / name),
            str(tmp_path / f"{name}.state"),
            device="cpu",
        )

    return make


def same_row(one, other):
    assert list(one) == list(other)
    for key, value in one.items():
        counted = key.startswith("recall") or key.endswith("accuracy")
        bound = {"abs": COUNTED} if counted else TRAINED
        assert other[key] == pytest.approx(value, **bound), key


def weights(job):
    with open(f"{job.folder}/model.safetensors", "rb") as stream:
        return stream.read()


def test_a_trained_checkpoint_is_an_encoder_like_any_other(job):
    one = job()
    rows, final = fit(one)
    assert [row["step"] for row in rows] == [0, 1, 2, 4, 6]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert final["gap_low"] <= final["gap"] <= final["gap_high"]
    assert 0 <= final["zero_shot_accuracy"] <= 1
    encoder = load_encoder(one.folder)
    assert encoder.dimension == 8
    assert encoder.facts["image_processor"]["fast"]
    assert rows[-1]["logit_scale"] == pytest.approx(float(encoder.model.logit_scale.exp()))


@pytest.mark.parametrize("family", ["clip", "siglip", "altclip"])
def test_a_training_goes_on_from_any_dual_encoder(job, pairs, tmp_path, family):
    from mindgap.embed.extract import Work, extract
    from tests.checkpoints import make_checkpoint

    start = str(make_checkpoint(family, tmp_path / family))
    loss = "sigmoid" if family == "siglip" else "cross_entropy"
    one = replace(job(loss=loss, steps=3, warmup=0), start=start, sizes=None)
    rows, final = fit(one)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert weights(one) != weights(replace(one, folder=start))
    # What was trained is what the chapter `embed` loads and measures.
    encoder = load_encoder(one.folder)
    held, _ = extract(encoder, pairs["test"], 0, 24, Work("first", 8), CPU, tmp_path, "k")
    x, y = (unit_rows(held.rows[m]) for m in ("image", "text"))
    assert modality_gap(x, y) == pytest.approx(final["gap"], abs=UNIT)


def test_an_architecture_starts_from_weights_of_each_seed(job, tmp_path):
    from tests.checkpoints import make_checkpoint

    start = str(make_checkpoint("clip", tmp_path / "clip"))
    starts = [
        fit(replace(job(f"s{seed}", steps=1, seed=seed), start=start, sizes=None, weights=how))[0]
        for how, seed in (("trained", 0), ("trained", 1), ("random", 0), ("random", 1))
    ]
    gaps = [rows[0]["gap"] for rows in starts]
    assert gaps[0] == gaps[1]
    assert len(set(gaps)) == 3


@pytest.mark.parametrize(
    ("family", "options", "sentence"),
    [
        ("siglip", {"amend": "procrustes"}, "ends in a linear projection"),
        ("siglip2", {}, "one of fixed resolution"),
        ("resnet", {}, "not pictures and texts"),
    ],
)
def test_a_checkpoint_that_cannot_be_trained_is_refused(job, tmp_path, family, options, sentence):
    from tests.checkpoints import make_checkpoint

    start = str(make_checkpoint(family, tmp_path / family))
    with pytest.raises(UserError, match=sentence):
        fit(replace(job(**options), start=start, sizes=None))


@pytest.mark.parametrize("amend", ["procrustes", "centre"])
def test_an_amended_start_has_less_gap(job, amend):
    plain, _ = fit(job("plain", steps=1))
    amended, _ = fit(job(amend, steps=1, amend=amend))
    assert amended[0]["gap"] < 0.5 * plain[0]["gap"]


def test_a_folded_turn_embeds_as_it_was_trained(job, pairs):
    from mindgap.train.pool import load_pool

    one = job(amend="procrustes")
    _, final = fit(one)
    encoder = load_encoder(one.folder)
    pool = load_pool(pairs["test"], encoder, 1, one.folder)
    pixels, tokens = pool.batch(np.arange(len(pool)), pool.first, True)
    with torch.inference_mode():
        x, y = encoder.encode("image", {"pixel_values": pixels}), encoder.encode("text", tokens)
    assert modality_gap(unit_rows(x.numpy()), unit_rows(y.numpy())) == pytest.approx(
        final["gap"], abs=UNIT
    )


@pytest.mark.parametrize("loss", ["sigmoid", "dual", "uniformity"])
@pytest.mark.parametrize("optimiser", ["adamw", "adam_l2"])
def test_a_batch_in_pieces_is_the_whole_batch(job, loss, optimiser):
    options = {"loss": loss, "optimiser": optimiser, "steps": 3, "augmentation": "flip_crop"}
    options |= {"word_dropout": 0.3}
    whole, _ = fit(job("whole", **options))
    pieces, _ = fit(job("pieces", **options, accumulate=3))
    for a, b in zip(whole, pieces, strict=True):
        same_row(a, b)


def test_two_processes_are_one(job, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    rows, final = fit(job("one", steps=3))
    spread_rows, spread_final = spread(job("two", steps=3), 2)
    for a, b in zip(rows, spread_rows, strict=True):
        same_row(a, b)
    assert spread_final["gap"] == pytest.approx(final["gap"], **TRAINED)
    with pytest.raises(UserError, match="one of 2 training processes failed"):
        spread(job("large", batch=64), 2)


def test_temperatures(job):
    fixed, _ = fit(job("fixed", temperature="fixed", inverse_temperature=30.0))
    assert all(row["logit_scale"] == pytest.approx(30) for row in fixed)
    scheduled, _ = fit(
        job(
            "scheduled",
            temperature="scheduled",
            inverse_temperature=1.0,
            final_inverse_temperature=32.0,
        )
    )
    scales = [row["logit_scale"] for row in scheduled]
    assert scales == pytest.approx([1, 2, 4, 16, 32])
    learned, _ = fit(job("learned"))
    assert learned[0]["logit_scale"] == pytest.approx(10)
    assert learned[-1]["logit_scale"] != pytest.approx(10)


KILL = """
import json, os, signal, sys
from mindgap.train import trainer
from mindgap.train.fit import Job, fit
step, saved = int(sys.argv[2]), trainer.save_state
def save(model, optimiser, at, rows, path):
    saved(model, optimiser, at, rows, path)
    if at == step:
        os.kill(os.getpid(), signal.SIGKILL)
trainer.save_state = save
fit(Job(**json.loads(open(sys.argv[1]).read())))
"""


@pytest.mark.parametrize("step", [1, 4])
def test_a_killed_run_goes_on_to_the_same_bytes(job, tmp_path, step):
    whole, broken = job("whole", amend="centre"), job("broken", amend="centre")
    rows, final = fit(whole)
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(asdict(broken)))
    done = subprocess.run(
        [sys.executable, "-c", KILL, str(spec), str(step)], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert os.path.exists(broken.state)
    again, again_final = fit(broken)
    assert (again, again_final) == (rows, final)
    assert weights(broken) == weights(whole)


def test_one_seed_one_result_and_another_seed_another(job):
    first, second, third = (fit(job(n, seed=s)) for n, s in (("a", 0), ("b", 0), ("c", 1)))
    assert first == second
    assert first[0][0]["gap"] != third[0][0]["gap"]


def test_a_loss_that_is_not_a_number_names_step_and_checkpoint(job):
    with pytest.raises(
        UserError, match=r"the loss is nan at step \d+; the last good checkpoint is"
    ):
        fit(job(learning_rate=1e30, warmup=0, steps=20))


def test_a_full_disk_leaves_the_last_good_state(job, monkeypatch):
    one, saves, save = job(), [], torch.save

    def full(state, path):
        saves.append(state["step"])
        if len(saves) == 3:
            raise OSError(28, "No space left on device")
        save(state, path)

    monkeypatch.setattr(trainer.torch, "save", full)
    with pytest.raises(UserError, match=r"No space left.* the last good one is that of step 2"):
        fit(one)
    monkeypatch.undo()
    rows, _ = fit(one)
    assert rows == fit(job("other"))[0]


def test_a_state_of_other_options_is_not_gone_on_from(job, monkeypatch):
    steps, go = [], trainer.train_step

    def stop_at_the_fourth(*args):
        steps.append(1)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return go(*args)

    one = job(steps=6)
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "train_step", stop_at_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            fit(one)
    assert os.path.exists(one.state)
    other = replace(one, options={**one.options, "learning_rate": 0.02})
    assert fit(other)[0] == fit(job("fresh", learning_rate=0.02))[0]


def test_refusals(job, pairs, tmp_path):
    with pytest.raises(UserError, match="a batch of 64 is larger than the set of 40 items"):
        fit(job(batch=64))
    bare = tmp_path / "bare.parquet"
    items = {"id": ["a", "b"], "image": [picture(), picture()], "text": [["one"], []]}
    write_pairs(bare, [items])
    with pytest.raises(
        UserError, match="item 1 has no caption, so there is nothing to train it on"
    ):
        fit(replace(job(), pairs=pairs | {"train": str(bare)}))
    write_pairs(bare, [items | {"image": [picture(), b"y"], "text": [["one"], ["two"]]}])
    with pytest.raises(UserError, match="item b: not a readable picture"):
        fit(replace(job(), pairs=pairs | {"train": str(bare)}))
    write_pairs(bare, [{"id": ["a"], "label": ["x"]}])
    with pytest.raises(UserError, match="has no column 'text'"):
        fit(replace(job(), pairs=pairs | {"train": str(bare)}))


def test_wrong_captions_are_not_learnt_as_right_ones(job, pairs):
    """Chance is log 40; steps enough to be far from it, whichever way the roundings fall."""
    seen = pairs | {"test": pairs["train"]}
    options = {"steps": 120, "batch": 40, "learning_rate": 0.002, "warmup": 5, "seed": 1}
    right, _ = fit(replace(job("right", **options), pairs=seen))
    wrong, _ = fit(replace(job("wrong", **options, wrong_captions=1.0), pairs=seen))
    assert right[-1]["loss"] < math.log(40) - 1
    assert wrong[-1]["loss"] > math.log(40) + 1
