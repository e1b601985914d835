"""The jobs that Snakemake would start."""

from __future__ import annotations

import io
import logging
import sys
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """One job of a dry run.

    Attributes
    ----------
    rule, wildcards
        What it does, and to what.
    outputs, logs
        Files that it writes.
    resources
        What it asks for, such as mem_mb.
    """

    rule: str
    wildcards: dict[str, str]
    outputs: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    resources: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """Rule and wildcards in words, without the run's."""
        which = "/".join(v for key, v in self.wildcards.items() if v and key != "run")
        return f"{self.rule} {which}".rstrip()


def dry_run(options: list[str]) -> list[Job]:
    """Jobs that Snakemake would start with some options of its command line."""
    from snakemake.cli import args_to_api, parse_args
    from snakemake.logging import logger
    from snakemake_interface_logger_plugins.common import LogEvent

    jobs = []

    def take(record: logging.LogRecord) -> bool:
        if getattr(record, "event", None) == LogEvent.JOB_INFO and record.rule_name != "all":
            jobs.append(
                Job(
                    record.rule_name,
                    dict(record.wildcards or {}),
                    # A note in brackets, such as `update`, may follow a name.
                    tuple(str(name).partition(" (")[0] for name in record.output),
                    tuple(str(name).partition(" (")[0] for name in record.log),
                    {k: v for k, v in record.resources.items() if isinstance(v, int)},
                )
            )
        return record.levelno >= logging.ERROR

    logger.addFilter(take)
    # It says on stderr which profile it reads.
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            parser, given = parse_args([*options, "--dry-run"])
    except SystemExit:
        sys.stderr.write(said.getvalue())
        raise
    if not args_to_api(given, parser):
        sys.exit(1)
    return jobs
