"""The commands of `mindgap` that work on the runs of a checkout, and those that only make needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from mindgap.runtime.errors import UserError
from mindgap.runtime.extras import extra

app = typer.Typer()

PANEL = "Inside a checkout"
RESULTS = Path("results")
Config = Annotated[str, typer.Argument(help="YAML file of the run, such as config/smoke.yaml.")]
Options = Annotated[list[str] | None, typer.Argument(help="After --: more options of Snakemake.")]


@app.command(rich_help_panel=PANEL)
def plan(
    config: Config,
    options: Options = None,
    gpu: Annotated[
        str | None, typer.Option("--gpu", help="Plan for this GPU, such as A100, not for here.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no address for the size of its file.")
    ] = False,
) -> None:
    """Say what a run would download, compute and store; nothing is downloaded.

    mindgap plan config/paper.yaml --gpu A100
    """
    with _checkout():
        from mindgap.config import merge, read_yaml
        from mindgap.config.read import read_config
        from mindgap.config.run import Run
        from mindgap.overlay import read_name
        from mindgap.report.dry import dry_run
        from mindgap.report.plan import write_plan
        from mindgap.report.rates import gpu_rate, probe

        read_name(config)
        rate = gpu_rate(gpu) if gpu else probe()
        given = merge(read_yaml("config/default.yaml"), read_config(config))
        prompts = read_yaml("workflow/prompts.yaml")
        run = Run.resolve(given, prompts)
        jobs = dry_run([*(options or []), "--configfile", config])
        table = read_yaml("workflow/sources.yaml")
        print(write_plan(jobs, run, table, RESULTS, rate, prompts, online=not offline))


@app.command(rich_help_panel=PANEL)
def check(
    config: Config,
    partial: Annotated[
        bool, typer.Option("--partial", help="Files may be missing, after `make pull ONLY=tables`.")
    ] = False,
) -> None:
    """Compare the files of a finished run with its record; exit with 1 if one differs.

    mindgap check config/smoke.yaml
    """
    with _checkout():
        from mindgap.overlay import read_name
        from mindgap.report.record import check_run

        summary, wrong = check_run(RESULTS / read_name(config), partial)
    _end(summary, wrong)


@app.command(rich_help_panel=PANEL)
def scorecard() -> None:
    """Join the scorecards of all finished runs in results/scorecard.md, .csv, .json and .html.

    mindgap scorecard
    """
    with _checkout():
        from mindgap.config import read_yaml
        from mindgap.report.joined import write_joined

        claims, figures = read_yaml("workflow/claims.yaml"), read_yaml("workflow/figures.yaml")
        print("\n".join(write_joined(RESULTS, claims, figures)))


@app.command(rich_help_panel=PANEL)
def audit(config: Config, options: Options = None) -> None:
    """Say which errors the claims of a run would notice; exit with 1 if one cannot fail.

    What the audit needs of the run is made first, and its table is results/{run}/audit.csv.

    mindgap audit config/smoke.yaml -- --cores 2
    """
    with _checkout():
        from mindgap.overlay import read_name

        table = RESULTS / read_name(config) / "audit.csv"
        words = [*(options or []), "--logger", "mindgap", "--configfile", config, "--", str(table)]
        done = subprocess.run([sys.executable, "-m", "snakemake", *words])
        if done.returncode:
            raise typer.Exit(done.returncode)
        from mindgap.config import read_yaml
        from mindgap.report.audit import say_audit, weak_claims
        from mindgap.runtime.files import read_csv

        claims, rows = read_yaml("workflow/claims.yaml"), read_csv(table)
        _end("\n".join(say_audit(claims, rows)), weak_claims(claims, rows))


@app.command(rich_help_panel=PANEL)
def rehearse(
    config: Config,
    options: Options = None,
    accounts: Annotated[
        bool, typer.Option("--accounts", help="Also the data sets that need an account or consent.")
    ] = False,
) -> None:
    """Run the whole graph of a config on small stand-ins for every download and checkpoint.

    Exits with 1 if a job fails, a claim finds no cell or a rule asks for too little memory.

    mindgap rehearse config/paper.yaml
    """
    with _checkout():
        from mindgap.rehearsal.play import rehearse as play

        found = play(config, Path.cwd(), options or [], accounts)
    raise typer.Exit(int(bool(found.problems or found.waiting)))


@app.command(hidden=True)
def run_name(config: Config) -> None:
    """Print the name of a run; a config that is more than data, or has none, is refused."""
    with _checkout():
        from mindgap.overlay import read_name

        print(read_name(config))


@app.command(hidden=True)
def outs_without(
    families: Annotated[list[str], typer.Argument(help="Last part of the paths to leave out.")],
) -> None:
    """Print what DVC versions of a run, some families left out."""
    with _checkout():
        from mindgap.report.outs import list_outs

        print(*list_outs("dvc.yaml", tuple(families)))


@app.command(hidden=True)
def keep_snapshot() -> None:
    """Keep what the pages quote of the finished runs in docs/snapshot/."""
    with _checkout():
        from mindgap.docs.snapshot import copy_pictures, read_plan, take_snapshot

        plan = read_plan()
        lines = take_snapshot(RESULTS, Path("docs/snapshot"), plan)
        print("\n".join([*lines, *copy_pictures(RESULTS, Path("docs/images"), plan)]))


@app.command(hidden=True)
def fill_pages() -> None:
    """Fill the templates of README.md and docs/ from docs/snapshot/, and write the explorer."""
    with _checkout():
        from mindgap.docs.render import write_documents, write_explorer

        print("\n".join(write_documents()))
        write_explorer()


@app.command(hidden=True)
def manual() -> None:
    """Write config/README.md and config/schema.json from the types of the options."""
    with _checkout():
        from mindgap.config.manual import documents
        from mindgap.runtime.files import write_text

        for name, text in documents().items():
            write_text(Path("config") / name, text)


@contextmanager
def _checkout() -> Iterator[None]:
    """Refuse in one sentence to work elsewhere, or without the libraries of the workflow."""
    if not all(Path(file).is_file() for file in ("Snakefile", "workflow/claims.yaml")):
        raise UserError(
            f"{Path.cwd()} is no checkout of mindgap: this command works on the runs of a clone "
            "of its repository; call it there"
        )
    with extra("workflow", "runs need"):
        yield


def _end(summary: str, wrong: list[str]) -> None:
    """Print what is wrong, one line each, and a summary; exit with 1 if anything is."""
    if summary:
        print(summary)
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    raise typer.Exit(int(bool(wrong)))
