import errno
import fcntl
import logging
import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from mindgap.runtime.errors import UserError
from mindgap.runtime.job import read_usage, run


@pytest.fixture(autouse=True)
def fresh_logging():
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers.clear()
    yield
    root.handlers[:] = before


def test_a_users_mistake_ends_in_its_sentence(tmp_path):
    log = tmp_path / "logs/x.log"

    def main(job):
        raise UserError("row 3 is all zero; remove it")

    with pytest.raises(SystemExit) as stop:
        run(main, SimpleNamespace(log=[log]))
    assert stop.value.code == 1
    assert log.read_text() == "error: row 3 is all zero; remove it\n"


def test_a_defect_keeps_its_traceback(tmp_path):
    log = tmp_path / "x.log"
    with pytest.raises(SystemExit) as stop:
        run(lambda job: 1 / 0, SimpleNamespace(log=[log]))
    assert stop.value.code == 1
    assert "ZeroDivisionError" in log.read_text()


def test_a_good_end_is_logged(tmp_path):
    log = tmp_path / "x.log"
    run(lambda job: logging.info("3 items"), SimpleNamespace(log=[log]))
    assert "3 items" in log.read_text()
    assert log.read_text().rstrip().endswith("done")


def test_a_job_waits_for_the_one_that_a_killed_call_left(tmp_path, capfd):
    log, order = tmp_path / "logs/x.log", []
    log.parent.mkdir()
    log.touch()
    with open(log.with_name(".x.log.lock"), "a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        job = SimpleNamespace(log=[log])
        waiting = threading.Thread(target=run, args=(lambda job: order.append("second"), job))
        waiting.start()
        while "still at it" not in capfd.readouterr().err:
            time.sleep(0.01)
        log.unlink()  # as Snakemake does before it starts a job again
        order.append("first")
    waiting.join(timeout=30)
    assert order == ["first", "second"]
    assert [path.name for path in log.parent.iterdir()] == ["x.log"]


def test_many_that_wait_go_one_after_another(tmp_path):
    """Each deletes the lock when it is done, and none takes a deleted one for the lock."""
    inside, most, log = [], [], tmp_path / "x.log"

    def main(job):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.02)
        inside.pop()

    jobs = [threading.Thread(target=run, args=(main, SimpleNamespace(log=[log]))) for _ in range(8)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(timeout=30)
    assert most == [1] * 8


def test_processes_that_outlive_their_job_are_waited_for(tmp_path):
    log = tmp_path / "x.log"
    killed = f"""
import os, subprocess
from types import SimpleNamespace
from mindgap.runtime.job import read_usage, run
def main(job):
    subprocess.Popen(["sh", "-c", "sleep 1; touch {tmp_path}/late"], close_fds=False)
    os.kill(os.getpid(), 9)
run(main, SimpleNamespace(log=["{log}"]))
"""
    assert subprocess.run([sys.executable, "-c", killed]).returncode == -9
    seen = []
    run(lambda job: seen.append((tmp_path / "late").exists()), SimpleNamespace(log=[log]))
    assert seen == [True]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "big.npy"),
        OSError(errno.EDQUOT, "Disk quota exceeded", "big.npy"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_one_sentence(tmp_path, error, capfd):
    def main(job):
        raise error

    with pytest.raises(SystemExit):
        run(main, SimpleNamespace(log=[tmp_path / "x.log"]))
    (line,) = (tmp_path / "x.log").read_text().splitlines()
    assert line.startswith("error: ")
    assert line.endswith("make room and run again")
    # Where there is no room for the log either, the sentence goes to the console.
    full = SimpleNamespace(log=["/dev/full/x.log"])
    with pytest.raises(SystemExit):
        run(main, full)
    assert capfd.readouterr().err.splitlines() == [line]


def test_what_is_printed_goes_to_the_log_and_warnings_to_the_console_as_well(tmp_path, capfd):
    log = tmp_path / "x.log"

    def main(job):
        os.write(1, b"a bar\n")  # print() of a test does not go through the descriptor
        subprocess.run(["echo", "a child"], check=True)
        logging.info("a step")
        logging.warning("3 of 60 pictures cannot be read")
        logging.getLogger("some.library").warning("be careful")

    run(main, SimpleNamespace(log=[log]))
    os.write(1, b"after\n")
    shown = capfd.readouterr()
    assert shown.err == "warning: 3 of 60 pictures cannot be read\n"
    assert shown.out == "after\n"
    text = log.read_text()
    for part in ("a bar", "a child", "a step", "3 of 60", "be careful"):
        assert text.count(part) == 1


def test_a_job_says_what_it_used(tmp_path):
    log = tmp_path / "x.log"
    code = "sum(i * i for i in range(3_000_000))"
    run(
        lambda job: subprocess.run([sys.executable, "-c", code], check=True),
        SimpleNamespace(log=[log]),
    )
    usage = read_usage(log)
    # The child alone works; the CPU time of both cannot be less than what it burns.
    assert usage["user"] > 0.02
    assert usage["peak_mb"] > 5
    assert usage["seconds"] > 0
    log.write_text("12:00:00 nothing of the kind\n")
    assert read_usage(log) is None
