"""Training small models: restarts, pieces, processes, refusals, and what is left behind."""

import json
import math
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mindgap.config.train import DualRecipe, SmallClip
from mindgap.data.pairs import write_pairs
from mindgap.data.sets import build_pairs
from mindgap.embed.encoders.load import load_encoder
from mindgap.gap.cosines import unit_rows
from mindgap.gap.measures import modality_gap
from mindgap.runtime.errors import UserError
from mindgap.train import fit as fitting
from mindgap.train import state as states
from mindgap.train.build import write_small_clip
from mindgap.train.dual import Dual
from mindgap.train.fit import DualJob
from mindgap.train.held import load_held_out
from mindgap.train.job import launch
from mindgap.train.loop import make_optimiser
from mindgap.train.measure import measure_training
from mindgap.train.parallel import Group
from mindgap.train.pool import load_pool, read_texts
from tests.bounds import UNIT
from tests.samples import picture

TEMPLATE = {"template": "a {}"}
SIZES = SmallClip(width=16, layers=1, heads=2, image_size=16, dimension=8, context=40, words=100)
CPU = torch.device("cpu")
# Three steps of Adam at a rate of 0.01: it divides a gradient by its size, so that the noise of one
# near zero, UNIT of the largest, moves a weight by up to 0.01, which the loss feels a hundred times less.
TRAINED = {"rel": 2e-4, "abs": 2e-5}
COUNTED = 1.01 / 16  # one of 16 prompted pictures, or of 24 pairs, may change sides at a near tie
RECIPE = DualRecipe(
    steps=6, batch=8, inverse_temperature=10.0, learning_rate=0.01, weight_decay=0.1, warmup=2
)


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
    def make(name="m", seed=0, **options):
        return DualJob(
            options=RECIPE.model_copy(update=options),
            seed=seed,
            pairs=pairs,
            weights=str(tmp_path / name / "model.safetensors"),
            rows=str(tmp_path / f"{name}.rows.safetensors"),
            about={"training": name},
            device="cpu",
            threads=1,
            save_every=0.0,
            sizes=SIZES,
            prompts=TEMPLATE,
        )

    return make


def replace(job, **changes):
    return job.model_copy(update=changes)


def fit(job):
    """Train, and return the measures over the steps and at the end."""
    launch(job)
    assert not job.state.folder.exists()
    return measure_training(job.rows, 100, 0.95, job.seed)


def same_row(one, other):
    assert list(one) == list(other)
    for key, value in one.items():
        counted = key.startswith("recall") or key.endswith("accuracy")
        bound = {"abs": COUNTED} if counted else TRAINED
        assert other[key] == pytest.approx(value, **bound), key


def weights(job):
    return Path(job.weights).read_bytes()


def moved(job, to):
    return replace(job, weights=str(Path(to) / "model.safetensors"))


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
    about = json.loads((one.folder / "training.json").read_text())
    assert about["logit_scale"] == final["logit_scale"]
    assert about["training"] == "m"
    assert about["options"] == {**one.options.model_dump(), "seed": 0}


@pytest.mark.parametrize("family", ["clip", "siglip", "altclip"])
def test_a_training_goes_on_from_any_dual_encoder(job, pairs, tmp_path, family):
    from mindgap.embed.extract import Work, extract
    from tests.checkpoints import make_checkpoint

    start = str(make_checkpoint(family, tmp_path / family))
    loss = "sigmoid" if family == "siglip" else "cross_entropy"
    one = replace(job(loss=loss, steps=3, warmup=0), start=start, sizes=None)
    rows, final = fit(one)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert weights(one) != weights(moved(one, start))
    # What was trained is what the chapter `embed` loads and measures.
    encoder = load_encoder(one.folder)
    held, _ = extract(encoder, pairs["test"], 0, 24, Work("first", 8), CPU, tmp_path, "k")
    x, y = (unit_rows(held.rows[m]) for m in ("image", "text"))
    assert modality_gap(x, y) == pytest.approx(final["gap"], abs=UNIT)


