"""Run a script's `main(job)` with its log, and end a user's mistake in one sentence."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from mindgap.runtime.errors import UserError
from mindgap.runtime.files import name_full_disk


def run(main: Callable[[Any], None], job: Any) -> None:
    """Call `main(job)`; the log goes to `job.log[0]`, a failure exits with status 1.

    `job` is the workflow's job object or any namespace with the same attributes, so that a test
    can call `main` directly. Everything that is printed meanwhile, bars too, goes to the log;
    `logging.warning` reaches the console as well. At its end the log says what the job has used,
    see `read_usage`. A `UserError` ends in its sentence; any other exception leaves its
    traceback in the log.
    """
    log = Path(job.log[0]) if getattr(job, "log", None) else None
    alone = _wait_for_another(log) if log else None
    logging.raiseExceptions = False  # a line that does not fit on a full disk is no error
    begun, failure = time.monotonic(), None
    try:
        with _console(log) as handlers:
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
                logging.info(_usage(time.monotonic() - begun))
                logging.info("done")
            except UserError as error:
                failure = f"error: {error}"
            except Exception as error:
                full = name_full_disk(error)
                failure = f"error: {full}" if full else traceback.format_exc()
        if failure:
            _fail(failure, log)
    finally:
        if alone:
            Path(alone.name).unlink(missing_ok=True)
            alone.close()


@contextmanager
def _console(log: Path | None) -> Iterator[list[logging.Handler]]:
    """Yield the handlers of a job's log; what is printed goes to the log until the block ends.

    Two jobs at a time would draw their bars over each other.
    """
    try:
        if log:
            log.write_bytes(b"")
        file = logging.FileHandler(log, mode="a", encoding="utf-8") if log else None
    except OSError:  # a full disk; what the job has to say goes to the console
        file = None
    if file is None:
        yield []
        return
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    # Both append, so that bars and lines of the log follow each other.
    target = os.open(log, os.O_WRONLY | os.O_APPEND)
    with os.fdopen(os.dup(kept[1]), "w", encoding="utf-8") as console:
        warnings = logging.StreamHandler(console)
        warnings.setLevel(logging.WARNING)
        warnings.setFormatter(logging.Formatter("warning: %(message)s"))
        # Warnings of libraries have loggers of their own and stay in the log.
        warnings.addFilter(lambda record: record.name == "root")
        try:
            for stream in (1, 2):
                os.dup2(target, stream)
            yield [file, warnings]
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, old in enumerate(kept, start=1):
                os.dup2(old, stream)
                os.close(old)
            os.close(target)


_USED = re.compile(
    r"used ([\d.]+) s, CPU ([\d.]+) s user and ([\d.]+) s system, at most (\d+) MB$", re.MULTILINE
)


def _usage(seconds: float) -> str:
    """What this process and those that it has waited for have used, as a line of the log."""
    own, others = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    user, system = own.ru_utime + others.ru_utime, own.ru_stime + others.ru_stime
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = max(own.ru_maxrss, others.ru_maxrss) // unit
    return (
        f"used {seconds:.2f} s, CPU {user:.2f} s user and {system:.2f} s system, at most {peak} MB"
    )


def read_usage(log: str | Path) -> dict[str, float] | None:
    """Seconds, CPU seconds (user, system) and peak memory in MB, as the log of a job has them."""
    found = _USED.findall(Path(log).read_text(encoding="utf-8", errors="replace"))
    if not found:
        return None
    return dict(zip(("seconds", "user", "system", "peak_mb"), map(float, found[-1]), strict=True))


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
