"""Small media files, and data sets built from them."""

import io
import json
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

#: A text that would end its element and run, if it were markup.
HOSTILE = (
    "</script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">&lt;"
)


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


def planted_codes(folder):
    """What `codes_facts` takes: 12 clips of 0.5 s with sounds, codes 3 and 5, which name concepts."""
    from safetensors.numpy import save_file

    from mindgap.codebook.examples import choose_codes, find_examples, read_media
    from mindgap.config.codebook import Inputs
    from mindgap.data.pairs import write_pairs

    rng = np.random.default_rng(5)
    n, inputs = 12, Inputs(size=16, frames=4, span=2, mels=8)
    waves = rng.integers(-20000, 20000, (n, 4000)).astype("<i2")
    columns = {
        "video": [film(frames=4, size=(16, 16)) for _ in range(n)],
        "audio": [sound(one.tobytes()) for one in waves],
        "text": [[f"caption {k} {HOSTILE}"] for k in range(n)],
    }
    write_pairs(folder / "pairs.parquet", [columns])
    clips, sounds = np.full((n, 32), 1, np.int16), np.full((n, 12), 2, np.int16)
    sounds[:, 10:] = -1  # padding
    clips[0, [1, 20]], clips[4, [7, 8, 9]], sounds[0, [2, 3]], sounds[9, 0] = 3, 3, 3, 3
    sounds[2, 5] = 5
    about = {
        "size": 8,
        "modalities": ["video", "audio"],
        "kinds": {"video": "video", "audio": "audio"},
        "shapes": {"video": [2, 4, 4], "audio": []},
        "token_s": 0.05,
    }
    concept = ["code", "concept", "f1", "f1_a", "f1_b", "null", "always"]
    concepts = pd.DataFrame(
        [
            (5, "size: large", 0.3, 0.3, 0.4, 0.2, 0.25),
            (3, HOSTILE, 0.5, 0.6, 0.5, 0.1, 0.4),
            (3, "colour: red", 0.9, 0.95, 0.9, 0.2, 0.3),
        ],
        columns=concept,
    )
    meaning = pd.DataFrame(
        [
            (3, "a", 1, 5, 2, "colour: red", 1.0, 0.5),
            (3, "b", 1, 3, 2, "colour: red", 0.75, 0.5),
            (5, "b", 1, 1, 1, "size: large", 1.0, 0.1),
        ],
        columns=["code", "modality", "rank", "tokens", "items", "concept", "precision", "recall"],
    )
    files = {name: folder / f"{name}.csv" for name in ("concepts", "meaning")}
    concepts.to_csv(files["concepts"], index=False)
    meaning.to_csv(files["meaning"], index=False)
    files["codes"] = folder / "codes.safetensors"
    header = {"mindgap": json.dumps(about)}
    save_file({"a": clips, "b": sounds}, files["codes"], metadata=header)
    chosen = choose_codes(concepts, 9)
    found = find_examples((clips, sounds), chosen, 2)
    media = [
        read_media(folder / "pairs.parquet", kind, set().union(*own.values()), inputs)
        for kind, own in zip(about["modalities"], found, strict=True)
    ]
    return {
        "codes": (clips, sounds),
        "about": about,
        "chosen": chosen,
        "concepts": concepts,
        "meaning": meaning,
        "found": found,
        "media": media,
        "pairs": folder / "pairs.parquet",
        "inputs": inputs,
    }, {"files": files, "loudest": int(waves.max(axis=1)[0])}
