"""Run a script's `main(job)` with its log, and end a user's mistake in one sentence."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from mindgap.errors import UserError
from mindgap.files import name_full_disk


def run(main: Callable[[Any], None], job: Any) -> None:
    """Call `main(job)`; the log goes to `job.log[0]`, a failure exits with status 1.

    `job` is the workflow's job object or any namespace with the same attributes, so that a test
    can call `main` directly. A `UserError` ends in its sentence, on the console and in the log;
    any other exception leaves its traceback in the log.
    """
    log = Path(job.log[0]) if getattr(job, "log", None) else None
    alone = _wait_for_another(log) if log else None
    logging.raiseExceptions = False  # a line that does not fit on a full disk is no error
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=_handlers(log),
        force=True,
    )
    logging.captureWarnings(True)
    try:
        main(job)
        logging.info("done")
    except UserError as error:
        _fail(f"error: {error}", log)
    except Exception as error:
        full = name_full_disk(error)
        _fail(f"error: {full}" if full else traceback.format_exc(), log)
    finally:
        if alone:
            Path(alone.name).unlink(missing_ok=True)
            alone.close()


def _handlers(log: Path | None) -> list[logging.Handler]:
    try:
        return [logging.FileHandler(log, mode="w", encoding="utf-8")] if log else []
    except OSError:  # a full disk; what the job has to say goes to the console
        return []


def _wait_for_another(log: Path) -> TextIO | None:
    """Lock the file `.{name of the log}.lock`, so that two processes never make the same files.

    A workflow that was killed may leave a job behind; the same job of the next call waits here
    until that one has ended. The system takes the lock from a process that dies. The log itself
    will not do: the workflow engine deletes it before it starts the job again.
    """
    path = log.with_name(f".{log.name}.lock")
    said = False
    while True:
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            stream = open(path, "a", encoding="utf-8")  # noqa: SIM115
        except OSError:  # a full disk, on which the job itself will say more
            return None
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not said:
                print(
                    f"{log}: a process of an earlier call is still at it; waiting", file=sys.stderr
                )
            said = True
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError:  # a network file system without locks
            stream.close()
            return None
        if _is_at(stream, path):
            # Processes that the job starts and that outlive it go on holding the lock.
            os.set_inheritable(stream.fileno(), True)
            return stream
        stream.close()  # the one who had it has deleted it


def _is_at(stream: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _fail(message: str, log: Path | None) -> None:
    logging.shutdown()
    try:
        if log is None:
            raise OSError
        with open(log, "a", encoding="utf-8") as stream:
            stream.write(message.rstrip() + "\n")
    except OSError:  # no log, or no room for it
        print(message, file=sys.stderr)
    sys.exit(1)
