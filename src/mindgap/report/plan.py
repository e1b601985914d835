"""What a run would download, compute and store, from a dry run and the records of earlier runs."""

from __future__ import annotations

import csv
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mindgap.config.run import Run
from mindgap.data.definitions import describe, modalities, sources
from mindgap.data.sources import carried_places, place_of, shipped_file
from mindgap.report.dry import Job

#: Sizes of embeddings that no earlier run has made: float32 of this many dimensions.
DIMENSIONS = 512
#: Bytes of an item whose files have no known size, and of a reference to one.
ITEM_BYTES, REFERENCE_BYTES = 4000, 30
START_S = 2.0  # seconds until a script has its libraries


def list_downloads(run: Run, table: dict[str, Any]) -> list[dict[str, Any]]:
    """Every file that the run needs from elsewhere: where it stands, how large, on what terms."""
    rows = []
    for source, name in run.places:
        file = table[source]["files"][name]
        shipped, there = shipped_file(source, name), Path(place_of(source, name)).exists()
        free = table[source]["address"] or file.get("url")
        rows.append(
            {
                "file": f"{source}/{name}",
                "bytes": file["bytes"] or file.get("about"),
                "licence": table[source]["licence"],
                "state": "comes with the repository"
                if shipped
                else "is there"
                if there
                else "to download"
                if free
                else "obtain it yourself",
                "obtain": None if free else table[source]["obtain"],
            }
        )
    hub = {
        f"hub: {wanted['name']}@{wanted['revision']}": f"data/hub/{name}.json"
        for name, wanted in run.snapshots.items()
    }
    hub |= {
        f"hub: {options['checkpoint']}@{options['revision']}": manifest
        for manifest, options in run.checkpoints.items()
    }
    rows += [
        {
            "file": file,
            "bytes": None,
            "licence": "see its card",
            "state": "is there" if Path(record).exists() else "to download",
            "obtain": None,
        }
        for file, record in hub.items()
    ]
    return rows


def count_items(definition: dict[str, Any], table: dict[str, Any], pairs: Path) -> int | None:
    """Items of a data set: of its pairs where they exist, else as configured or published."""
    if pairs.exists():
        return _rows(pairs)
    if "scenes" in definition:
        return definition["scenes"]
    published = None
    if wanted := sources(definition) or sources({**definition, "files": {}}):
        counts = table[wanted[0][0]].get("items", {})
        published = counts.get(definition.get("split", "all"))
    if "items" in definition:
        return min(definition["items"], published or definition["items"])
    return published


def read_benchmarks(results: Path) -> dict[str, list[tuple[str, float, int | None]]]:
    """Rule -> (model, seconds, items) of each job that some run on this machine has timed."""
    found = defaultdict(list)
    for file in sorted(results.glob("*/benchmarks/**/*.tsv")):
        run, _, *parts = file.relative_to(results).parts
        rule = Path(parts[0]).stem
        with open(file, encoding="utf-8") as stream:
            seconds = [float(row["s"]) for row in csv.DictReader(stream, delimiter="\t")]
        if not seconds:
            continue
        pairs = results / run / "pairs" / f"{file.stem}.parquet"
        items = _rows(pairs) if len(parts) > 1 and pairs.exists() else None
        model = parts[1] if len(parts) > 2 else ""
        found[rule].append((model, statistics.median(seconds), items))
    return found


def estimate(
    jobs: Iterable[Job],
    items: dict[str, int | None],
    known: dict[str, list[tuple[str, float, int | None]]],
) -> dict[str, dict[str, Any]]:
    """Rule -> number of jobs, seconds and on what the guess rests.

    A job is judged by the earlier jobs of its rule, and of its own model where there are some.
    """
    plan: dict[str, dict[str, Any]] = {}
    for job in jobs:
        row = plan.setdefault(job.rule, {"jobs": 0, "seconds": 0.0, "unknown": 0, "basis": 0})
        row["jobs"] += 1
        past = known.get(job.rule, [])
        past = [p for p in past if p[0] == job.wildcards.get("model")] or past
        row["basis"] = max(row["basis"], len(past))
        if not past:
            row["unknown"] += 1
            continue
        count = items.get(job.wildcards.get("dataset", ""))
        row["seconds"] += _guess(past, None if job.rule.startswith("plot_") else count)
    return plan


def _guess(past: list[tuple[str, float, int | None]], count: int | None) -> float:
    """Seconds of a job on `count` items.

    The fixed part is the shortest earlier job, of a single one the start of a process; what came
    on top in the one nearest in size grows with the items. Without sizes it is the median.
    """
    sized = [(seconds, n) for _, seconds, n in past if n]
    if not count or not sized:
        return statistics.median(seconds for _, seconds, _ in past)
    fixed = min(seconds for seconds, _ in sized)
    seconds, n = min(sized, key=lambda p: abs(math.log(p[1] / count)))
    if len(sized) == 1:
        fixed = min(seconds, START_S)
    return fixed + (seconds - fixed) * count / n


