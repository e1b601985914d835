"""Files from outside that want more than to be read.

What is missing elsewhere; the others stand where their format is tested. Pickled .npy and .npz:
test_embed_arrays. Zips, links, bombs of pixels, names that leave their folder: test_data_folder.
Tars, compressed tars, webdataset shards, data sets of the hub: test_data_shards. The pickled CIFAR
and other published files: test_data_sets. Wrong checksums: test_download, test_embed_checkpoint.
Names and keys of a configuration: test_config; those that could reach a shell:
workflow/test_hostile. Files that were cut off: workflow/test_faults.
"""

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
import torch
import yaml

from mindgap.codebook.inputs import load_arrays
from mindgap.cone.store import load_towers
from mindgap.config import read_yaml
from mindgap.data.labelled import read_idx
from mindgap.data.media import check_clip, check_picture, check_sound
from mindgap.data.medium import BadItem, Limits
from mindgap.data.pairs import open_pairs
from mindgap.data.patterns import expand
from mindgap.data.tables import gunzip, read_text
from mindgap.embed.arrays import read_array
from mindgap.embed.decode import decode_frames, decode_picture
from mindgap.embed.encoders.load import load_encoder
from mindgap.embed.fetch import fetch_checkpoint
from mindgap.embed.store import load_embeddings
from mindgap.overlay import read_name
from mindgap.runtime.errors import UserError
from mindgap.train.state import State
from tests.samples import build, picture
from tests.unit.test_data_shards import add


@pytest.fixture
def trap(tmp_path):
    """An object that writes a file when it is unpickled; in the end there is none."""
    target = tmp_path / "trapped"

    class Trap:
        def __reduce__(self):
            return (open, (str(target), "w"))

    yield Trap()
    assert not target.exists()


def refused(call, *args):
    with pytest.raises(UserError) as error:
        call(*args)
    assert "\n" not in str(error.value)
    return str(error.value)


# Pickles


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_pickled_weights_of_a_checkpoint_run_nothing(copy, trap, form):
    (copy / "model.safetensors").unlink()
    path = copy / "pytorch_model.bin"
    if form == "torch":
        torch.save({"text_projection.weight": trap}, path)
    else:
        path.write_bytes(pickle.dumps({"text_projection.weight": trap}))
    assert "its weights cannot be read" in refused(load_encoder, copy)


def test_a_pickled_state_of_a_training_runs_nothing(tmp_path, trap):
    state = State(tmp_path)
    torch.save({"step": trap}, state.file)
    assert "is not a readable state" in refused(state.restore, None, None)
    state.file.write_bytes(state.file.read_bytes()[:100])
    assert "last.pt is not a readable state" in refused(state.restore, None, None)


def test_arrays_of_a_codebook_are_numbers(tmp_path, trap):
    path = tmp_path / "a.npz"
    np.savez(path, rows=np.array([trap, 1], dtype=object))
    assert "not an .npz with `rows`" in refused(load_arrays, path)
    for data in (pickle.dumps(trap), b"PK\x03\x04junk", b""):
        path.write_bytes(data)
        refused(load_arrays, path)
    header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 45, 2, 2)}
    bomb = io.BytesIO()
    np.lib.format.write_array_header_1_0(bomb, header)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rows.npy", bomb.getvalue())
    refused(load_arrays, path)
    refused(read_array, str(path))


# Code that a checkpoint brings along


def edit(path, **values):
    given = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**given, **values}))


def test_code_in_a_checkpoint_is_not_run(copy, tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # nor does anybody get to agree to it
    touch = f"open({str(tmp_path / 'ran')!r}, 'w')\nfrom transformers import *\n"
    (copy / "evil.py").write_text(touch + "class Evil(CLIPModel):\n    pass\n")
    classes = ["AutoConfig", "AutoModel", "AutoTokenizer", "AutoImageProcessor", "AutoProcessor"]
    named = {name: "evil.Evil" for name in classes} | {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        edit(copy / name, auto_map=named)
    assert load_encoder(copy).modalities == ("image", "text")
    edit(copy / "config.json", model_type="evil")
    assert "no encoder for the model type 'evil'" in refused(load_encoder, copy)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["../up.json", "/tmp/up.json", "deep/up.json"])
def test_a_mirrors_manifest_cannot_name_files_elsewhere(tmp_path, name):
    folder = tmp_path / "mirror/models/a--b/main"
    folder.mkdir(parents=True)
    row = {"bytes": 2, "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}
    (folder / "manifest.json").write_text(json.dumps({"files": {name: row}}))
    (folder.parent / "up.json").write_text("{}")
    target = tmp_path / "data/a--b/main/manifest.json"
    said = refused(fetch_checkpoint, "a/b", "main", target, str(tmp_path / "mirror"))
    assert "leaves the folder" in said
    assert not [p for p in (tmp_path / "data").rglob("*.json")]


# Headers that lie


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", 2) + b"{}"[:1],
        struct.pack("<Q", 64)
        + b'{"a":{"dtype":"F32","shape":[9,9],"data_offsets":[0,324]}}'.ljust(64),
        struct.pack("<Q", 64)
        + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}'.ljust(64),
        b"",
    ],
)
def test_safetensors_whose_headers_lie(tmp_path, data):
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    for call in (load_embeddings, load_towers):
        assert "a.safetensors is not a readable safetensors file" in refused(call, path)
    assert "a.safetensors cannot be read" in refused(read_array, str(path))


