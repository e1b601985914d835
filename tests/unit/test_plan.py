"""The plan of a run: jobs read from a dry run, time from earlier runs, bytes from the sources."""

import pytest

from mindgap.config import read_yaml
from mindgap.report.plan import (
    Job,
    count_items,
    duration,
    estimate,
    human,
    list_downloads,
    list_storage,
    read_benchmarks,
    write_plan,
)
from tests.samples import resolve

JOBS = [
    Job("fetch_source", {"source": "cifar10", "filename": "cifar-10-binary.tar.gz"}),
    Job("build_pairs", {"run": "x", "dataset": "cifar10"}),
    Job("embed_pairs", {"run": "x", "model": "small_s0", "dataset": "cifar10"}),
    Job("embed_pairs", {"run": "x", "model": "large_s0", "dataset": "cifar10"}),
]


@pytest.fixture
def table(root):
    return read_yaml(root / "workflow/sources.yaml")


@pytest.fixture
def run():
    overlay = {
        "run": "x",
        "select": {"datasets": ["cifar10", "memes"], "models": ["small"], "chapters": []},
        "datasets": {
            "cifar10": {"kind": "cifar10", "split": "test"},
            "memes": {"kind": "hateful_memes", "split": "dev_seen", "items": 100},
        },
        "models": {
            "small": {
                "kind": "clip",
                "architecture": "tiny",
                "weights": "random",
                "seeds": [0],
                "captions": "all",
                "batch_size": 4,
            }
        },
    }
    return resolve(overlay)


def test_downloads_say_what_how_much_and_on_what_terms(run, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cifar, memes = list_downloads(run, table)
    assert (cifar["bytes"], cifar["state"]) == (170052171, "to download")
    assert memes["state"] == "obtain it yourself"
    assert "Hateful Memes Challenge" in memes["obtain"]
    (tmp_path / "data/cifar10").mkdir(parents=True)
    (tmp_path / "data/cifar10/cifar-10-binary.tar.gz").touch()
    assert list_downloads(run, table)[0]["state"] == "is there"


def test_items_are_the_published_ones_unless_fewer_are_asked_for(run, table, tmp_path):
    absent = tmp_path / "none.parquet"
    assert count_items(run.sets["cifar10"], table, absent) == 10000
    assert count_items(run.sets["memes"], table, absent) == 100
    assert count_items({"kind": "webdataset", "shards": "x.tar"}, table, absent) is None
    own = {"kind": "cifar10", "split": "test", "files": {"cifar-10-binary.tar.gz": "mine"}}
    assert count_items(own, table, absent) == 10000


def test_a_fixed_part_does_not_grow():
    known = {"embed_pairs": [("small_s0", 11.0, 100), ("small_s0", 20.0, 1000)]}
    jobs = [job for job in JOBS if job.wildcards.get("model") == "small_s0"]
    plan = estimate(jobs, {"cifar10": 10000}, known)
    assert plan["embed_pairs"]["seconds"] == pytest.approx(11 + 9 * 10)


def test_time_grows_with_items_and_prefers_the_same_model():
    known = {
        "embed_pairs": [("small_s0", 10.0, 500), ("large_s0", 80.0, 500)],
        "build_pairs": [("", 3.0, None)],
    }
    plan = estimate(JOBS, {"cifar10": 10000}, known)
    assert plan["embed_pairs"]["seconds"] == pytest.approx((8 + 78) * 20 + 4)
    assert plan["build_pairs"]["seconds"] == 3
    assert plan["fetch_source"] == {"jobs": 1, "seconds": 0.0, "unknown": 1, "basis": 0}


def test_benchmarks_of_earlier_runs_are_read_with_their_items(tmp_path):
    from mindgap.data.pairs import write_pairs

    folder = tmp_path / "old/benchmarks/embed_pairs/m"
    folder.mkdir(parents=True)
    (folder / "d.tsv").write_text("s\th:m:s\n12.5\t0:00:12\n")
    (tmp_path / "old/benchmarks/plot_cosines.tsv").write_text("s\th:m:s\n2\t0:00:02\n")
    write_pairs(tmp_path / "old/pairs/d.parquet", [{"id": ["a", "b", "c"]}])
    assert read_benchmarks(tmp_path) == {
        "embed_pairs": [("m", 12.5, 3)],
        "plot_cosines": [("", 2.0, None)],
    }


def test_storage_counts_what_is_still_to_be_written(run, table):
    items = {"cifar10": 10000, "memes": 100}
    stored = list_storage(run, table, items, JOBS)
    assert stored == {"pairs": 170052171, "embeddings": 10000 * 2 * 4 * 512}
    assert list_storage(run, table, items, []) == {"pairs": 0, "embeddings": 0}


def test_the_plan_is_one_page(run, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = write_plan(JOBS, run, table, tmp_path / "results")
    assert "170 MB  cifar10/cifar-10-binary.tar.gz  (to download; none stated" in text
    assert "170 MB  to download in 1 files" in text
    assert "put it at data/hateful-memes/hateful_memes.zip" in text
    assert "unknown     2 x embed_pairs  (none timed so far)" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(999, "999 B"), (1234567, "1.2 MB"), (19336861798, "19.3 GB"), (None, "unknown")],
)
def test_sizes(value, text):
    assert human(value) == text


def test_lengths():
    assert [duration(s) for s in (12, 600, 7200)] == ["12 s", "10 min", "2.0 h"]
