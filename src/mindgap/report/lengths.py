"""How long the jobs of a run take: from their work and a rate, or from earlier jobs."""

from __future__ import annotations

import csv
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mindgap.config import read_yaml
from mindgap.config.run import Run
from mindgap.report.dry import Job
from mindgap.report.rates import Rate
from mindgap.report.work import Work, work_of
from mindgap.runtime.errors import UserError
from mindgap.runtime.progress import read_durations

START_S = 2.0  # seconds until a script has its libraries
LOAD_S = 6.0  # the same with those of networks, and a model
#: Work per step of two jobs that count as the same network.
_ALIKE = 2.0
#: Factor to both sides of an estimate from earlier jobs: of the same size, and of another.
_NEAR, _FAR = 1.4, 2.5
#: Rules whose jobs take as long whatever the size of a run, by how their names begin.
_CONSTANT = (
    *("plot_", "collect_", "compare_models", "compare_modalities", "compare_trainings"),
    *("compare_codebooks", "score_claims", "record_run", "save_config", "check_", "audit_"),
    "trace_spheres",
)
#: Wildcards of the rules whose work is known, in the order of their files.
_NAMES = {
    "embed_pairs": ("model", "dataset"),
    "embed_prompts": ("model", "dataset"),
    "embed_initialisations": ("tower",),
    "train_model": ("training",),
    "train_codebook": ("codebook",),
}


@dataclass(frozen=True)
class Past:
    """A job that some run on this machine, or on the cluster whose results lie here, has timed."""

    model: str
    seconds: float
    items: int | None
    work: Work | None = None


@dataclass(frozen=True)
class Length:
    """Seconds of a job: at least, expected, at most; and on what that rests."""

    low: float
    seconds: float
    high: float
    words: str


def read_benchmarks(results: Path, prompts: dict[str, Any] | None = None) -> dict[str, list[Past]]:
    """Rule -> each of its jobs that some run here has timed, rehearsals too.

    With `prompts`, those of workflow/prompts.yaml, the work of jobs about networks is taken from
    the configuration that their run has saved; the small models of a rehearsal have none.
    """
    found: dict[str, list[Past]] = defaultdict(list)
    played = results.parent.glob(".rehearsal/*/results/*/benchmarks")
    for folder in [*sorted(results.glob("*/benchmarks")), *sorted(played)]:
        own = folder.is_relative_to(results)
        run = _saved(folder.parent, prompts) if own else None
        rows = _Rows(folder.parent)
        for file in sorted(folder.rglob("*.tsv")):
            with open(file, encoding="utf-8") as stream:
                seconds = [float(row["s"]) for row in csv.DictReader(stream, delimiter="\t")]
            if not seconds:
                continue
            rule, *names = file.relative_to(folder).with_suffix("").parts
            items = rows[names[-1]] if names else None
            model = names[0] if len(names) > 1 else ""
            job = Job(rule, dict(zip(_NAMES.get(rule, ()), names, strict=False)))
            work = _work(job, run, rows)
            found[rule].append(Past(model, statistics.median(seconds), items, work))
    return found


