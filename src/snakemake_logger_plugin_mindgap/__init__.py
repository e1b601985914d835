"""Snakemake logger plugin `mindgap`: a run on one screen; Snakemake's own log stays in its file.

`snakemake --logger mindgap`. The arithmetic is in `mindgap.runtime.progress`.
"""

from __future__ import annotations

import os
import sys
from logging import WARNING, LogRecord
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from tqdm import tqdm

from mindgap.runtime.progress import Progress, duration, read_durations, why_failed

#: Starts of Snakemake's own messages that say again what was said, or nothing to a user.
_SAID = (
    "RuleException",
    "CalledProcessError",
    "WorkflowError:\nAt least one job did not complete successfully",
    "Exiting because a job execution failed",
    "Shutting down",
    "Will exit after finishing currently running jobs",
    "Removing output files of failed job",
)


class LogHandler(LogHandlerBase):
    """One line per chapter as it begins, warnings and errors; a bar where there is a terminal."""

    def __post_init__(self) -> None:
        self.progress: Progress | None = None
        self.bar: tqdm | None = None
        self.rules: dict[int, str] = {}
        self.names: dict[int, dict[str, str]] = {}

    @property
    def writes_to_stream(self) -> bool:
        """Takes the place of Snakemake's own lines."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Leaves the file to Snakemake."""
        return False

    @property
    def has_filter(self) -> bool:
        """Uses Snakemake's own filter."""
        return False

    @property
    def has_formatter(self) -> bool:
        """Uses Snakemake's own formatter."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """Draws no graph."""
        return False

    def emit(self, record: LogRecord) -> None:
        """Say what is worth a line."""
        try:
            if self.common_settings.dryrun:
                self._say(self.format(record))
            else:
                self._take(record)
        except BrokenPipeError:
            raise
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()
        super().close()

    def _say(self, line: str | None) -> None:
        if line:
            tqdm.write(line, file=sys.stderr)

    def _take(self, record: LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO and self.progress is None:
            self._begin(record.stats, record.created)
        elif event == LogEvent.JOB_INFO and record.rule_name != "all":
            self.rules[record.jobid] = record.rule_name
            self.names[record.jobid] = dict(record.wildcards or {})
            if self.progress:
                self._say(self.progress.start(record.rule_name, record.created))
        elif event == LogEvent.JOB_FINISHED:
            self._finish(record.job_id, record.created)
        elif event == LogEvent.JOB_ERROR:
            self._fail(record)
        elif event == LogEvent.GROUP_ERROR:
            for one in record.job_error_info:
                self._say(f"error: a job of {one['rule_name']} failed: {', '.join(one['log'])}")
        elif event is None or event == LogEvent.ERROR:
            self._pass_on(record)

    def _begin(self, stats: dict[str, int], now: float) -> None:
        jobs = {rule: count for rule, count in stats.items() if rule not in ("all", "total")}
        self.progress = Progress(jobs, read_durations(Path("results")), now)
        if sys.stderr.isatty():
            self.bar = tqdm(total=self.progress.total, unit=" jobs", leave=False, file=sys.stderr)

    def _finish(self, job: int, now: float) -> None:
        if self.progress and job in self.rules:
            self.progress.finish(self.rules[job])
            if self.bar is not None:
                left = self.progress.left(now)
                if left is not None:
                    self.bar.set_postfix_str(f"about {duration(left)} left", refresh=False)
                self.bar.update()

    def _fail(self, record: LogRecord) -> None:
        wildcards = self.names.get(record.jobid, {})
        names = ", ".join(f"{k} {v}" for k, v in wildcards.items() if k != "run")
        logs = list(record.log or ())
        sentences = [line for log in logs for line in why_failed(log)]
        for line in sentences or [f"error: {record.rule_name} failed and left no word"]:
            self._say(line)
        where = f", log: {', '.join(logs)}" if logs else ""
        self._say(f"  in {record.rule_name}{f' ({names})' if names else ''}{where}")

    def _pass_on(self, record: LogRecord) -> None:
        text = str(record.msg or "")
        if text.startswith("Complete log(s): "):
            path = text.removeprefix("Complete log(s): ")
            self._say(f"log of the run: {os.path.relpath(path)}")
        elif text.startswith("Nothing to be done"):
            self._say("nothing to be done")
        elif record.levelno >= WARNING and not text.startswith(_SAID):
            self._say(self.format(record))
