"""The round trip over a folder, SSH and S3: push, clone, pull, nothing to be done; and what two
commits, the links of a user's cache, and the profile for Kubernetes do."""

import hashlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.remotes import sftp
from tests.workflow.conftest import House
from tests.workflow.test_runs import SMOKE, tables

GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
KEYS = {
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_DEFAULT_REGION": "us-east-1",
}
NEIGHBOURS = {"project_pairs": 1, "collect_tables": 1, "plot_projection": 2, "save_config": 1}
NEIGHBOURS |= {"record_run": 1, "check_scorecard": 1}


class Remote:
    """Where artifacts go: its DVC options, and how a test spoils the largest object there."""

    def __init__(self, url, options, spoil):
        self.url, self.options, self.spoil = url, {"verify": "true", **options}, spoil

    def add(self, house):
        house.run("dvc", "remote", "add", "-d", "--local", "store", self.url)
        for key, value in self.options.items():
            house.run("dvc", "remote", "modify", "--local", "store", key, value)


def spoil_in(folder):
    def spoil():
        """Change the last byte of the largest object; return what puts it back."""
        files = [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".dir"]
        path = max(files, key=lambda p: p.stat().st_size)
        keep, mode = path.read_bytes(), path.stat().st_mode
        path.chmod(mode | stat.S_IWUSR)
        path.write_bytes(keep[:-1] + bytes([keep[-1] ^ 1]))
        return lambda: path.write_bytes(keep)

    return spoil


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    return Remote(str(folder), {}, spoil_in(folder))