class _Rows(dict):
    """Items of each data set of a run whose pairs are there; None for others."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, name: str) -> int | None:
        path = self.folder / f"pairs/{name}.parquet"
        self[name] = count_rows(path) if path.exists() else None
        return self[name]

    def get(self, name: str, default: Any = None) -> int | None:
        """Items of a set."""
        return self[name]


def _saved(folder: Path, prompts: dict[str, Any] | None) -> Run | None:
    path = folder / "config.yaml"
    if prompts is None or not path.exists():
        return None
    try:
        return Run.resolve(read_yaml(path), prompts)
    except UserError:  # of another version of the options
        return None


def _work(job: Job, run: Run | None, items: Mapping[str, int | None]) -> Work | None:
    try:
        return work_of(job, run, items, {}) if run else None
    except KeyError:  # left from a configuration that has changed since
        return None


def length_of(
    job: Job, work: Work | None, items: int | None, known: dict[str, list[Past]], rate: Rate
) -> Length | None:
    """How long a job takes; None where nobody knows.

    A network's job takes its operations at the device's rate and something for its start and for
    every step; where an earlier job here was of the same size per step, it is judged by that one.
    """
    past = known.get(job.rule, []) if rate.here or work is None else []
    if work is not None and work.network:
        return _network(work, [p for p in past if p.work and p.work.network], rate)
    past = [p for p in past if p.model == job.wildcards.get("model")] or past
    if not past and job.rule.startswith(_CONSTANT):
        seconds = known_elsewhere().get(job.rule, START_S)
        return Length(seconds / _FAR, seconds, seconds * _FAR, "as on another machine")
    if not past:
        return None
    seconds, factor = _guess(past, None if job.rule.startswith("plot_") else items)
    words = f"from {len(past)} earlier jobs"
    return Length(seconds / factor, seconds, seconds * factor, words)


@cache
def known_elsewhere() -> dict[str, float]:
    """Rule -> seconds of a job, as workflow/durations.csv has them of another machine."""
    return read_durations(Path("none"))


def _network(work: Work, past: list[Past], rate: Rate) -> Length:
    """Length of a job of a network."""
    each = work.operations / work.steps
    if past:
        near = min(past, key=lambda p: abs(math.log(p.work.operations / p.work.steps / each)))
        ratio = near.work.operations / near.work.steps / each
        if 1 / _ALIKE <= ratio <= _ALIKE:
            own = max(near.seconds - START_S, 0.1)
            seconds = START_S + own * work.operations / near.work.operations
            words = f"{work.words}; as fast as an earlier job of this size"
            return Length(seconds / _NEAR, seconds, seconds * _NEAR, words)
    # A job of a toy network says how long it takes until the first step.
    fixed = min((p.seconds for p in past), default=LOAD_S) + rate.step * work.steps
    low, usual, high = (fixed + work.operations / r for r in (rate.high, rate.usual, rate.low))
    return Length(low, usual, high, work.words)


def _guess(past: list[Past], count: int | None) -> tuple[float, float]:
    """Seconds of a job on `count` items, and the factor by which that may be off.

    The fixed part is the shortest earlier job, of a single one the start of a process; what came
    on top in the one nearest in size grows with the items. Without sizes it is the median.
    """
    sized = [(p.seconds, p.items) for p in past if p.items]
    if not count or not sized:
        return statistics.median(p.seconds for p in past), _NEAR
    fixed = min(seconds for seconds, _ in sized)
    seconds, n = min(sized, key=lambda p: abs(math.log(p[1] / count)))
    if len(sized) == 1:
        fixed = min(seconds, START_S)
    factor = _NEAR if 1 / _ALIKE <= count / n <= _ALIKE else _FAR
    return fixed + (seconds - fixed) * count / n, factor


def estimate(
    jobs: Iterable[Job],
    run: Run,
    items: dict[str, int | None],
    captions: dict[str, int],
    known: dict[str, list[Past]],
    rate: Rate,
) -> dict[str, dict[str, Any]]:
    """Rule -> jobs, seconds (low, expected, high), unknown jobs, and on what all that rests.

    What is unknown is in no sum.
    """
    plan: dict[str, dict[str, Any]] = {}
    for job in jobs:
        blank = {"jobs": 0, "low": 0.0, "seconds": 0.0, "high": 0.0, "unknown": 0, "words": {}}
        row = plan.setdefault(job.rule, blank)
        row["jobs"] += 1
        work = work_of(job, run, items, captions)
        found = length_of(job, work, items.get(job.wildcards.get("dataset", "")), known, rate)
        if found is None:
            row["unknown"] += 1
            continue
        for key in ("low", "seconds", "high"):
            row[key] += getattr(found, key)
        row["words"][found.words] = row["words"].get(found.words, 0) + 1
    return plan


def count_rows(pairs: Path) -> int:
    """Rows of a parquet file, as its footer has them."""
    import pyarrow.parquet as pq

    return pq.read_metadata(pairs).num_rows
