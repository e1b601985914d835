"""What a run would download, compute and store, from a dry run and the records of earlier runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mindgap.config.run import Run
from mindgap.data.definitions import describe, modalities, sources
from mindgap.data.sources import carried_places, find_source, place_of, shipped_file
from mindgap.report.dry import Job
from mindgap.report.lengths import count_rows, estimate, read_benchmarks
from mindgap.report.online import ask_checkpoints, ask_sizes
from mindgap.report.rates import Rate

#: Sizes of embeddings that no earlier run has made: float32 of this many dimensions.
DIMENSIONS = 512
#: Bytes of an item whose files have no known size, and of a reference to one.
ITEM_BYTES, REFERENCE_BYTES = 4000, 30


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
                "exact": file["bytes"] is not None,
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
            "exact": False,
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
        return count_rows(pairs)
    if "scenes" in definition:
        return definition["scenes"]
    published = None
    if wanted := sources(definition) or sources({**definition, "files": {}}):
        counts = table[wanted[0][0]].get("items", {})
        published = counts.get(definition.get("split", "all"))
    if "items" in definition:
        return min(definition["items"], published or definition["items"])
    return published


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


def list_captions(run: Run, table: dict[str, Any]) -> dict[str, int]:
    """Captions of an item of each published set."""
    found = {}
    for name, definition in run.sets.items():
        if wanted := sources({**definition, "files": {}}):
            found[name] = table[wanted[0][0]].get("captions", 1)
    return found


def ask_network(run: Run, table: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    """Ask for the sizes of what is to be downloaded, put them into the rows, say what is odd."""
    urls = {f"{s}/{n}": find_source(table, s, n).url for s, n in run.places}
    asked = [r for r in rows if r["state"] == "to download"]
    files = {r["file"]: urls[r["file"]] for r in asked if urls.get(r["file"])}
    answers = ask_sizes(files.values())
    if not answers:
        return ["no address can be reached: sizes are those of workflow/sources.yaml"]
    notes, found = [], {name: answers[url] for name, url in files.items()}
    names = {f"hub: {o['checkpoint']}@{o['revision']}": o for o in run.checkpoints.values()}
    wanted = {name: (o["checkpoint"], o["revision"]) for name, o in names.items()}
    hub = ask_checkpoints(wanted[r["file"]] for r in asked if r["file"] in wanted)
    found |= {name: hub[one] for name, one in wanted.items() if one in hub}
    for row in asked:
        answer = found.get(row["file"])
        if answer is None:
            continue
        if answer.note:
            notes.append(f"{row['file']}: {answer.note}")
        elif row["bytes"] and row["exact"] and row["bytes"] != answer.bytes:
            notes.append(
                f"{row['file']}: {answer.bytes:,} bytes there, {row['bytes']:,} in "
                "workflow/sources.yaml"
            )
        row["bytes"] = answer.bytes or row["bytes"]
    return notes


def write_plan(
    jobs: list[Job],
    run: Run,
    table: dict[str, Any],
    results: Path,
    rate: Rate,
    prompts: dict[str, Any] | None = None,
    online: bool = False,
) -> str:
    """The plan of a run for people, from the jobs that it would start.

    Parameters
    ----------
    rate
        How fast the device computes that the run is planned for.
    prompts
        Those of workflow/prompts.yaml, by which configurations of earlier runs are resolved.
    online
        Ask the addresses of downloads for their sizes.
    """
    items = {
        name: count_items(definition, table, results / run.name / f"pairs/{name}.parquet")
        for name, definition in run.sets.items()
    }
    rows = list_downloads(run, table)
    notes = ask_network(run, table, rows) if online else []
    lines = [f"run {run.name}: {len(jobs)} jobs", "", *_downloads(rows, notes), "", "COMPUTE"]
    known = read_benchmarks(results, prompts)
    plan = estimate(jobs, run, items, list_captions(run, table), known, rate)
    lines += [*_lengths(plan), f"  {'':24}  {rate.words}", "", "STORE"]
    sizes = [row["bytes"] for row in rows if row["state"] == "to download"]
    stored = {"downloads": None if None in sizes else sum(sizes)}
    stored |= list_storage(run, table, items, jobs)
    lines += [f"  {human(size):>9}  {what}" for what, size in stored.items()]
    return "\n".join(lines)


def _downloads(rows: list[dict[str, Any]], notes: list[str]) -> list[str]:
    lines = ["DOWNLOAD"]
    for row in rows:
        terms = f"{row['state']}; {row['licence']}"
        lines.append(f"  {human(row['bytes']):>9}  {row['file']}  ({terms})")
    waiting = [row for row in rows if row["state"] == "to download"]
    sizes = [row["bytes"] for row in waiting]
    unknown = f", and {sizes.count(None)} files of unknown size" if None in sizes else ""
    total = human(sum(size or 0 for size in sizes))
    lines.append(f"  {total:>9}  to download in {len(waiting) - sizes.count(None)} files{unknown}")
    for obtain in dict.fromkeys(r["obtain"] for r in rows if r["state"].startswith("obtain")):
        names = [r["file"] for r in rows if r["obtain"] == obtain and r["state"][0] == "o"]
        lines.append(f"  needs an account or consent: {obtain}")
        lines += [f"             put it at data/{name}" for name in names]
    return [*lines, *(f"  note: {note}" for note in notes)]


def _lengths(plan: dict[str, dict[str, Any]]) -> list[str]:
    """A line for each rule with the arithmetic, and the sum; what is unknown stands apart."""
    lines = []
    for rule, row in plan.items():
        known = row["jobs"] - row["unknown"]
        apart = f", {row['unknown']} of unknown length" if row["unknown"] and known else ""
        lines.append(
            f"  {_span(row) if known else 'unknown':>24}  {row['jobs']:4d} x {rule}{apart}"
        )
        kinds = row["words"]
        for words, count in sorted(kinds.items(), key=lambda one: -one[1])[:6]:
            lines.append(f"  {'':24}       {count} x {words}")
        if len(kinds) > 6:
            lines.append(f"  {'':24}       and {len(kinds) - 6} others")
    whole = {key: sum(row[key] for row in plan.values()) for key in ("low", "seconds", "high")}
    missing = sum(row["unknown"] for row in plan.values())
    rest = f", without {missing} jobs of unknown length" if missing else ""
    lines.append(f"  {_span(whole):>24}  one job after another{rest}")
    if missing:
        lines.append(f"  {'':24}  (the run `smoke`, or a rehearsal, times most rules here)")
    return lines


def _span(row: dict[str, float]) -> str:
    return f"{duration(row['seconds'])} ({duration(row['low'])} to {duration(row['high'])})"


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
