"""What a rehearsal has found: failed jobs, claims without a cell, memory; and cannot show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgap.config import read_yaml
from mindgap.config.run import Run
from mindgap.data.sources import find_source
from mindgap.rehearsal.stage import Stage
from mindgap.report.cells import points_of
from mindgap.report.claims import score_claims
from mindgap.report.dry import Job
from mindgap.report.plan import human
from mindgap.report.present import present
from mindgap.report.record import sum_costs
from mindgap.report.tables import Present, Tables, lacking
from mindgap.runtime.progress import why_failed


@dataclass(frozen=True)
class Review:
    """Findings of a rehearsal, each a sentence.

    Attributes
    ----------
    failed
        Jobs that ended in an error, and why.
    waiting
        How many jobs were never started, because they need those.
    broken
        Claims without a cell, with table and row.
    lost
        Claims of the run about rows that its configuration cannot have.
    short
        Rules that took more memory than they ask for.
    """

    failed: list[str]
    waiting: int
    broken: list[str]
    lost: list[str]
    short: list[str]

    @property
    def problems(self) -> list[str]:
        """Everything that a real run would stumble over."""
        return [*self.failed, *self.lost, *self.broken, *self.short]


def review(stage: Stage, jobs: list[Job], wide: Run) -> Review:
    """Judge a rehearsal that has ended.

    Parameters
    ----------
    jobs
        Every job of its graph.
    wide
        The run with the sets that need an account; claims about these are not lost.
    """
    claims = read_yaml(stage.folder / "workflow/claims.yaml")
    failed, waiting = find_failed(stage.folder, jobs)
    tables = Tables(stage.results, stage.folder / "workflow/reference")
    own = [claim for claim in claims if stage.run.name in claim["runs"]]
    scores = score_claims(own, tables, stage.run.name, present(stage.run))
    broken = [f"claim {s['id']}: {s['reason']}" for s in scores if s["verdict"] == "broken"]
    lost = find_lost(own, tables, present(wide), stage.played)
    short = find_short(sum_costs(stage.results / "logs"), jobs)
    return Review(failed, waiting, broken, lost, short)


def find_failed(folder: Path, jobs: Iterable[Job]) -> tuple[list[str], int]:
    """A sentence for each job that failed, and the number of those that wait for one."""
    failed, waiting = [], 0
    for job in jobs:
        if all((folder / name).exists() for name in job.outputs):
            continue
        said = [line for log in job.logs for line in why_failed(folder / log)]
        if said:
            why = "; ".join(line.removeprefix("error: ") for line in said)
            failed.append(f"{job.name}: {why} ({', '.join(job.logs)})")
        else:
            waiting += 1
    return failed, waiting


def find_lost(claims: list[dict[str, Any]], tables: Tables, rows: Present, run: str) -> list[str]:
    """A sentence for each claim of a run about a row that its configuration does not have."""
    lost = []
    for claim in claims:
        at = claim["measured"]
        lacks = [
            lacking(rows, at["table"], {**at["where"], **point.where})
            for point in points_of(claim, tables)
        ]
        if lacks and all(lacks):
            lost.append(
                f"claim {claim['id']}: {at['table']} of run {run} will have no row with "
                f"{lacks[0]}; correct the row, or the runs that answer the claim"
            )
    return lost


def find_short(costs: list[dict[str, Any]], jobs: Iterable[Job]) -> list[str]:
    """A sentence for each rule whose peak of memory is above what its jobs ask for."""
    asked: dict[str, int] = {}
    for job in jobs:
        if memory := job.resources.get("mem_mb"):
            asked[job.rule] = min(asked.get(job.rule, memory), memory)
    return [
        f"rule {one['rule']} asks for {asked[one['rule']]:,} MB and took {one['peak_mb']:,.0f} MB "
        "at toy size; raise its mem_mb"
        for one in costs
        if one["rule"] in asked and one["peak_mb"] > asked[one["rule"]]
    ]


def write_review(stage: Stage, found: Review, jobs: list[Job], table: dict[str, Any]) -> str:
    """The report of a rehearsal for people."""
    left = len(found.failed) + found.waiting
    counts = Counter(job.rule for job in jobs)
    lines = [
        f"REHEARSAL of run {stage.played}: stand-ins for all data and models, so no number means "
        "anything",
        f"{len(jobs) - left} of {len(jobs)} jobs done, {len(found.failed)} failed, "
        f"{found.waiting} wait for them",
    ]
    for title, some in (
        ("FAILED", found.failed),
        ("CLAIMS ABOUT ROWS THAT THE RUN CANNOT HAVE", found.lost),
        ("BROKEN CLAIMS", found.broken),
        ("TOO LITTLE MEMORY", found.short),
        ("STAND-INS THAT ARE GUESSES", stage.notes),
    ):
        if some:
            lines += ["", title, *(f"  {one}" for one in some)]
    lines += ["", "PEAKS OF MEMORY, at toy size"]
    costs = sorted(sum_costs(stage.results / "logs"), key=lambda one: -one["peak_mb"])
    lines += [
        f"  {one['peak_mb']:6,.0f} MB  {one['rule']} ({one['jobs']} of {counts[one['rule']]} jobs, "
        f"{one['cpu_seconds']:.0f} s of CPU)"
        for one in costs
        if one["rule"] in counts
    ]
    return "\n".join([*lines, "", *unseen(stage.run, table)])


def unseen(run: Run, table: dict[str, Any]) -> list[str]:
    """What no rehearsal shows: addresses, licences, accounts, and how long the real work takes."""
    lines = ["WHAT A REHEARSAL CANNOT SHOW"]
    shut, licences, sizes = {}, {}, 0
    for place in run.places:
        source = find_source(table, *place)
        licences[place[0]] = table[place[0]]["licence"]
        row = table[place[0]]["files"][place[1]]
        sizes += row["bytes"] or row.get("about") or 0
        if source.url is None:
            shut[place[0]] = source.obtain
    addresses = {find_source(table, *p).url for p in run.places} - {None}
    lines.append(
        f"  whether {len(addresses)} addresses and {len(run.checkpoints)} checkpoints of the hub "
        f"answer, and whether {human(sizes)} of known downloads are what they were"
    )
    lines += [f"  whether you have {name}: {obtain}" for name, obtain in shut.items()]
    lines += [f"  whether you may use {name}: {terms}" for name, terms in licences.items()]
    lines.append("  time and memory of the real sizes: make plan says what is known of them")
    return lines
