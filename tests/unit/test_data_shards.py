"""webdataset shards, data sets of the hub, and tables that refer to their media."""

import io
import json
import os
import tarfile
import threading
import tracemalloc
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pyarrow.parquet as pq
import pytest

from mindgap.data.definitions import describe
from mindgap.data.hub import fetch_snapshot
from mindgap.data.pairs import read_pairs
from mindgap.data.patterns import expand
from mindgap.data.sets import build_pairs
from mindgap.runtime.errors import UserError
from tests.samples import build, picture, sound


def add(tar, name, data, **more):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))


def write_shards(folder, count, per_shard, mode="w", suffix="tar"):
    folder.mkdir(exist_ok=True)
    images = [picture(seed=i) for i in range(5)]
    for start in range(0, count, per_shard):
        path = folder / f"part-{start // per_shard:03d}.{suffix}"
        with tarfile.open(path, mode) as tar:
            for i in range(start, min(start + per_shard, count)):
                add(tar, f"{i:06d}.png", images[i % 5])
                add(tar, f"{i:06d}.txt", f"caption {i}".encode())
                add(tar, f"{i:06d}.json", json.dumps({"class": f"c{i % 3}", "n": [1]}).encode())
    return images


def test_patterns():
    assert expand("a-{08..11}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert expand(["x{0..1}/{5..6}.tar", "y"])[1:4] == ["x0/6.tar", "x1/5.tar", "x1/6.tar"]


@pytest.mark.parametrize(("mode", "suffix"), [("w", "tar"), ("w:gz", "tar.gz")])
@pytest.mark.parametrize("keep", ["bytes", "references"])
def test_webdataset(tmp_path, mode, suffix, keep):
    images = write_shards(tmp_path / "s", 11, 4, mode, suffix)
    definition = {
        "kind": "webdataset",
        "shards": str(tmp_path / f"s/part-{{000..002}}.{suffix}"),
        "fields": {"image": "jpg;png", "text": "txt", "label": "json:class"},
        "keep": keep,
    }
    if keep == "references" and mode == "w:gz":
        with pytest.raises(UserError, match="has no file of its own that a reference could name"):
            build(tmp_path, definition)
        return
    rows, failures, _ = build(tmp_path, definition, threads=2)
    assert failures == {}
    assert [name.partition(".")[0].partition("/")[0] for name in rows] == [
        f"part-{i // 4:03d}" for i in range(11)
    ]
    assert [row["text"] for row in rows.values()] == [[f"caption {i}"] for i in range(11)]
    assert [row["label"] for row in rows.values()] == [f"c{i % 3}" for i in range(11)]
    (batch,) = read_pairs(tmp_path / "out.parquet", ["image", "text"])
    assert batch["image"].to_pylist() == [images[i % 5] for i in range(11)]


def test_hostile_shards(tmp_path):
    path = tmp_path / "a-0.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, "../../up.png", picture())
        add(tar, "../../up.txt", b"leaves")
        add(tar, "good.png", picture())
        add(tar, "good.txt", b"stays")
        add(tar, "good.cls", b"3")
        add(tar, "link.png", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(tar, "link.txt", b"a link")
        add(tar, "big.png", b"\0" * 5000)
        add(tar, "big.txt", b"too big")
        add(tar, "latin.png", picture())
        add(tar, "latin.txt", "caf\u00e9".encode("latin-1"))
        add(tar, "bare.txt", b"no picture")
        add(tar, "empty.png", picture())
        add(tar, "empty.txt", b" ")
        add(tar, "._good.png", b"junk")
    cut = tmp_path / "a-1.tar"
    with tarfile.open(cut, "w") as tar:
        add(tar, "one.png", picture())
        add(tar, "one.txt", b"whole")
        add(tar, "two.png", picture(size=(40, 40)))
    cut.write_bytes(cut.read_bytes()[: 512 * 5 + 700])
    definition = {
        "kind": "webdataset",
        "shards": [str(tmp_path / "a-*.tar")],
        "max_bytes": 4000,
        "keep": "bytes",
    }
    rows, failures, _ = build(tmp_path, definition)
    assert {name: row["text"] for name, row in rows.items()} == {
        "a-0/good": ["stays"],
        "a-1/one": ["whole"],
    }
    assert failures.pop("a-1/two") is not None
    assert "is damaged" in failures.pop("a-1/(rest)")
    assert failures == {
        "a-0/../../up": "the name leaves the folder",
        "a-0/link": "not a plain file",
        "a-0/big": "5,000 bytes exceed the limit of 4,000",
        "a-0/latin": "its text is not UTF-8",
        "a-0/bare": "no file .jpg or .jpeg or .png or .webp",
        "a-0/empty": "all captions are empty",
    }
    with pytest.raises(UserError, match=r"b-1\.tar does not exist \(2 of 2 shards are missing\)"):
        build(tmp_path, definition | {"shards": str(tmp_path / "b-{1..2}.tar")})


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_a_damaged_shard_never_loses_an_item_in_silence(tmp_path, suffix):
    """Wherever a shard is cut or a header in it is broken, what is not there is reported."""
    write_shards(tmp_path / "s", 3, 3, "w" if suffix == "tar" else "w:gz", suffix)
    whole = (tmp_path / f"s/part-000.{suffix}").read_bytes()
    path = tmp_path / f"cut.{suffix}"
    definition = {"kind": "webdataset", "shards": str(path), "keep": "bytes"}
    definition["fields"] = {"image": "png", "text": "txt", "label": "json:class"}
    end = len(whole) if suffix == "tar.gz" else 512 * 18  # behind it only padding follows
    harms = [whole[:cut] for cut in range(600 if suffix == "tar" else 60, end - 1, 331)]
    if suffix == "tar":
        zero = 512 * 8  # a header in the middle
        harms += [whole[:zero] + bytes([fill]) * 512 + whole[zero + 512 :] for fill in (0, 255)]
    for harm in harms:
        path.write_bytes(harm)
        try:
            rows, failures, _ = build(tmp_path, definition)
        except UserError:
            continue  # nothing could be used, and a sentence says so
        assert len(rows) == 3 or failures, len(harm)


def test_headers_of_an_insane_length_are_refused(tmp_path):
    path = tmp_path / "bomb.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("././@LongLink")
        info.type, info.size = tarfile.GNUTYPE_LONGNAME, 40 << 20
        tar.addfile(info, io.BytesIO(bytes(info.size)))
        add(tar, "a.png", picture())
    tracemalloc.start()
    with pytest.raises(UserError, match="a header of 41,943,040 bytes"):
        build(tmp_path, {"kind": "webdataset", "shards": str(path)})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20


def test_many_items_in_bounded_memory(tmp_path):
    """A set of 30 MB passes through a sixth of that: two batches of 256 items are 2.5 MB.

    What is held at the end is no part of the set but modules and the interpreter's table of
    interned strings, which grows by megabytes at a moment that depends on earlier imports.
    """
    noise = picture(size=(40, 40))
    with tarfile.open(tmp_path / "big.tar", "w") as tar:
        for i in range(6000):
            add(tar, f"{i}.png", noise)
            add(tar, f"{i}.txt", b"noise")
    definition = {"kind": "webdataset", "shards": str(tmp_path / "big.tar"), "keep": "bytes"}
    target = tmp_path / "big.parquet"
    tracemalloc.start()
    counts = build_pairs(target, definition, None, describe(definition))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert counts["items_out"] == pq.read_metadata(target).num_rows == 6000
    assert peak - held < 6000 * len(noise) / 6
    assert held < 6000 * len(noise) / 2


def test_a_reference_notices_that_its_file_has_changed(tmp_path):
    folder = tmp_path / "media"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.png").write_bytes(picture(seed=ord(name)))
    (tmp_path / "t.csv").write_text("file,text\na.png,x\nb.png,y\n")
    definition = {
        "kind": "folder",
        "media": str(folder),
        "modality": "image",
        "table": str(tmp_path / "t.csv"),
        "keep": "references",
    }
    rows, _, _ = build(tmp_path, definition)
    assert rows["b.png"]["image"]["member"] == "b.png"
    path = tmp_path / "out.parquet"
    (batch,) = read_pairs(path, ["image"])
    assert batch["image"][1].as_py() == picture(seed=ord("b"))
    (folder / "b.png").write_bytes(picture(seed=1))
    with pytest.raises(UserError, match=r"media: b\.png is not what the pairs refer to"):
        list(read_pairs(path, ["image"]))
    (folder / "b.png").unlink()
    with pytest.raises(UserError, match="no such file"):
        list(read_pairs(path, ["image"]))


@pytest.fixture
def hub_files(tmp_path):
    """A data set as the hub holds it: a parquet file with pictures, sounds, lists and classes."""
    from datasets import ClassLabel, Dataset, Features, Image, List, Value

    tone = sound((np.sin(np.arange(400) / 3) * 9000).astype("<i2").tobytes())
    images = [picture(seed=i) for i in range(4)]
    columns = {
        "picture": [{"bytes": data, "path": None} for data in images],
        "speech": [{"bytes": tone, "path": None}] * 4,
        "caption": ["one", "", "three", None],
        "captions": [["a", "b"], ["c"], [], ["d", ""]],
        "kind": [0, 1, -1, 1],
    }
    features = Features(
        {
            "picture": Image(),
            "speech": {"bytes": Value("binary"), "path": Value("string")},
            "caption": Value("string"),
            "captions": List(Value("string")),
            "kind": ClassLabel(names=["cat", "dog"]),
        }
    )
    folder = tmp_path / "hub/data"
    folder.mkdir(parents=True)
    Dataset.from_dict(columns, features).to_parquet(folder / "test-00000-of-00001.parquet")
    return tmp_path / "hub", images, tone


def test_a_data_set_of_the_hub(tmp_path, hub_files):
    folder, images, tone = hub_files
    definition = {
        "kind": "huggingface",
        "path": str(folder),
        "split": "test",
        "fields": {"image": "picture", "audio": "speech", "text": "captions", "label": "kind"},
    }
    rows, failures, counts = build(tmp_path, definition)
    assert [row["text"] for row in rows.values()] == [["a", "b"], ["c"], ["d"]]
    assert [row["label"] for row in rows.values()] == ["cat", "dog", "dog"]
    assert [row["image"] for row in rows.values()] == [images[0], images[1], images[3]]
    assert all(row["audio"] == tone for row in rows.values())
    assert failures == {"00000002": "all captions are empty"}
    definition["fields"] = {"image": "picture", "text": "caption"}
    rows, failures, counts = build(tmp_path, definition)
    assert (counts["items_out"], counts["captions_in"]) == (2, 4)
    with pytest.raises(UserError, match=r"has no column 'imag' for image \(it has: picture"):
        build(tmp_path, definition | {"fields": {"image": "imag"}})
    with pytest.raises(UserError, match="cannot be read as a data set"):
        build(tmp_path, definition | {"split": "nope"})


def test_a_data_set_of_the_hub_cannot_name_files_elsewhere(tmp_path):
    import pyarrow as pa

    secret = tmp_path / "secret.png"
    secret.write_bytes(picture())
    folder = tmp_path / "set/data"
    folder.mkdir(parents=True)
    (tmp_path / "set/good.png").write_bytes(picture(seed=2))
    media = [
        {"bytes": None, "path": str(secret)},
        {"bytes": None, "path": "../secret.png"},
        {"bytes": None, "path": "good.png"},
        {"bytes": bytes(5000), "path": None},
    ]
    table = pa.table({"image": media, "text": list("abcd"), "name": list("wxyz")})
    pq.write_table(table, folder / "test-00000-of-00001.parquet")
    definition = {"kind": "huggingface", "path": str(tmp_path / "set"), "split": "test"}
    rows, failures, _ = build(tmp_path, definition | {"max_bytes": 3000})
    assert [row["image"] for row in rows.values()] == [picture(seed=2)]
    assert list(failures.values()) == [
        "the name leaves the folder",
        "the name leaves the folder",
        "5,000 bytes exceed the limit of 3,000",
    ]
    with pytest.raises(UserError, match=r"the column 'name' holds .* and no media"):
        build(tmp_path, definition | {"fields": {"image": "name", "text": "text"}})


class Hub(BaseHTTPRequestHandler):
    """The few answers of the hub that a snapshot needs."""

    def answer(self, body, **headers):
        self.send_response(200)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self):
        self.server.seen.append((self.command, self.path))
        name, files = self.server.name, self.server.files
        commit = "1234567890" * 4
        if self.path.partition("?")[0] in (
            f"/api/datasets/{name}/revision/{r}" for r in ("v1", commit)
        ):
            siblings = [{"rfilename": file} for file in files]
            body = json.dumps({"id": name, "sha": commit, "siblings": siblings})
            self.answer(body.encode(), Content_Type="application/json")
        elif self.path.startswith(f"/api/datasets/{name}/tree/"):
            tree = [
                {"type": "file", "path": f, "size": len(b), "oid": "0" * 40}
                for f, b in files.items()
            ]
            self.answer(json.dumps(tree).encode(), Content_Type="application/json")
        elif (file := self.path.partition(f"/{commit}/")[2]) in files:
            self.answer(files[file], ETag=f'"{len(file)}"', X_Repo_Commit=commit)
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


FETCH = """
import sys
from mindgap.data.hub import fetch_snapshot
from mindgap.runtime.errors import UserError
try:
    print(fetch_snapshot("owner/set", sys.argv[1], sys.argv[2], ["data/test-*"]))
except UserError as error:
    print(error)
"""


def test_a_snapshot_is_fetched_once_and_listed(tmp_path, hub_files):
    import subprocess
    import sys

    folder, images, _ = hub_files
    server = HTTPServer(("127.0.0.1", 0), Hub)
    server.seen, server.name = [], "owner/set"
    parquet = (folder / "data/test-00000-of-00001.parquet").read_bytes()
    server.files = {
        "README.md": b"# a set\n",
        "data/test-00000-of-00001.parquet": parquet,
        "data/train-00000-of-00001.parquet": b"not asked for",
    }
    threading.Thread(target=server.serve_forever, daemon=True).start()
    manifest = tmp_path / "data/hub/owner--set@v1.json"
    env = os.environ | {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
    }

    def fetch(revision):
        done = subprocess.run(
            [sys.executable, "-c", FETCH, revision, str(manifest)],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip().splitlines()[-1]

    try:
        assert "could not be fetched" in fetch("nope")
        assert not manifest.exists()
        assert fetch("v1") == "1234567890" * 4
    finally:
        server.shutdown()
        server.server_close()
    listed = json.loads(manifest.read_text())
    assert list(listed["files"]) == ["data/test-00000-of-00001.parquet"]
    assert listed["files"]["data/test-00000-of-00001.parquet"]["bytes"] == len(parquet)
    definition = {
        "kind": "huggingface",
        "path": str(manifest),
        "split": "test",
        "fields": {"image": "picture", "text": "captions"},
    }
    rows, _, _ = build(tmp_path, definition)
    assert next(iter(rows.values()))["image"] == images[0]


def test_a_mirror_folder_serves_snapshots(tmp_path, hub_files):
    folder, _, _ = hub_files
    copy = tmp_path / "mirror/hub/owner--set@v1"
    copy.parent.mkdir(parents=True)
    folder.rename(copy)
    manifest = tmp_path / "data/hub/owner--set@v1.json"
    fetch_snapshot("owner/set", "v1", manifest, mirror=str(tmp_path / "mirror"))
    assert json.loads(manifest.read_text())["files"].keys() == {"data/test-00000-of-00001.parquet"}