@pytest.mark.parametrize("length", [0, 4, 1 << 31, (1 << 32) - 1])
def test_parquet_whose_footer_lies(tmp_path, length):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1" + bytes(64) + struct.pack("<I", length) + b"PAR1")
    assert "a.parquet is not a readable parquet file" in refused(open_pairs, path)


# Bombs


def test_what_swells_is_not_unpacked():
    data = gzip.compress(bytes(5000))
    assert gunzip(data, 5000) == bytes(5000)
    with pytest.raises(OSError, match="unpacks to more than 4,999 bytes"):
        gunzip(data, 4999)


def test_damaged_gzips_are_named(tmp_path):
    path = tmp_path / "t.csv.gz"
    whole = gzip.compress(os.urandom(5000))
    broken = whole[:20] + b"\xff" * 50 + whole[70:]
    with pytest.raises((zlib.error, OSError, EOFError)):
        gunzip(broken)
    for data in (whole[:1000], broken):
        path.write_bytes(data)
        assert "t.csv.gz cannot be read" in refused(read_text, path)
        assert "t.csv.gz is not an idx file" in refused(read_idx, str(path))


def test_a_sound_that_swells_is_a_failure():
    import av

    stream = io.BytesIO()
    with av.open(stream, "w", format="flac") as target:
        track = target.add_stream("flac", rate=8000, layout="mono")
        for start in range(0, 400_000, 4000):
            frame = av.AudioFrame.from_ndarray(np.ones((1, 4000), np.int16), "s16", "mono")
            frame.rate, frame.pts = 8000, start
            for packet in track.encode(frame):
                target.mux(packet)
        for packet in track.encode():
            target.mux(packet)
    data = stream.getvalue()
    assert len(data) < 20_000
    check_sound(data, Limits())
    with pytest.raises(BadItem, match="decodes to more than 100,000 samples"):
        check_sound(data, Limits(max_samples=100_000))


def test_ranges_that_swell_are_refused():
    assert "matches more than 1,000,000 files" in refused(expand, "a-{0..999}-{0..9999}.tar")
    assert len(expand("a-{0..999}.tar")) == 1000


def test_a_deep_json_is_a_failure(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, note in (("bad", b"[" * 200_000), ("good", b'{"class": "x"}')):
            add(tar, f"{name}.png", picture())
            add(tar, f"{name}.txt", b"a picture")
            add(tar, f"{name}.json", note)
    fields = {"image": "png", "text": "txt", "label": "json:class"}
    definition = {"kind": "webdataset", "shards": str(tmp_path / "a.tar"), "fields": fields}
    rows, failures, _ = build(tmp_path, definition | {"keep": "bytes"})
    assert list(rows) == ["a/good"]
    assert failures == {"a/bad": "its JSON has no usable 'class'"}


# Media that are programs, or lists of other files


def test_a_picture_is_not_handed_to_an_interpreter(tmp_path, monkeypatch):
    """Pillow gives EPS to Ghostscript, by whatever name the file goes."""
    gs = tmp_path / "gs"
    gs.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    gs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    for call in (lambda: check_picture(eps, Limits()), lambda: decode_picture(eps)):
        with pytest.raises(BadItem, match="not a readable picture"):
            call()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
def test_pictures_of_known_formats_are_read(kind):
    data = picture(kind=kind)
    check_picture(data, Limits())
    assert decode_picture(data).size == (12, 9)


def test_a_playlist_opens_no_other_file(tmp_path, monkeypatch):
    """A list of files that passes for a clip would read what lies beside the workflow."""
    from tests.samples import film

    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.ts").write_bytes(film(codec="mpeg2video", container="mpegts"))
    for text in (
        "ffconcat version 1.0\nfile secret.ts\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{tmp_path}/secret.ts\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    ):
        for call in (check_clip, check_sound):
            with pytest.raises(BadItem, match="not a readable"):
                call(text.encode(), Limits())
        with pytest.raises(BadItem):
            decode_frames(text.encode(), 2)
    check_clip((tmp_path / "secret.ts").read_bytes(), Limits())


# Configurations


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('run: !!python/object/apply:os.system ["touch ran"]', "is not plain YAML"),
        ("run: !!python/name:os.system", "is not plain YAML"),
        ("__use_yte__: true\nrun: ?__import__('os').system('touch ran')", "is a program"),
        ("run: [", "is not plain YAML"),
        ("- run", "is not a mapping of keys"),
        ("run: x; touch ran", "run: 'x; touch ran' is not a name"),
        ("run: $(touch ran)", "is not a name"),
        ("run: ../../up", "is not a name"),
        ("run: |\n  x\n", "is not a name"),
        ("run: 3", "run: must be text, got 3; put it in quotes: '3'"),
    ],
)
def test_a_config_that_is_more_than_data_is_refused(tmp_path, monkeypatch, text, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(text)
    assert sentence in refused(read_name, tmp_path / "mine.yaml")
    if "!!python" in text:
        with pytest.raises(yaml.YAMLError):
            read_yaml(tmp_path / "mine.yaml")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_plain_config_gives_its_name(tmp_path, root):
    (tmp_path / "mine.yaml").write_text("run: my.own-1\n")
    assert read_name(tmp_path / "mine.yaml") == "my.own-1"
    (tmp_path / "mine.yaml").write_text("seed: 1\n")
    assert "gives its run no name" in refused(read_name, tmp_path / "mine.yaml")
    assert "no such file" in refused(read_name, tmp_path / "none.yaml")
    names = [read_name(path) for path in sorted((root / "config").glob("*.yaml"))]
    assert len(set(names)) == len(names)
