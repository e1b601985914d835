"""Small media files, and data sets built from them."""

import io
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from PIL import Image

from mindgap.config import merge, read_yaml
from mindgap.config.run import Run
from mindgap.data.definitions import describe
from mindgap.data.sets import build_pairs


def picture(mode="RGB", size=(12, 9), kind="PNG", seed=0, **more):
    """An encoded picture of noise."""
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))
    stream = io.BytesIO()
    noise.convert(mode).save(stream, kind, **more)
    return stream.getvalue()


def sound(samples, width=2):
    """A PCM wave file of the given bytes."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((1, width, 8000, 0, "NONE", ""))
        file.writeframes(samples)
    return stream.getvalue()


def film(frames=12, size=(32, 24), codec="mpeg4", container="mp4", silent=True):
    """An encoded film whose frames grow brighter."""
    import av

    stream = io.BytesIO()
    with av.open(stream, "w", format=container) as target:
        track = target.add_stream(codec, rate=6)
        track.width, track.height, track.pix_fmt = *size, "yuv420p"
        for i in range(frames):
            pixels = np.full((size[1], size[0], 3), 20 * i % 255, np.uint8)
            for packet in track.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                target.mux(packet)
        for packet in track.encode():
            target.mux(packet)
    return stream.getvalue()


def build(tmp_path, definition, prompts=None, name="out", threads=1):
    """Build a set; return its rows by id, reason by failed item, and the counts."""
    target, listed = tmp_path / f"{name}.parquet", tmp_path / f"{name}.failures.csv"
    how = describe(definition)
    counts = build_pairs(target, definition, listed, how, prompts, threads)
    table = pq.read_table(target).to_pylist()
    rows = {row["id"]: row for row in table}
    assert len(rows) == len(table), "ids repeat"
    failures = pd.read_csv(listed, dtype=str)
    for what in ("item", "caption"):
        failed = (failures["what"] == what).sum()
        assert counts[f"{what}s_in"] == counts[f"{what}s_out"] + failed
    items = failures[failures["what"] == "item"]
    return rows, dict(zip(items["name"], items["reason"], strict=True)), counts


ROOT = Path(__file__).resolve().parents[1]


def given(overlay=None):
    """The default configuration with an overlay, or with a config file by its name."""
    if isinstance(overlay, str):
        overlay = read_yaml(ROOT / f"config/{overlay}.yaml")
    return merge(read_yaml(ROOT / "config/default.yaml"), overlay or {})


def resolve(overlay=None):
    """The run of the default configuration with an overlay, or with a config file by its name."""
    return Run.resolve(given(overlay), read_yaml(ROOT / "workflow/prompts.yaml"))


def prompts_of(root, kind):
    """The kind's entry in workflow/prompts.yaml."""
    return read_yaml(root / "workflow/prompts.yaml").get(kind)