def list_storage(
    run: Run, table: dict[str, Any], items: dict[str, int | None], jobs: Iterable[Job]
) -> dict[str, int | None]:
    """Kind of artifact -> bytes that the pending jobs would write; None where nobody knows."""
    pending = {(job.rule, job.wildcards.get("dataset")) for job in jobs}
    pairs = [
        _pairs_bytes(definition, table, items[name])
        for name, definition in run.sets.items()
        if ("build_pairs", name) in pending
    ]
    embeddings = [
        _embeddings_bytes(model.options, run.sets.get(name), table, items.get(name))
        for model in run.models.values()
        for name in model.datasets
        if any(d == name and "embed" in rule for rule, d in pending)
    ]
    return {
        what: None if None in sizes else sum(sizes)
        for what, sizes in (("pairs", pairs), ("embeddings", embeddings))
    }


def _pairs_bytes(
    definition: dict[str, Any], table: dict[str, Any], items: int | None
) -> int | None:
    """Media as large as the files that they come from, or a reference an item."""
    if describe(definition)["keep"] == "references":
        return REFERENCE_BYTES * items if items else None
    files = [table[source]["files"][name] for source, name in sources(definition)]
    sizes = [file["bytes"] or file.get("about") for file in files]
    if sizes and all(sizes):
        return sum(sizes)
    return ITEM_BYTES * items if items else None


def _embeddings_bytes(
    options: dict[str, Any], definition: dict[str, Any] | None, table: dict, items: int | None
) -> int | None:
    if places := carried_places(options):
        return sum(table[source]["files"][name]["bytes"] for source, name in places)
    if definition is None:  # the user's own arrays
        files = [Path(place.partition("#")[0]) for place in options["modalities"].values()]
        return sum(file.stat().st_size for file in files if file.exists())
    if items is None:
        return None
    captions = 1
    if options.get("captions") == "all":
        wanted = sources({**definition, "files": {}})
        captions = table[wanted[0][0]].get("captions", 5) if wanted else 5
    return items * (len(modalities(definition)) - 1 + captions) * 4 * DIMENSIONS


def write_plan(jobs: list[Job], run: Run, table: dict[str, Any], results: Path) -> str:
    """The plan of a run for people, from the jobs that it would start."""
    items = {
        name: count_items(definition, table, results / run.name / f"pairs/{name}.parquet")
        for name, definition in run.sets.items()
    }
    lines = [f"run {run.name}: {len(jobs)} jobs", "", "DOWNLOAD"]
    rows = list_downloads(run, table)
    for row in rows:
        terms = f"{row['state']}; {row['licence']}"
        lines.append(f"  {human(row['bytes']):>9}  {row['file']}  ({terms})")
    waiting = [row for row in rows if row["state"] == "to download"]
    sizes = [row["bytes"] for row in waiting]
    unknown = f", {sizes.count(None)} of them of unknown size" if None in sizes else ""
    total = human(sum(size or 0 for size in sizes))
    lines.append(f"  {total:>9}  to download in {len(waiting)} files{unknown}")
    for obtain in dict.fromkeys(r["obtain"] for r in rows if r["state"].startswith("obtain")):
        names = [r["file"] for r in rows if r["obtain"] == obtain and r["state"][0] == "o"]
        lines.append(f"  needs an account or consent: {obtain}")
        lines += [f"             put it at data/{name}" for name in names]
    lines += ["", "COMPUTE"]
    plan = estimate(jobs, items, read_benchmarks(results))
    for rule, row in plan.items():
        past = f"from {row['basis']} earlier jobs" if row["basis"] else "none timed so far"
        length = duration(row["seconds"]) if row["unknown"] < row["jobs"] else "unknown"
        lines.append(f"  {length:>9}  {row['jobs']:4d} x {rule}  ({past})")
    total = sum(row["seconds"] for row in plan.values())
    missing = sum(row["unknown"] for row in plan.values())
    lines.append(
        f"  {duration(total):>9}  one job after another on a machine like this"
        + (f", and {missing} jobs of unknown length" if missing else "")
    )
    if not total:
        lines.append("             (nothing was timed here yet; the run `smoke` times most rules)")
    lines += ["", "STORE"]
    stored = {"downloads": sum(size or 0 for size in sizes)}
    stored |= list_storage(run, table, items, jobs)
    lines += [f"  {human(size):>9}  {what}" for what, size in stored.items()]
    return "\n".join(lines)


def human(size: float | None) -> str:
    """Bytes in the unit that a reader expects."""
    if size is None:
        return "unknown"
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds as minutes or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _rows(pairs: Path) -> int:
    import pyarrow.parquet as pq

    return pq.read_metadata(pairs).num_rows