@pytest.fixture(scope="module")
def ssh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sftp")
    command = [sys.executable, sftp.__file__, str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = server.stdout.readline().strip()
        options = {"user": sftp.USER, "password": sftp.PASSWORD, "port": port}
        yield Remote("ssh://127.0.0.1/store", options, spoil_in(folder))
    finally:
        server.kill()


@pytest.fixture(scope="module")
def s3():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, "the S3 server did not start"
            time.sleep(0.1)
        import boto3

        where = {"endpoint_url": address, "region_name": "us-east-1"}
        client = boto3.client("s3", aws_access_key_id="any", aws_secret_access_key="any", **where)
        client.create_bucket(Bucket="mindgap")

        def spoil():
            found = client.list_objects_v2(Bucket="mindgap")["Contents"]
            found = [one for one in found if not one["Key"].endswith(".dir")]
            key = max(found, key=lambda one: one["Size"])["Key"]
            keep = client.get_object(Bucket="mindgap", Key=key)["Body"].read()
            client.put_object(Bucket="mindgap", Key=key, Body=keep[:-1] + bytes([keep[-1] ^ 1]))
            return lambda: client.put_object(Bucket="mindgap", Key=key, Body=keep)

        yield Remote("s3://mindgap/store", {"endpointurl": address}, spoil)
    finally:
        server.kill()


def make(house, *words):
    """Call make as a user does who has not entered the environment; set-up is done already."""
    start = time.monotonic()
    env = {**os.environ, **KEYS, "PATH": os.defpath, "PYTHONPATH": str(house.path / "src")}
    done = subprocess.run(
        ["make", "-o", "setup", *words, f"VENV={sys.prefix}"],
        cwd=house.path,
        env=env,
        text=True,
        capture_output=True,
    )
    done.both, done.seconds = done.stdout + done.stderr, time.monotonic() - start
    return done


def commit(house, message):
    house.run(*GIT, "add", "-A")
    house.run(*GIT, "commit", "-qm", message)


@pytest.fixture(scope="module")
def recorded(root, tmp_path_factory):
    """A clone whose smoke run is made, recorded and committed."""
    house = House(root, tmp_path_factory.mktemp("recorded"))
    house.run("git", "init", "-q")
    dvc = house.path / "dvc.yaml"
    line = '  - {run: embedded, options: ""}\n'
    assert line in dvc.read_text()
    other = f"  - {{run: smoke, options: --configfile {SMOKE}}}\n"
    dvc.write_text(dvc.read_text().replace(line, other))
    house.run("dvc", "repro")
    commit(house, "a run")
    return house


def clone(recorded, folder):
    subprocess.run(["git", "clone", "-q", str(recorded.path), str(folder)], check=True)
    house = House.__new__(House)
    house.path = folder
    return house


@pytest.fixture(scope="module", params=["local", "ssh", "s3"])
def pushed(recorded, request):
    """The same after `make push` to a remote of each kind."""
    remote = request.getfixturevalue(request.param)
    local = recorded.path / ".dvc/config.local"
    local.unlink(missing_ok=True)
    remote.add(recorded)
    done = make(recorded, "push")
    assert done.returncode == 0, done.both[-3000:]
    assert "files pushed" in done.both
    assert not recorded.run("git", "status", "--porcelain").stdout
    recorded.times = {"push": done.seconds}
    recorded.kind = request.param
    return recorded, remote


def test_a_second_clone_has_nothing_to_do_and_an_edit_its_dependants(pushed, tmp_path, capsys):
    recorded, remote = pushed
    house = clone(recorded, tmp_path / "clone")
    remote.add(house)
    done = make(house, "pull")
    assert done.returncode == 0, done.both[-3000:]
    assert tables(house) == tables(recorded)
    assert "Nothing to be done" in house.snakemake(SMOKE, "-n").both
    assert "files as recorded" in make(house, "check", f"CONFIG={SMOKE}").both
    assert not house.run("git", "status", "--porcelain").stdout
    with capsys.disabled():
        times = {**recorded.times, "pull": done.seconds}
        print(f"\n{recorded.kind}:", ", ".join(f"{k} {v:.1f} s" for k, v in times.items()))
    config = house.path / SMOKE
    config.write_text(config.read_text().replace("neighbours: 5", "neighbours: 6"))
    assert house.plan(SMOKE) == NEIGHBOURS


def test_the_tables_alone(pushed, tmp_path, capsys):
    recorded, remote = pushed
    house = clone(recorded, tmp_path / "tables")
    remote.add(house)
    done = make(house, "pull", "ONLY=tables")
    assert done.returncode == 0, done.both[-3000:]
    assert (house.path / "results/smoke/gap/gap.csv").exists()
    assert not (house.path / "results/smoke/embeddings").exists()
    check = make(house, "check", f"CONFIG={SMOKE}")
    assert check.returncode != 0
    assert "is missing; pull it" in check.both
    check = make(house, "check", f"CONFIG={SMOKE}", "ARGS=--partial")
    assert check.returncode == 0, check.both
    assert "not here" in check.both
    with capsys.disabled():
        print(f"\n{recorded.kind}: pull of the tables {done.seconds:.1f} s")


def test_bytes_that_changed_in_the_store_are_refused(pushed, tmp_path):
    recorded, remote = pushed
    mend = remote.spoil()
    try:
        house = clone(recorded, tmp_path / "changed")
        remote.add(house)
        done = make(house, "pull")
        assert done.returncode != 0
        assert "ERROR" in done.both
    finally:
        mend()
    assert make(house, "pull").returncode == 0
    assert tables(house) == tables(recorded)


def test_a_clone_without_a_remote_is_told_so(recorded, tmp_path):
    done = make(clone(recorded, tmp_path / "none"), "pull")
    assert done.returncode != 0
    assert "no remote" in done.both.lower()


def test_two_commits_differ_in_scorecard_and_gap(recorded, tmp_path):
    """Two recorded runs with another parameter: `dvc metrics diff`, `dvc plots diff`."""
    house = clone(recorded, tmp_path / "diff")
    house.run("dvc", "cache", "dir", "--local", str(recorded.path / ".dvc/cache"))
    house.run("dvc", "checkout")
    config = house.path / SMOKE
    text = config.read_text()
    for old, new in (
        ("digits: {items: 40}", "digits: {items: 30}"),
        ("  theorems:\n", "  theorems:\n    cap: {cosine: 0.6}\n"),
    ):
        assert old in text
        text = text.replace(old, new)
    config.write_text(text)
    house.run("dvc", "repro")
    commit(house, "another run")
    shown = house.run("dvc", "metrics", "diff", "HEAD~1", "HEAD", "--json").stdout
    found = json.loads(shown)["results/smoke/metrics.json"]
    assert all(key.startswith(("claims.", "measured.")) for key in found)
    cap = found["measured.mtg-sec2-cap-2d"]  # share of a circle within the cone
    assert cap["old"] == pytest.approx(np.arccos(0.56) / np.pi / 2, rel=1e-6)
    assert cap["new"] == pytest.approx(np.arccos(0.6) / np.pi / 2, rel=1e-6)
    shown = house.run("dvc", "plots", "diff", "HEAD~1", "HEAD", "--json").stdout
    (gap,) = json.loads(shown)["data"]["gap by model and data set"]
    rows = gap["content"]["data"]["values"]
    gaps = {(row["rev"], row["model"], row["dataset"]): row["gap"] for row in rows}
    revs = {rev for rev, _, _ in gaps}
    assert revs == {"HEAD~1", "HEAD"}
    same = {key[1:] for key in gaps if gaps[("HEAD", *key[1:])] == gaps[("HEAD~1", *key[1:])]}
    assert {dataset for _, dataset in {key[1:] for key in gaps} - same} == {"digits"}
    (claims,) = json.loads(shown)["data"]["claims"]
    assert {row["rev"] for row in claims["content"]["data"]["values"]} == revs


def objects(house):
    """Each object of the cache: its own name, and the name that its bytes give."""
    folder = house.path / ".dvc/cache/files/md5"
    for path in folder.glob("*/*"):
        name = path.parent.name + path.name.removesuffix(".dir")
        yield name, hashlib.md5(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", ["hardlink", "symlink", "copy"])
def test_no_link_type_of_a_user_lets_bytes_into_the_cache(recorded, tmp_path, kind):
    """After a pull and an edit a run by Snakemake alone works, and the cache stays as it was."""
    house = clone(recorded, tmp_path / kind)
    shutil.copytree(recorded.path / ".dvc/cache", house.path / ".dvc/cache")
    before = sorted(objects(house))
    assert all(name == found for name, found in before)
    house.run("dvc", "config", "--local", "cache.type", kind)
    house.run("dvc", "checkout", "--relink")
    table = house.path / "results/smoke/gap/projection.csv"
    assert table.is_symlink() == (kind == "symlink")
    assert (table.stat().st_nlink > 1) == (kind == "hardlink")
    assert "Nothing to be done" in house.snakemake(SMOKE, "-n").both
    config = house.path / SMOKE
    config.write_text(config.read_text().replace("neighbours: 5", "neighbours: 6"))
    house.snakemake(SMOKE)
    model = "results/smoke/checkpoints/temperature_1_s0/model.safetensors"
    house.snakemake(SMOKE, "--forcerun", "train_model", "--", model)
    assert sorted(objects(house)) == before
    house.run("dvc", "repro")
    assert all(name == found for name, found in objects(house))
    assert set(before) < set(objects(house))
    # The run is the one of the edit, and nothing of it was lost.
    assert "Nothing to be done" in house.snakemake(SMOKE, "-n").both
    assert tables(house)["gap/projection.csv"] != tables(recorded)["gap/projection.csv"]


def test_the_profile_for_kubernetes_plans_the_run(root, s3, tmp_path):
    """With an empty bucket: what belongs to the code is not looked for there."""
    house = House(root, tmp_path)
    secrets = {f"SNAKEMAKE_STORAGE_S3_{key}": "any" for key in ("ACCESS_KEY", "SECRET_KEY")}
    done = house.run(
        "snakemake",
        "--workflow-profile",
        "profiles/kubernetes",
        "--default-storage-prefix",
        "s3://mindgap/run",
        "--storage-s3-endpoint-url",
        s3.options["endpointurl"],
        "--configfile",
        SMOKE,
        "-n",
        env={**KEYS, **secrets},
    )
    assert "train_model" in done.both
