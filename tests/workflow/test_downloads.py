"""Downloads within the workflow: once for all runs and models, and a sentence where none is possible."""

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import yaml

from tests.unit.test_data_sets import pack_tar

CONFIG = """
run: {run}
select: {{datasets: [small], models: [{model}]}}
datasets:
  small: {{kind: cifar10, split: test}}
models:
  {model}:
    kind: clip
    architecture: tiny
    weights: random
    seeds: [{seed}]
    captions: first
    batch_size: 16
"""


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append(self.path)
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def served(tmp_path, make_house):
    """A copy of the project whose CIFAR-10 comes from a server of its own: 30 pictures."""
    house = make_house(tmp_path / "house")
    records = np.random.default_rng(0).integers(0, 10, (30, 3073), dtype=np.uint8)
    (tmp_path / "web").mkdir()
    pack_tar(tmp_path / "web/cifar-10-binary.tar.gz", {"x/test_batch.bin": records.tobytes()})
    handler = functools.partial(Handler, directory=tmp_path / "web")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    table = house.path / "workflow/sources.yaml"
    sources = yaml.safe_load(table.read_text())
    sources["cifar10"]["address"] = f"http://127.0.0.1:{server.server_port}/"
    sources["cifar10"]["files"]["cifar-10-binary.tar.gz"] = {"bytes": None, "sha256": None}
    table.write_text(yaml.safe_dump(sources))
    yield house, server
    server.shutdown()
    server.server_close()


def embed(house, run, model, seed, *args):
    (house.path / f"{run}.yaml").write_text(CONFIG.format(run=run, model=model, seed=seed))
    target = f"results/{run}/embeddings/{model}_s{seed}/small.safetensors"
    env = {"MINDGAP_MIRROR": ""}
    return house.snakemake(f"{run}.yaml", *args, "--", target, env=env)


def test_nothing_is_downloaded_twice(served):
    house, server = served
    embed(house, "one", "tiny", 0)
    assert server.seen == ["/cifar-10-binary.tar.gz"]
    assert (house.path / "data/cifar10/cifar-10-binary.tar.gz.sha256").exists()
    embed(house, "two", "other", 1)
    # Better words in the table of sources, or better code in the rule, fetch nothing again either.
    table = house.path / "workflow/sources.yaml"
    table.write_text(table.read_text().replace("none stated", "none given") + "# a remark\n")
    module = house.path / "src/mindgap/data/download.py"
    module.write_text(module.read_text().replace("_TRIES = 3", "_TRIES = 4"))
    done = embed(house, "one", "tiny", 0, "-n")
    assert "fetch_source" not in done.both
    assert server.seen == ["/cifar-10-binary.tar.gz"]
    embed(house, "one", "tiny", 0, "-F")
    assert server.seen == ["/cifar-10-binary.tar.gz"]
    # A reader is hashed by its own module: an edit of it rebuilds the set from the file at hand.
    module = house.path / "src/mindgap/data/labelled.py"
    module.write_text(module.read_text().replace("labels + 3072", "3072 + labels"))
    done = embed(house, "one", "tiny", 0, "-n")
    assert "build_pairs" in done.both
    assert "fetch_source" not in done.both


def test_a_set_behind_an_account_ends_in_one_sentence(make_house, tmp_path):
    house = make_house(tmp_path / "house")
    (house.path / "memes.yaml").write_text(
        "run: memes\nselect: {datasets: [memes], models: [vitb32_random]}\n"
        "datasets:\n  memes: {kind: hateful_memes, split: dev_seen}\n"
    )
    target = "results/memes/pairs/memes.parquet"
    done = house.snakemake("memes.yaml", "--", target, check=False, env={"MINDGAP_MIRROR": ""})
    assert done.returncode != 0
    (line,) = {x for x in done.both.splitlines() if x.startswith("error: ")}
    assert "hateful-memes/hateful_memes.zip is not downloaded: accept the licence" in line
    assert "a zip without password, or a folder, with img/*.png" in line
    assert not (house.path / target).exists()


def test_a_folder_in_the_place_of_an_archive(make_house, tmp_path, root):
    """What was obtained by hand may lie unpacked where the archive would be."""
    from tests.samples import picture

    house = make_house(tmp_path / "house")
    folder = house.path / "data/hateful-memes/hateful_memes.zip"
    (folder / "img").mkdir(parents=True)
    lines = []
    for i in range(3):
        (folder / f"img/{i}.png").write_bytes(picture(seed=i))
        lines.append(f'{{"id": {i}, "img": "img/{i}.png", "label": {i % 2}, "text": "text {i}"}}')
    (folder / "dev_seen.jsonl").write_text("\n".join(lines))
    (house.path / "memes.yaml").write_text(
        "run: memes\nselect: {datasets: [memes], models: [vitb32_random]}\n"
        "datasets:\n  memes: {kind: hateful_memes, split: dev_seen}\n"
    )
    target = "results/memes/pairs/memes.parquet"
    env = {"MINDGAP_MIRROR": ""}
    house.snakemake("memes.yaml", "--", target, env=env)
    # Nothing that a user brought is ever deleted, not even when everything is made anew.
    house.snakemake("memes.yaml", "-F", "--", target, env=env)
    assert (folder / "img/2.png").exists()
    # Another picture in the folder is another set.
    (folder / "img/3.png").write_bytes(picture(seed=3))
    done = house.snakemake("memes.yaml", "-n", "--", target, env=env)
    assert "build_pairs" in done.both
    assert "items out" in (house.path / "results/memes/logs/build_pairs/memes.log").read_text()
