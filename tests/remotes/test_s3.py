"""The round trip over S3: push, clone, pull, nothing to be done; and the profile for Kubernetes."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from tests.workflow.conftest import House
from tests.workflow.test_runs import SMOKE, tables

KEYS = {
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="module")
def server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "the S3 server did not start"
            time.sleep(0.1)
        import boto3

        where = {"endpoint_url": address, "region_name": "us-east-1"}
        boto3.client(
            "s3", aws_access_key_id="any", aws_secret_access_key="any", **where
        ).create_bucket(Bucket="mindgap")
        yield address
    finally:
        process.kill()


@pytest.fixture(scope="module")
def pushed(root, server, tmp_path_factory):
    """A clone whose smoke run is recorded, committed and pushed."""
    house = House(root, tmp_path_factory.mktemp("pushed"))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["git", "init", "-q"], ["dvc", "init", "-q", "-f"]):
        house.run(*command)
    dvc = house.path / "dvc.yaml"
    line = '  - {run: embedded, options: ""}\n'
    dvc.write_text(
        dvc.read_text().replace(line, f"  - {{run: smoke, options: --configfile {SMOKE}}}\n")
    )
    house.run("dvc", "config", "core.analytics", "false")
    house.run("dvc", "remote", "add", "-d", "store", "s3://mindgap/store")
    house.run("dvc", "remote", "modify", "store", "endpointurl", server)
    house.run("dvc", "remote", "modify", "store", "verify", "true")
    house.run("dvc", "repro")
    house.run(*git, "add", "-A")
    house.run(*git, "commit", "-qm", "a run")
    house.run("dvc", "push", env=KEYS)
    return house


def clone(pushed, folder):
    subprocess.run(["git", "clone", "-q", str(pushed.path), str(folder)], check=True)
    house = House.__new__(House)
    house.path = folder
    return house


def test_a_second_clone_has_nothing_to_do_and_an_edit_its_dependants(pushed, tmp_path):
    house = clone(pushed, tmp_path / "clone")
    house.run("dvc", "pull", env=KEYS)
    assert tables(house) == tables(pushed)
    assert "Nothing to be done" in house.snakemake(SMOKE, "-n").both
    assert (
        "files as recorded"
        in house.run(sys.executable, "-m", "mindgap.report.record", "results/smoke").both
    )
    config = house.path / SMOKE
    config.write_text(config.read_text().replace("neighbours: 5", "neighbours: 6"))
    assert house.plan(SMOKE) == {
        "project_pairs": 1,
        "plot_projection": 2,
        "save_config": 1,
        "record_run": 1,
    }


def test_the_tables_alone(pushed, tmp_path):
    house = clone(pushed, tmp_path / "tables")
    outs = house.run(
        sys.executable,
        "-m",
        "mindgap.report.outs",
        "dvc.yaml",
        "pairs",
        "embeddings",
        "checkpoints",
    ).stdout.split()
    house.run("dvc", "pull", *outs, env=KEYS)
    assert (house.path / "results/smoke/gap/gap.csv").exists()
    assert not (house.path / "results/smoke/embeddings").exists()
    check = (sys.executable, "-m", "mindgap.report.record", "results/smoke")
    assert house.run(*check, check=False).returncode == 1
    assert "not here" in house.run(*check, "--partial").both


def test_metrics_differ_between_two_commits(pushed, tmp_path):
    house = clone(pushed, tmp_path / "diff")
    house.run("dvc", "pull", env=KEYS)
    path = house.path / "results/smoke/metrics.json"
    path.chmod(0o644)
    found = json.loads(path.read_text())
    found["claims"]["differs"] += 1
    path.write_text(json.dumps(found))
    shown = json.loads(house.run("dvc", "metrics", "diff", "--json").stdout)
    one = shown["results/smoke/metrics.json"]["claims.differs"]
    assert one["new"] - one["old"] == 1


def test_bytes_that_changed_in_the_store_are_refused(pushed, server, tmp_path):
    import boto3

    s3 = boto3.client(
        "s3",
        endpoint_url=server,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    keys = [o for o in s3.list_objects_v2(Bucket="mindgap")["Contents"] if o["Size"] > 1000]
    name = next(o["Key"] for o in keys if not o["Key"].endswith(".dir"))
    keep = s3.get_object(Bucket="mindgap", Key=name)["Body"].read()
    try:
        s3.put_object(Bucket="mindgap", Key=name, Body=keep[:-1] + b"?")
        house = clone(pushed, tmp_path / "changed")
        done = house.run("dvc", "pull", check=False, env=KEYS)
        assert done.returncode != 0
    finally:
        s3.put_object(Bucket="mindgap", Key=name, Body=keep)


def test_the_profile_for_kubernetes_plans_the_run(root, tmp_path):
    house = House(root, tmp_path)
    secrets = {f"SNAKEMAKE_STORAGE_S3_{key}": "any" for key in ("ACCESS_KEY", "SECRET_KEY")}
    done = house.run(
        "snakemake",
        "--workflow-profile",
        "profiles/kubernetes",
        "--default-storage-prefix",
        "s3://mindgap/run",
        "--configfile",
        SMOKE,
        "-n",
        env={**os.environ, **secrets},
        check=False,
    )
    assert done.returncode == 0, done.both[-3000:]
    assert "train_model" in done.both
