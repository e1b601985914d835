"""Rehearse a run: set the stage, let the workflow run on it, and say what was found."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path

from mindgap.config import merge, read_yaml
from mindgap.config.read import read_config
from mindgap.config.run import Run
from mindgap.rehearsal.review import Review, find_lost, review, write_review
from mindgap.rehearsal.sizes import nested
from mindgap.rehearsal.stage import Stage, set_stage, with_accounts
from mindgap.rehearsal.standins import size_of
from mindgap.report.dry import Job, dry_run
from mindgap.report.present import present
from mindgap.report.tables import Tables
from mindgap.runtime.files import write_text
from mindgap.runtime.progress import duration


def rehearse(config: str, root: Path, options: list[str], accounts: bool = False) -> Review:
    """Rehearse the run of a config file, print what was found and return it.

    `options` are further ones of Snakemake; everything lies below `.rehearsal/{run}/`.
    """
    begun = time.monotonic()
    table = read_yaml(root / "workflow/sources.yaml")
    elsewhere = any(name in word for word in options for name in ("slurm", "kubernetes"))
    stage = set_stage(config, root, accounts, elsewhere)
    say_stage(stage)
    wide = _wide(stage, config, table)
    for sentence in early(stage, wide):
        print(f"error: {sentence}", file=sys.stderr, flush=True)
    jobs = list_jobs(stage, config)
    print(f"{len(jobs)} jobs", flush=True)
    play(stage, config, options)
    found = review(stage, jobs, wide)
    text = write_review(stage, found, jobs, table)
    write_text(stage.folder / "REHEARSAL.md", text + "\n")
    print(
        f"\n{text}\n\n{duration(time.monotonic() - begun)}; {stage.folder}/REHEARSAL.md", flush=True
    )
    return found


def say_stage(stage: Stage) -> None:
    """Print what is changed for the rehearsal, key by key."""
    print(f"rehearsal of run {stage.played} in {stage.folder}; every size that is changed:")
    for key, value in stage.changes.items():
        print(f"  {key}: {value}")
    print(f"  stand-ins: {size_of(stage.folder / 'mirror') / 1e6:.1f} MB")
    for note in stage.notes:
        print(f"  note: {note}")


def _wide(stage: Stage, config: str, table: dict) -> Run:
    """The rehearsal with every set that needs an account."""
    given = merge(read_yaml("config/default.yaml"), read_config(config))
    given = merge(given, nested(stage.changes))
    return Run.resolve(with_accounts(given, table), read_yaml("workflow/prompts.yaml"))


def early(stage: Stage, wide: Run) -> list[str]:
    """What can be said before the first job: claims about rows that the run cannot have."""
    claims = read_yaml(stage.folder / "workflow/claims.yaml")
    own = [claim for claim in claims if stage.run.name in claim["runs"]]
    tables = Tables(stage.results, stage.folder / "workflow/reference")
    return find_lost(own, tables, present(wide), stage.played)


def list_jobs(stage: Stage, config: str) -> list[Job]:
    """Every job of the rehearsal's graph."""
    words = stage.words(config)
    with chdir(stage.folder):
        return dry_run([*words, "--forceall"])


def play(stage: Stage, config: str, options: list[str]) -> int:
    """Let Snakemake run the rehearsal as far as it goes; return its exit status."""
    words = ["--logger", "mindgap", "--keep-going", *stage.words(config)]
    if not any(word.startswith("--workflow-profile") for word in options):
        words = ["--workflow-profile", "profiles/default", *words]
    # The mirror is the overlay's: nothing of the real data may be read.
    env = {k: v for k, v in os.environ.items() if k != "MINDGAP_MIRROR"}
    command = [sys.executable, "-m", "snakemake", *options, *words]
    return subprocess.run(command, cwd=stage.folder, env=env).returncode