def test_an_architecture_starts_from_weights_of_each_seed(job, tmp_path):
    from tests.checkpoints import make_checkpoint

    start = str(make_checkpoint("clip", tmp_path / "clip"))
    starts = [
        fit(replace(job(f"s{seed}", steps=1, seed=seed), start=start, sizes=None, random=how))[0]
        for how, seed in ((False, 0), (False, 1), (True, 0), (True, 1))
    ]
    gaps = [rows[0]["gap"] for rows in starts]
    assert gaps[0] == gaps[1]
    assert len(set(gaps)) == 3


@pytest.mark.parametrize(
    ("family", "options", "sentence"),
    [
        ("siglip", {"amend": "procrustes"}, "ends in a linear projection"),
        ("siglip2", {}, "train a model with a fixed resolution"),
        ("resnet", {}, "only an encoder of image and text can be trained"),
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
    shared_rows, shared_final = fit(job("two", steps=3, processes=2))
    for a, b in zip(rows, shared_rows, strict=True):
        same_row(a, b)
    assert shared_final["gap"] == pytest.approx(final["gap"], **TRAINED)
    with pytest.raises(UserError, match="one of 2 training processes failed"):
        launch(job("large", batch=64, processes=2))


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


@pytest.mark.parametrize(("start", "bound"), [(10.0, 20.0), (30.0, 30.0)])
def test_a_learned_scale_stays_below_its_bound(pairs, tmp_path, start, bound):
    """The bound is the largest scale, or the scale at the start where that is larger."""
    write_small_clip(tmp_path / "clip", read_texts(pairs["train"]), 0, SIZES)
    encoder = load_encoder(tmp_path / "clip")
    pool = load_pool(pairs["train"], encoder, 1, tmp_path)
    model = Dual(encoder, "cross_entropy", "learned", start)
    recipe = replace(RECIPE, inverse_temperature=start, largest_scale=20.0)
    optimiser, batch = make_optimiser(model, recipe), (np.arange(8), pool.first[:8], None)
    fitting.train_step(model, optimiser, pool, batch, recipe, Group())
    assert model.scale() == pytest.approx(start, rel=0.02)  # one step of Adam at a rate of 0.01
    model.log_scale.data.fill_(math.log(50))
    fitting.train_step(model, optimiser, pool, batch, recipe, Group())
    assert model.scale() == pytest.approx(bound, rel=1e-6)


KILL = """
import os, signal, sys
from mindgap.train.fit import DualJob
from mindgap.train.held import load_held_out
from mindgap.train.job import launch
from mindgap.train.loop import make_optimiser
from mindgap.train.state import State
step, saved = int(sys.argv[2]), State.save
def save(self, model, optimiser, at):
    saved(self, model, optimiser, at)
    if at == step:
        os.kill(os.getpid(), signal.SIGKILL)
State.save = save
launch(DualJob.model_validate_json(open(sys.argv[1]).read()))
"""


@pytest.mark.parametrize("step", [1, 4])
def test_a_killed_run_goes_on_to_the_same_bytes(job, tmp_path, step):
    whole, broken = job("whole", amend="centre"), job("broken", amend="centre")
    rows, final = fit(whole)
    spec = tmp_path / "spec.json"
    spec.write_text(broken.model_dump_json())
    done = subprocess.run(
        [sys.executable, "-c", KILL, str(spec), str(step)], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert broken.state.last() == step
    again, again_final = fit(broken)
    assert (again, again_final) == (rows, final)
    assert weights(broken) == weights(whole)
    assert Path(broken.rows).read_bytes() == Path(whole.rows).read_bytes()


def test_one_seed_one_result_and_another_seed_another(job):
    first, second, third = (fit(job(n, seed=s)) for n, s in (("a", 0), ("b", 0), ("c", 1)))
    assert first == second
    assert first[0][0]["gap"] != third[0][0]["gap"]


def test_a_loss_that_is_not_a_number_names_step_and_checkpoint(job):
    with pytest.raises(
        UserError,
        match=r"the loss is nan at step \d+; the last saved state, .* is that of step \d+;",
    ):
        fit(job(learning_rate=1e30, warmup=0, steps=20))


def test_a_full_disk_leaves_the_last_good_state(job, monkeypatch):
    one, saves, save = job(), [], torch.save

    def full(state, path):
        saves.append(state["step"])
        if len(saves) == 3:
            raise OSError(28, "No space left on device")
        save(state, path)

    monkeypatch.setattr(states.torch, "save", full)
    with pytest.raises(UserError, match=r"No space left.* the last saved state is that of step 2"):
        fit(one)
    monkeypatch.undo()
    rows, _ = fit(one)
    assert rows == fit(job("other"))[0]


def test_a_state_of_other_options_is_not_gone_on_from(job, monkeypatch):
    steps, go = [], fitting.train_step

    def stop_at_the_fourth(*args):
        steps.append(1)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return go(*args)

    one = job(steps=6)
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "train_step", stop_at_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            fit(one)
    assert one.state.last() == 3
    other = replace(one, options=replace(one.options, learning_rate=0.02))
    assert fit(other)[0] == fit(job("fresh", learning_rate=0.02))[0]


def test_refusals(job, pairs, tmp_path):
    with pytest.raises(
        UserError, match="batch must be at most 40, the size of the training set, got 64"
    ):
        fit(job(batch=64))
    bare = tmp_path / "bare.parquet"
    items = {"id": ["a", "b"], "image": [picture(), picture()], "text": [["one"], []]}
    write_pairs(bare, [items])
    with pytest.raises(UserError, match="item 1 has no caption; add one or remove the item"):
        fit(replace(job(), pairs=pairs | {"train": str(bare)}))
    write_pairs(bare, [items | {"image": [picture(), b"y"], "text": [["one"], ["two"]]}])
    with pytest.raises(UserError, match="item b: not a readable picture"):
        fit(replace(job(), pairs=pairs | {"train": str(bare)}))
    write_pairs(bare, [{"id": ["a"], "label": ["x"]}])
    with pytest.raises(UserError, match="has no column 'text'"):
        fit(replace(job(), pairs=pairs | {"train": str(bare)}))


def test_equal_captions_are_known_as_such_and_labels_as_classes(job, tmp_path):
    """What the ceiling of recall and the accuracy of zero-shot classification are counted by."""
    write_small_clip(tmp_path / "clip", ["one two three"], 0, SIZES)
    items = {"id": list("abcd"), "image": [picture()] * 4, "label": ["z", "y", "z", "x"]}
    items["text"] = [["one"], ["two", "one"], ["one", "three"], ["three", "two"]]
    write_pairs(tmp_path / "p.parquet", [items])
    pairs = {role: str(tmp_path / "p.parquet") for role in ("test", "zero_shot")}
    encoder = load_encoder(tmp_path / "clip")
    for which, equal in (("first", [0, 1, 0, 2]), ("last", [0, 0, 1, 2])):
        held = load_held_out(pairs, encoder, replace(RECIPE, captions=which), TEMPLATE, 1, tmp_path)
        found = held.common()
        same = found["captions"][:, None] == found["captions"]
        assert (same == (np.array(equal)[:, None] == equal)).all()
        assert found["labels"].tolist() == [2, 1, 2, 0]
    items["label"][1] = None
    write_pairs(tmp_path / "p.parquet", [items])
    with pytest.raises(UserError, match="item 1 has no label"):
        load_held_out(pairs, encoder, RECIPE, TEMPLATE, 1, tmp_path)


def test_wrong_captions_are_not_learnt_as_right_ones(job, pairs):
    """Chance is log 40; steps enough to be far from it, whichever way the roundings fall."""
    seen = pairs | {"test": pairs["train"]}
    options = {"steps": 120, "batch": 40, "learning_rate": 0.002, "warmup": 5, "seed": 1}
    right, _ = fit(replace(job("right", **options), pairs=seen))
    wrong, _ = fit(replace(job("wrong", **options, wrong_captions=1.0), pairs=seen))
    assert right[-1]["loss"] < math.log(40) - 1
    assert wrong[-1]["loss"] > math.log(40) + 1
