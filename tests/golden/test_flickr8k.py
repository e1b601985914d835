"""Flickr8k through the kind `folder`: every picture and caption accounted for."""

import pandas as pd
import pytest

from tests.samples import build


@pytest.fixture
def definition(mirror):
    folder = mirror / "flickr8k"
    if not folder.exists():
        pytest.skip("flickr8k is not in the mirror")
    return {
        "kind": "folder",
        "media": str(folder / "images64_all.zip"),
        "modality": "image",
        "table": str(folder / "captions.csv"),
        "columns": {"file": "image", "text": "caption"},
    }


def test_flickr8k_counts(definition, tmp_path):
    _, _, counts = build(tmp_path, definition, threads=2)
    assert counts == {
        "items_in": 8091,
        "items_out": 8086,
        "captions_in": 40455,
        "captions_out": 40430,
    }
    failures = pd.read_csv(tmp_path / "out.failures.csv")
    assert failures["name"].nunique() == 5
    assert set(failures["reason"]) == {"no such file"}


def test_flickr8k_through_a_checkpoint(definition, tmp_path):
    """Every picture and every caption of the set has its row, beside its item."""
    import numpy as np
    import torch

    from mindgap.embed.encode import embed_pairs
    from mindgap.embed.encoders.load import load_encoder
    from mindgap.embed.extract import Work
    from tests.checkpoints import make_checkpoint

    build(tmp_path, definition, threads=2)
    encoder = load_encoder(make_checkpoint("clip", tmp_path / "clip"))
    work = Work("all", batch_size=256, part_items=3000)
    found = embed_pairs(encoder, tmp_path / "out.parquet", work, torch.device("cpu"))
    assert found.rows["image"].shape == (8086, 24)
    assert found.rows["text"].shape == (40430, 24)
    np.testing.assert_array_equal(np.unique(found.items["text"]), np.arange(8086))
    assert found.about["failures"] == []
    assert all(np.isfinite(rows).all() for rows in found.rows.values())
