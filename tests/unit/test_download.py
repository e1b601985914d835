import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from jsonschema import Draft202012Validator

from mindgap.config import read_yaml
from mindgap.data.download import fetch
from mindgap.data.sources import Source, find_source
from mindgap.runtime.errors import UserError

BODY = b"mind the gap\n" * 1000
SUM = hashlib.sha256(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append(self.path)
        if self.path.endswith("missing"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[:100] if self.path.endswith("short") else BODY)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.base = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    server.server_close()


def wanted(server, path="file.npy", sha256=SUM, size=len(BODY)):
    return Source("set", "file.npy", f"{server.base}/{path}", sha256, size)


def refuse(tmp_path, source, mirror=None):
    target = tmp_path / "data/set/file.npy"
    with pytest.raises(UserError) as error:
        fetch(source, target, mirror)
    assert not list(target.parent.iterdir()), "something was left behind"
    assert "\n" not in str(error.value)
    return str(error.value)


def test_own_address(tmp_path, server):
    target = tmp_path / "set/file.npy"
    assert fetch(wanted(server), target) == f"{server.base}/file.npy"
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("name", ["set/file.npy", SUM])
def test_mirror_folder_goes_first(tmp_path, server, name):
    copy = tmp_path / "mirror" / name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(BODY)
    fetch(wanted(server), tmp_path / "out/file.npy", str(tmp_path / "mirror"))
    assert server.seen == []
    assert (tmp_path / "out/file.npy").read_bytes() == BODY


def test_mirror_address_goes_first(tmp_path, server):
    source = Source("set", "file.npy", "http://127.0.0.1:9/file.npy", SUM, None)
    fetch(source, tmp_path / "file.npy", server.base + "/m/")
    assert server.seen == ["/m/set/file.npy"]


def test_mirror_without_the_file_falls_back(tmp_path, server):
    fetch(wanted(server), tmp_path / "file.npy", str(tmp_path))
    assert server.seen == ["/file.npy"]


def test_wrong_checksum_names_both_sums(tmp_path, server):
    message = refuse(tmp_path, wanted(server, sha256="0" * 64))
    assert "0" * 64 in message
    assert SUM in message


def test_truncated_file_in_a_mirror(tmp_path, server):
    copy = tmp_path / "mirror/set/file.npy"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(BODY[:100])
    message = refuse(tmp_path, wanted(server), str(tmp_path / "mirror"))
    assert "100 bytes in place of 13,000: a truncated download?" in message


def test_truncated_download(tmp_path, server):
    assert "the download broke off" in refuse(tmp_path, wanted(server, "short"))
    assert len(server.seen) == 3, "a broken download is tried again"


def test_mirror_without_the_file_and_no_network(tmp_path):
    source = Source("set", "file.npy", "http://127.0.0.1:9/file.npy", SUM, None)
    message = refuse(tmp_path, source, str(tmp_path / "mirror"))
    assert "no such file" in message
    assert "no connection" in message
    assert "MINDGAP_MIRROR" in message


def test_missing_at_the_publisher(tmp_path, server):
    assert "HTTP status 404" in refuse(tmp_path, wanted(server, "missing"))


def test_unknown_checksum_is_recorded_and_then_checked(tmp_path, server):
    target = tmp_path / "set/file.npy"
    fetch(wanted(server, sha256=None, size=None), target)
    assert target.with_name("file.npy.sha256").read_text() == f"{SUM}  file.npy\n"
    copy = tmp_path / "mirror/set/file.npy"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(BODY[::-1])
    target.unlink()
    with pytest.raises(UserError, match=SUM):
        fetch(wanted(server, sha256=None, size=None), target, str(tmp_path / "mirror"))
    assert not target.exists()


def test_a_publishers_md5_is_checked_and_the_sha256_recorded(tmp_path, server):
    target = tmp_path / "data/set/file.npy"
    md5 = hashlib.md5(BODY).hexdigest()
    fetch(replace(wanted(server, sha256=None), md5=md5), target)
    assert target.with_name("file.npy.sha256").read_text().split()[0] == SUM
    other = tmp_path / "other"
    other.mkdir()
    assert "expected md5 " + "0" * 32 in refuse(
        other, replace(wanted(server, sha256=None), md5="0" * 32)
    )


def test_a_file_behind_an_account_says_what_to_do(tmp_path):
    source = Source("set", "a.zip", None, None, None, obtain="ask them", layout="a zip of x")
    sentence = refuse(tmp_path, source)
    assert "set/a.zip is not downloaded: ask them; put it at" in sentence
    assert "data/set/file.npy (a zip of x), or into a mirror folder as set/a.zip" in sentence
    (tmp_path / "mirror/set").mkdir(parents=True)
    (tmp_path / "mirror/set/a.zip").write_bytes(BODY)
    target = tmp_path / "data/set/a.zip"
    fetch(source, target, str(tmp_path / "mirror"))
    assert target.read_bytes() == BODY


def test_what_is_there_is_verified_and_kept(tmp_path, server):
    target, record = tmp_path / "data/set/file.npy", tmp_path / "record"
    fetch(wanted(server), target, record=record)
    assert record.read_text().split() == [SUM, str(target)]
    fetch(wanted(server), target, record=record)
    assert server.seen == ["/file.npy"]
    target.write_bytes(b"mine")
    with pytest.raises(UserError, match="delete it or put a whole copy there"):
        fetch(wanted(server), target)
    assert target.read_bytes() == b"mine"


def test_a_folder_may_stand_for_a_file(tmp_path):
    source = Source("set", "files", None, None, None, obtain="ask them")
    (tmp_path / "mirror/set/files").mkdir(parents=True)
    (tmp_path / "mirror/set/files/a.jpg").write_bytes(BODY)
    target = tmp_path / "data/set/files"
    fetch(source, target, str(tmp_path / "mirror"), tmp_path / "record")
    assert (target / "a.jpg").read_bytes() == BODY
    assert (tmp_path / "record").read_text().startswith("folder")
    fetch(source, target, None, tmp_path / "record")


def test_rows_of_sources_are_complete(root):
    sources = read_yaml(root / "workflow/sources.yaml")
    validator = Draft202012Validator(read_yaml(root / "workflow/schemas/sources.schema.yaml"))
    assert [error.message for error in validator.iter_errors(sources)] == []
    for name, source in sources.items():
        for file in source["files"]:
            row = find_source(sources, name, file)
            assert (row.url is None) == (row.obtain is not None), f"{name}/{file}"
    with pytest.raises(UserError, match="no file"):
        find_source(sources, "mind-the-gap-features", "nope.npy")
