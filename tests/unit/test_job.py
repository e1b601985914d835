import fcntl
import logging
import threading
import time
from types import SimpleNamespace

import pytest

from mindgap.errors import UserError
from mindgap.job import run


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
    with open(log, "a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        job = SimpleNamespace(log=[log])
        waiting = threading.Thread(target=run, args=(lambda job: order.append("second"), job))
        waiting.start()
        while "still at it" not in capfd.readouterr().err:
            time.sleep(0.01)
        order.append("first")
    waiting.join(timeout=30)
    assert order == ["first", "second"]
