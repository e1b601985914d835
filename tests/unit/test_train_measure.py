"""Measures of the held-out rows of a training, by hand."""

import math

import numpy as np
import pytest
import torch

from mindgap.train.amend import Amendment
from mindgap.train.measure import measure_training
from mindgap.train.rows import grid, read_rows, save_tensors
from tests.bounds import UNIT

# Two pairs of unit vectors, each row with a length of its own: measures do not see it.
X = np.array([[3.0, 0.0, 0.0], [0.0, 0.5, 0.0]], np.float32)
Y = np.array([[0.0, 0.0, 2.0], [0.0, 4.0, 0.0]], np.float32)
PICTURES = np.array([[5, 1, 0], [1, 3, 0], [4, 0, 1], [0, 2, 1]], np.float32)
PROMPTS = np.array([[1, 0, 0], [0, 7, 0], [0, 0, 0.1]], np.float32)


def write(path, common=None, steps=(0,), **more):
    one = {"scale": np.float32(2.0), "a": X, "b": Y, **more}
    common = {"captions": np.array([0, 1, 1, 2]), **(common or {})}
    tensors = {f"{step}/{name}": value for step in steps for name, value in one.items()}
    save_tensors(path, tensors | common, {"steps": list(steps), "train_pairs": 7})
    return path


def test_measures_of_two_pairs(tmp_path):
    rows, final = measure_training(write(tmp_path / "r.safetensors"), 50, 0.95, 0)
    (row,) = rows
    # Means (1/2, 1/2, 0) and (0, 1/2, 1/2).
    assert row["gap"] == pytest.approx(math.sqrt(0.5), abs=UNIT)
    assert row["cosine_matched"] == pytest.approx(0.5, abs=UNIT)
    assert (row["cosine_a"], row["cosine_b"]) == pytest.approx((0, 0), abs=UNIT)
    # The first pair ties with the wrong one, which is a miss; the second is right both ways.
    assert (row["recall_at_1_ab"], row["recall_at_5_ab"]) == (0.5, 1.0)
    assert row["logit_scale"] == 2
    # Logits 0, 0 and 0, 2 along the rows; 0, 0 and 0, 2 along the columns.
    loss = (math.log(2) + math.log(1 + math.exp(-2))) / 2
    assert row["loss"] == pytest.approx(loss, abs=2 * UNIT)
    assert "zero_shot_accuracy" not in row
    assert (final["pairs"], final["train_pairs"]) == (2, 7)
    assert final["gap_low"] <= final["gap"] <= final["gap_high"]


def test_of_four_captions_two_stand_alone(tmp_path):
    _, final = measure_training(write(tmp_path / "r.safetensors"), 50, 0.95, 0)
    assert final["recall_ceiling"] == 0.5


def test_zero_shot_counts_right_classes_and_measures_between_unit_rows(tmp_path):
    given = {"singles": PICTURES, "prompts": PROMPTS}
    path = write(tmp_path / "r.safetensors", {"labels": np.array([0, 1, 0, 0])}, **given)
    row = measure_training(path, 50, 0.95, 0)[0][0]
    assert row["zero_shot_accuracy"] == 0.75
    unit = PICTURES / np.linalg.norm(PICTURES, axis=1, keepdims=True)
    expected = np.linalg.norm(unit.mean(0) - np.full(3, 1 / 3))
    assert row["zero_shot_gap"] == pytest.approx(expected, abs=UNIT)


def test_the_amendment_of_a_training_is_applied(tmp_path):
    """A turn that takes the third axis to the first closes the gap of the two pairs."""
    turn = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], np.float32)
    given = {"singles": PICTURES, "prompts": PROMPTS}
    labels = {"labels": np.array([0, 1, 0, 0])}
    path = write(tmp_path / "r.safetensors", labels | {"turn": turn}, **given)
    row = measure_training(path, 50, 0.95, 0)[0][0]
    assert row["gap"] == pytest.approx(0, abs=UNIT)
    assert (row["cosine_matched"], row["recall_at_1_ab"]) == (1, 1)
    # Prompts are turned like texts: that of class 0 points away from every picture.
    assert row["zero_shot_accuracy"] == 0.25
    centres = {
        f"centre_{side}": torch.full((3,), value) for side, value in (("a", 0.1), ("b", 0.3))
    }
    x, y = Amendment.of_tensors(centres)(torch.eye(3)[:2], torch.eye(3)[[2, 1]])
    path = write(tmp_path / "c.safetensors", {k: v.numpy() for k, v in centres.items()})
    row = measure_training(path, 50, 0.95, 0)[0][0]
    assert row["gap"] == pytest.approx(float((x.mean(0) - y.mean(0)).norm()), abs=2 * UNIT)


def test_rows_come_back_step_by_step(tmp_path):
    path = write(tmp_path / "r.safetensors", steps=grid(5))
    about, found = read_rows(path)
    assert about["steps"] == [0, 1, 2, 4, 5]
    assert set(found) == {None, *about["steps"]}
    assert set(found[4]) == {"scale", "a", "b"}
    assert set(found[None]) == {"captions"}
    np.testing.assert_array_equal(found[4]["a"], X)
    rows, final = measure_training(path, 50, 0.95, 0)
    assert [row["step"] for row in rows] == [0, 1, 2, 4, 5]
    assert final["step"] == 5
