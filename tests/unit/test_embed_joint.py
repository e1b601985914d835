"""Encoders of several modalities, trained together."""

import numpy as np
import pytest
import torch

from mindgap.config.codebook import Inputs
from mindgap.config.models import JointModel
from mindgap.data.sets import build_pairs
from mindgap.embed.joint import embed_joint, load_joint, train_joint
from mindgap.gap.cosines import unit_rows
from mindgap.gap.retrieval import match_ranks
from mindgap.runtime.errors import UserError
from tests.samples import resolve

NAMES = ["image", "video", "audio", "text"]
MODEL = {"kind": "joint", "modalities": NAMES, "train": "held_out", "dataset": "shapes"}
SMALL = JointModel(**MODEL, width=16, dimension=8, batch=16)


def small(**options):
    return SMALL.model_copy(update=options)


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("joint")
    scenes = {"kind": "shapes", "items": 32, "size": 16, "frames": 2, "seed": 0}
    build_pairs(folder / "train.parquet", scenes)
    build_pairs(folder / "test.parquet", {**scenes, "seed": 1, "items": 20})
    inputs = Inputs(size=16, frames=2)
    seen = load_joint(folder / "train.parquet", NAMES, inputs, None, 1)
    return seen, load_joint(folder / "test.parquet", NAMES, inputs, seen, 1)


def mean_rank(rows):
    """Mean rank of the right row over all directions."""
    items = np.arange(len(rows["image"]))
    units = [unit_rows(rows[m]) for m in NAMES]
    return np.mean([match_ranks(x, y, items, items) for x in units for y in units if x is not y])


def test_training_brings_all_modalities_together(sides):
    seen, held = sides
    before = train_joint(seen, small(steps=1, learning_rate=1e-9), "cpu")
    after = train_joint(seen, small(steps=150, learning_rate=0.005), "cpu")
    untrained, trained = (embed_joint(towers, seen, 16, "cpu") for towers in (before, after))
    assert list(trained) == NAMES
    assert {rows.shape for rows in trained.values()} == {(32, 8)}
    ranks = mean_rank(untrained), mean_rank(trained)
    assert ranks[0] > 10 and ranks[1] < 3, f"{ranks}, chance is 15.5"
    whole, pieces = (embed_joint(after, held, size, "cpu") for size in (20, 7))
    for m in NAMES:
        np.testing.assert_allclose(pieces[m], whole[m], atol=1e-4)


def test_one_seed_is_one_model(sides):
    seen, _ = sides
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first, again = (train_joint(seen, small(steps=2), "cpu").state_dict() for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), state), "the caller's generator stays"
    other = train_joint(seen, small(steps=2, seed=1), "cpu").state_dict()
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not all(torch.equal(first[k], other[k]) for k in first)


def test_a_batch_that_does_not_fit_is_refused(sides):
    with pytest.raises(UserError, match="batch must be at most 32"):
        train_joint(sides[0], small(batch=33), "cpu")


def own(**options):
    models = {"mine": {**MODEL, **options}}
    return {"select": {"models": ["mine"], "chapters": [], "datasets": []}, "models": models}


def test_a_joint_model_embeds_its_set_and_has_one_figure():
    run = resolve(own())
    assert set(run.sets) == {"held_out", "shapes"}
    assert run.gapped == run.several == [("mine", "shapes")]
    assert run.paired() == [] and run.decided == [] and run.origins == {}
    assert [name for name in run.figures if "mine" in name] == ["gap/mine/shapes.png"]
    assert not run.downstream.pairs


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"train": "held"}, "models.mine.train: no data set is called 'held'"),
        ({"dataset": "digits"}, "models.mine.dataset: 'digits' has no video and no audio"),
        ({"modalities": ["image", "text"]}, "modalities: must have at least 3 entries, got 2"),
    ],
)
def test_what_a_joint_model_cannot_be(options, sentence):
    with pytest.raises(UserError, match=sentence):
        resolve(own(**options))
