"""A codebook for real written and spoken digits: held-out speakers are understood far above chance."""

import pandas as pd
import pytest

from mindgap.codebook.fit import CodebookJob
from mindgap.codebook.measure import measure_codebook
from mindgap.data.pairs import read_column
from mindgap.train.job import launch
from tests.samples import build, prompts_of, resolve


def test_written_digits_find_spoken_ones(mirror, root, tmp_path):
    folder = mirror / "digits-image-audio"
    if not folder.exists():
        pytest.skip("digits-image-audio is not in the mirror")
    run = resolve("spoken")
    files = {
        "t10k-images-idx3-ubyte.gz": str(folder / "mnist_t10k-images-idx3-ubyte.gz"),
        "t10k-labels-idx1-ubyte.gz": str(folder / "mnist_t10k-labels-idx1-ubyte.gz"),
        "v1.0.10.zip": str(folder / "fsdd_recordings.zip"),
    }
    pairs, speakers = {}, {}
    for role, name, rows in (
        ("train", "spoken", [0, 2000]),
        ("test", "spoken_held", [9500, 10000]),
    ):
        definition = {**run.sets[name], "rows": rows, "files": files}
        found, _, _ = build(tmp_path, definition, prompts_of(root, "mnist_fsdd"), role)
        speakers[role] = {row["group"] for row in found.values()}
        pairs[role] = str(tmp_path / f"{role}.parquet")
    assert not speakers["train"] & speakers["test"]
    one = run.codebooks["digits_matched_s0"]
    options = {**one.recipe, "steps": 150, "start": 50}
    files = {
        name: str(tmp_path / f"one/{name}.safetensors") for name in ("weights", "rows", "codes")
    }
    how = {"arrays": {}, "about": {}, "device": "auto", "threads": 1, "save_every": 30}
    launch(CodebookJob(options=options, seed=0, pairs=pairs, **how, **files))
    measured = one.options.model_dump(include={"max_pairs", "sets", "set_items"})
    labels = read_column(pairs["test"], "label")
    found = measure_codebook(files["rows"], labels, **measured, seed=0)
    table = pd.DataFrame(found["retrieval"]).set_index(["vector", "level"])
    # The whole training, four times the pictures and nearly three times the steps, comes to 0.9.
    assert table.loc[("final", "class"), "recall_at_1_ab"] > 0.5
    assert found["final"][0]["shared"] > 0.2
