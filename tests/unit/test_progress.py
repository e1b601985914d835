import pytest

from mindgap.runtime import progress
from mindgap.runtime.progress import (
    Progress,
    announce_chapters,
    duration,
    read_durations,
    why_failed,
)


@pytest.fixture
def chapters(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "CHAPTERS", {})
    for name, question in (("gap", "How large?"), ("train", "What does it do?")):
        (tmp_path / f"{name}.smk").write_text(f'"""{question}\n\nWrites tables.\n"""\n')
    files = {"measure": "gap", "plot": "gap", "fit": "train"}
    announce_chapters({rule: tmp_path / f"{file}.smk" for rule, file in files.items()})


def test_a_chapter_is_announced_once_when_it_begins(chapters):
    run = Progress({"measure": 2, "plot": 1, "fit": 1}, {}, begun=100.0)
    assert run.start("measure", 100.0) == "[   0 of 4 jobs, 0 s] gap: How large?"
    assert run.start("plot", 101.0) is None
    run.finish("measure")
    line = run.start("fit", 110.0)
    assert line.startswith("[   1 of 4 jobs, 10 s")
    assert line.endswith("train: What does it do?")


def test_time_left_goes_by_the_weight_of_the_rules_and_not_by_their_number(chapters):
    # Work of 10 x 1 + 2 x 45 = 100 s; ten light jobs done in 20 s leave 90 of it: 180 s.
    run = Progress({"measure": 10, "fit": 2}, {"measure": 1.0, "fit": 45.0}, begun=0.0)
    assert run.left(1.0) is None
    for _ in range(10):
        run.finish("measure")
    assert run.left(20.0) == pytest.approx(180.0)
    run.finish("fit")
    run.finish("fit")
    assert run.left(300.0) == pytest.approx(0.0)


def test_a_rule_that_nobody_timed_counts_as_the_median(chapters):
    run = Progress({"measure": 1, "other": 1}, {"measure": 4.0, "plot": 4.0}, begun=0.0)
    run.finish("other")
    assert run.left(8.0) == pytest.approx(8.0)


def test_earlier_runs_go_before_the_reference(tmp_path):
    reference = tmp_path / "durations.csv"
    reference.write_text("rule,seconds\nfit,50\nplot,3\n")
    folder = tmp_path / "results/old/benchmarks/fit"
    folder.mkdir(parents=True)
    for name, seconds in (("a", 10), ("b", 20), ("c", 90)):
        (folder / f"{name}.tsv").write_text(f"s\th:m:s\n{seconds}\t0:00:00\n")
    assert read_durations(tmp_path / "results", reference) == {"fit": 20.0, "plot": 3.0}
    assert read_durations(tmp_path / "none", tmp_path / "none.csv") == {}


@pytest.mark.parametrize(
    ("seconds", "words"), [(8.4, "8 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_duration(seconds, words):
    assert duration(seconds) == words


def test_a_failure_is_told_in_its_sentence_or_in_the_last_line(tmp_path):
    log = tmp_path / "x.log"
    log.write_text("10:00 reading\nerror: row 3 is all zero; remove it\n")
    assert list(why_failed(log)) == ["error: row 3 is all zero; remove it"]
    log.write_text("Traceback:\n  line 1\nZeroDivisionError: division by zero\n\n")
    assert list(why_failed(log)) == ["error: ZeroDivisionError: division by zero"]
    assert list(why_failed(tmp_path / "none.log")) == []
