"""The plan of a run: jobs read from a dry run, time from earlier runs, bytes from the sources."""

import pytest

from mindgap.config import read_yaml
from mindgap.report.lengths import Past, estimate, length_of, read_benchmarks
from mindgap.report.online import ask_sizes
from mindgap.report.plan import (
    Job,
    count_items,
    duration,
    human,
    list_downloads,
    list_storage,
    write_plan,
)
from mindgap.report.rates import Rate, gpu_rate, probe
from mindgap.report.work import Work, transformer, work_of
from mindgap.runtime.errors import UserError
from tests.samples import resolve

JOBS = [
    Job("fetch_source", {"source": "cifar10", "filename": "cifar-10-binary.tar.gz"}),
    Job("build_pairs", {"run": "x", "dataset": "cifar10"}),
    Job("embed_pairs", {"run": "x", "model": "small_s0", "dataset": "cifar10"}),
    Job("embed_pairs", {"run": "x", "model": "small_s0", "dataset": "cifar10"}),
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


RATE = Rate(1e9, 2e9, 4e9, "a slow one", 0.1, True)


def test_a_fixed_part_does_not_grow():
    known = {"measure_gap": [Past("m", 11.0, 100), Past("m", 20.0, 1000)]}
    found = length_of(Job("measure_gap", {"model": "m"}), None, 10000, known, RATE)
    assert found.seconds == pytest.approx(11 + 9 * 10)
    assert found.low < found.seconds < found.high


def test_time_grows_with_items_and_prefers_the_same_model():
    known = {"measure_gap": [Past("small_s0", 10.0, 500), Past("large_s0", 80.0, 500)]}
    for model, seconds in (("small_s0", 2 + 8 * 20), ("large_s0", 2 + 78 * 20)):
        job = Job("measure_gap", {"model": model, "dataset": "d"})
        assert length_of(job, None, 10000, known, RATE).seconds == pytest.approx(seconds)


def test_a_networks_job_takes_its_operations_at_the_rate_and_its_steps():
    work = Work(40e9, 100, "the arithmetic")
    found = length_of(Job("train_model", {}), work, None, {}, RATE)
    fixed = 6 + 100 * 0.1
    assert (found.low, found.seconds, found.high) == (fixed + 10, fixed + 20, fixed + 40)
    assert found.words == "the arithmetic"
    # A toy network tells how long the start takes.
    toy = Past("", 9.0, None, Work(2.0, 100, ""))
    found = length_of(Job("train_model", {}), work, None, {"train_model": [toy]}, RATE)
    assert found.seconds == pytest.approx(9 + 10 + 20)
    # One of the same size per step tells everything, and a GPU is not judged by this machine.
    same = Past("", 12.0, None, Work(4e9, 10, ""))
    known = {"train_model": [toy, same]}
    assert length_of(Job("train_model", {}), work, None, known, RATE).seconds == pytest.approx(102)
    fast = gpu_rate("A100")
    assert length_of(Job("train_model", {}), work, None, known, fast).seconds < 12


def test_what_is_unknown_is_in_no_sum(run):
    items = {"cifar10": 10000, "memes": 100}
    plan = estimate(JOBS, run, items, {}, {"build_pairs": [Past("", 3.0, None)]}, RATE)
    assert plan["build_pairs"]["seconds"] == 3
    assert plan["fetch_source"]["unknown"] == plan["fetch_source"]["jobs"] == 1
    assert plan["fetch_source"]["seconds"] == 0


def test_work_is_parameters_times_tokens_times_items_times_steps():
    tower = transformer(12, 768, 197)
    assert tower.parameters == pytest.approx(85e6, rel=0.01)
    paper = resolve("paper")
    items = {"mscoco_val": 5000, "cifar10": 10000, "mscoco_50k": 50000}
    first = next(name for name in paper.trainings if name.startswith("plain"))
    work = work_of(Job("train_model", {"training": first}), paper, items, {})
    each = 2 * 85e6 * 197 + 2 * 37.7e6 * 24
    # 3905 steps of 64 pairs, three times forward, and the looks at 5,000 held-out pairs.
    assert work.operations == pytest.approx(each * (3 * 3905 * 64 + 14 * 5000), rel=0.01)
    assert "3,905 steps x 64 pairs" in work.words
    small = work_of(
        Job("embed_pairs", {"model": "clip_vitb32", "dataset": "mscoco_val"}),
        paper,
        items,
        {"mscoco_val": 5},
    )
    assert small.operations == pytest.approx(5000 * (2 * 85e6 * 50 + 5 * 2 * 37.7e6 * 24), rel=0.01)
    unknown = work_of(
        Job("embed_pairs", {"model": "clap_htsat", "dataset": "spoken_digits"}), paper, {}, {}
    )
    assert unknown is None


def test_a_machine_is_probed_and_a_gpu_is_known_or_refused():
    rate = probe(0.05)
    assert 1e8 < rate.low < rate.usual < rate.high < 1e15
    assert "GFLOP/s" in rate.words
    assert gpu_rate("H100").usual > gpu_rate("T4").usual
    with pytest.raises(UserError, match=r"no rate is known for the GPU 'X1' \(known: T4"):
        gpu_rate("X1")


@pytest.fixture
def server():
    """A local server: a file, one behind a login, one that is a page, none."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            status = {"/file.zip": 200, "/shut.zip": 403, "/page.zip": 200}.get(self.path, 404)
            if self.path == "/moved.zip":
                self.send_response(302)
                self.send_header("Location", "/file.zip")
                self.end_headers()
                return
            self.send_response(status)
            kind = "text/html" if self.path == "/page.zip" else "application/zip"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", "1234")
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as one:
        Thread(target=one.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{one.server_port}"
        one.shutdown()


def test_addresses_are_asked_for_their_sizes(server):
    names = ("file.zip", "moved.zip", "shut.zip", "page.zip", "gone.zip")
    found = ask_sizes([f"{server}/{name}" for name in names])
    said = [(found[f"{server}/{name}"].bytes, found[f"{server}/{name}"].note) for name in names]
    assert said == [
        (1234, ""),
        (1234, ""),
        (None, "needs an account"),
        (None, "answers with a page"),
        (None, "answers with status 404"),
    ]


def test_without_a_network_nothing_is_claimed():
    closed = [f"http://127.0.0.1:9/{name}" for name in "abc"]
    assert ask_sizes(closed) == {}


def test_a_plan_has_the_sizes_of_the_network_and_names_what_differs(
    server, run, table, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    table = {**table, "cifar10": {**table["cifar10"], "address": f"{server}/"}}
    table["cifar10"]["files"] = {
        "cifar-10-binary.tar.gz": {"url": f"{server}/file.zip", "bytes": 170052171, "sha256": None}
    }
    text = write_plan(JOBS, run, table, tmp_path / "results", RATE, online=True)
    assert "1.2 kB  cifar10/cifar-10-binary.tar.gz" in text
    assert "1,234 bytes there, 170,052,171 in workflow/sources.yaml" in text


def test_benchmarks_of_earlier_runs_are_read_with_their_items(tmp_path):
    from mindgap.data.pairs import write_pairs

    folder = tmp_path / "old/benchmarks/embed_pairs/m"
    folder.mkdir(parents=True)
    (folder / "d.tsv").write_text("s\th:m:s\n12.5\t0:00:12\n")
    (tmp_path / "old/benchmarks/plot_cosines.tsv").write_text("s\th:m:s\n2\t0:00:02\n")
    write_pairs(tmp_path / "old/pairs/d.parquet", [{"id": ["a", "b", "c"]}])
    assert read_benchmarks(tmp_path) == {
        "embed_pairs": [Past("m", 12.5, 3)],
        "plot_cosines": [Past("", 2.0, None)],
    }


def test_storage_counts_what_is_still_to_be_written(run, table):
    items = {"cifar10": 10000, "memes": 100}
    stored = list_storage(run, table, items, JOBS)
    assert stored == {"pairs": 170052171, "embeddings": 10000 * 2 * 4 * 512}
    assert list_storage(run, table, items, []) == {"pairs": 0, "embeddings": 0}


def test_the_plan_is_one_page(run, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = write_plan(JOBS, run, table, tmp_path / "results", RATE)
    assert "170 MB  cifar10/cifar-10-binary.tar.gz  (to download; none stated" in text
    assert "170 MB  to download in 1 files" in text
    assert "put it at data/hateful-memes/hateful_memes.zip" in text
    assert "unknown     1 x fetch_source" in text
    assert "2 x 10,000 items x" in text and "GFLOP" in text
    assert "without 2 jobs of unknown length" in text and "a slow one" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(999, "999 B"), (1234567, "1.2 MB"), (19336861798, "19.3 GB"), (None, "unknown")],
)
def test_sizes(value, text):
    assert human(value) == text


def test_lengths():
    assert [duration(s) for s in (12, 600, 7200)] == ["12 s", "10 min", "2.0 h"]
