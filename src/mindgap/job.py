"""Run a script's `main(job)` with its log, and end a user's mistake in one sentence."""

from __future__ import annotations

import fcntl
import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from mindgap.errors import UserError


def run(main: Callable[[Any], None], job: Any) -> None:
    """Call `main(job)`; the log goes to `job.log[0]`, a failure exits with status 1.

    `job` is the workflow's job object or any namespace with the same attributes, so that a test
    can call `main` directly. A `UserError` ends in its sentence, on the console and in the log;
    any other exception leaves its traceback in the log.
    """
    log = Path(job.log[0]) if getattr(job, "log", None) else None
    alone = _wait_for_another(log) if log else None
    handlers: list[logging.Handler] = []
    if log:
        handlers.append(logging.FileHandler(log, mode="w", encoding="utf-8"))
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=handlers,
        force=True,
    )
    logging.captureWarnings(True)
    try:
        main(job)
        logging.info("done")
    except UserError as error:
        _fail(f"error: {error}", log)
    except Exception:
        _fail(traceback.format_exc(), log)
    finally:
        if alone:
            alone.close()


def _wait_for_another(log: Path) -> TextIO | None:
    """Lock a job's log, so that two processes never make the same files at once.

    A workflow that was killed may leave a job behind; the same job of the next call waits here
    until that one has ended. The system takes the lock from a process that dies.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    stream = open(log, "a", encoding="utf-8")  # noqa: SIM115
    try:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{log}: a process of an earlier call is still at it; waiting", file=sys.stderr)
            fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError:  # a network file system without locks
        stream.close()
        return None
    return stream


def _fail(message: str, log: Path | None) -> None:
    logging.shutdown()
    if log:
        with open(log, "a", encoding="utf-8") as stream:
            stream.write(message.rstrip() + "\n")
    else:
        print(message, file=sys.stderr)
    sys.exit(1)
