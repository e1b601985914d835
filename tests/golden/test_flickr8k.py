"""Flickr8k through the kind `folder`: every picture and caption accounted for."""

import pandas as pd
import pytest

from tests.samples import build


def test_flickr8k_counts(mirror, tmp_path):
    folder = mirror / "flickr8k"
    if not folder.exists():
        pytest.skip("flickr8k is not in the mirror")
    definition = {
        "kind": "folder",
        "media": str(folder / "images64_all.zip"),
        "modality": "image",
        "table": str(folder / "captions.csv"),
        "columns": {"file": "image", "text": "caption"},
    }
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
