"""MNIST and the spoken digits as published: counts of classes, splits, speakers."""

import collections
import io

import numpy as np
import pytest
from PIL import Image

from tests.samples import build, prompts_of


@pytest.fixture
def files(mirror):
    folder = mirror / "digits-image-audio"
    if not folder.exists():
        pytest.skip("digits-image-audio is not in the mirror")
    return {
        "t10k-images-idx3-ubyte.gz": str(folder / "mnist_t10k-images-idx3-ubyte.gz"),
        "t10k-labels-idx1-ubyte.gz": str(folder / "mnist_t10k-labels-idx1-ubyte.gz"),
        "v1.0.10.zip": str(folder / "fsdd_recordings.zip"),
    }


def test_mnist(files, tmp_path, root):
    definition = {"kind": "mnist", "split": "test", "files": files}
    rows, failures, _ = build(tmp_path, definition, prompts_of(root, "mnist"))
    counts = collections.Counter(row["label"] for row in rows.values())
    published = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert [counts[str(digit)] for digit in range(10)] == published
    assert failures == {}
    pixels = [np.asarray(Image.open(io.BytesIO(row["image"]))).mean() for row in rows.values()]
    assert np.mean(pixels) == pytest.approx(33.79, abs=0.005)


def test_spoken_digits(files, tmp_path, root):
    prompts = prompts_of(root, "fsdd")
    sizes = {}
    for split in ("train", "test", "all"):
        definition = {"kind": "fsdd", "split": split, "files": files}
        rows, failures, _ = build(tmp_path, definition, prompts)
        sizes[split] = len(rows)
        assert failures == {}
    assert sizes == {"train": 2700, "test": 300, "all": 3000}
    assert len({row["group"] for row in rows.values()}) == 6


def test_pairs_of_digits_share_no_speaker(files, tmp_path, root):
    prompts = prompts_of(root, "mnist_fsdd")
    common = {
        "kind": "mnist_fsdd",
        "pictures": "test",
        "test_speakers": ["theo", "yweweler"],
        "pairing_seed": 0,
        "files": files,
    }
    train, _, _ = build(
        tmp_path, {**common, "split": "train", "rows": [0, 1000]}, prompts, threads=2
    )
    test, _, _ = build(tmp_path, {**common, "split": "test", "rows": [9500, 10000]}, prompts)
    speakers = [{row["group"] for row in rows.values()} for rows in (train, test)]
    assert speakers == [{"george", "jackson", "lucas", "nicolas"}, {"theo", "yweweler"}]
    assert len(train) == 1000
    assert len(test) == 500
    # 500 pictures share 1,000 recordings: none is heard twice.
    assert len({row["audio"] for row in test.values()}) == 500
