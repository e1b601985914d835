"""The record of a run: what made it, on what machine, at what cost, and each file's checksum."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from collections import defaultdict
from datetime import UTC, datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mindgap.runtime.files import sha256
from mindgap.runtime.job import read_usage

#: Version of the record's own format.
SCHEMA = 1
NAME = "record.json"
#: What a run writes about itself while it goes; it differs between runs that agree in all results.
_OWN = ("logs", "benchmarks", NAME, "record.html", "report.html", "checked.json", "audit.csv")


def describe_files(folder: str | Path) -> dict[str, dict[str, Any]]:
    """Bytes and sha256 of every result in a run's folder, by its path inside the folder."""
    folder = Path(folder)
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        inside = path.relative_to(folder)
        if inside.parts[0] in _OWN or any(part.startswith(".") for part in inside.parts):
            continue
        found[inside.as_posix()] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    return found


def sum_costs(folder: str | Path) -> list[dict[str, Any]]:
    """Jobs, wall and CPU seconds and peak memory (MB) of each rule, as their logs have them."""
    folder = Path(folder)
    rules: dict[str, list[dict[str, float]]] = defaultdict(list)
    for path in sorted(folder.rglob("*.log")):
        if (usage := read_usage(path)) is not None:
            rules[path.relative_to(folder).parts[0].removesuffix(".log")].append(usage)
    return [
        {
            "rule": rule,
            "jobs": len(rows),
            "seconds": round(sum(row["seconds"] for row in rows), 2),
            "cpu_seconds": round(sum(row["user"] + row["system"] for row in rows), 2),
            "system_seconds": round(sum(row["system"] for row in rows), 2),
            "peak_mb": max(row["peak_mb"] for row in rows),
        }
        for rule, rows in sorted(rules.items())
    ]


def describe_code(root: str | Path) -> dict[str, Any]:
    """Commit of the clone and whether files differ from it; nulls where there is no clone."""
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain")
    diff = _git(root, "diff", "HEAD") if changes else None
    return {
        "commit": commit or None,
        "dirty": bool(changes) if commit else None,
        "changes_sha256": hashlib.sha256(f"{changes}\n{diff}".encode()).hexdigest()
        if changes
        else None,
    }


def _git(root: str | Path, *words: str) -> str:
    if not (Path(root) / ".git").exists() or shutil.which("git") is None:
        return ""
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def describe_packages(lock: str | Path) -> dict[str, Any]:
    """Checksum of the lock file, and the installed packages that are not as it says."""
    found: dict[str, Any] = {"sha256": sha256(lock), "versions": {}, "differ": {}}
    for line in Path(lock).read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", line):
            name, locked = match.groups()
            try:
                here = version(name)
            except PackageNotFoundError:
                here = None
            found["versions"][name] = here
            # A build for another accelerator has a local suffix, such as +cpu.
            if here is None or here.split("+")[0] != locked:
                found["differ"][name] = locked
    return found


def describe_machine() -> dict[str, Any]:
    """System, Python, cores, memory (MB) and accelerators of this machine."""
    gpus = ""
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        gpus = subprocess.run(query, capture_output=True, text=True).stdout.strip()
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "accelerators": gpus.splitlines(),
    }


def describe_run(root: str | Path, folder: str | Path, sources: list[str]) -> dict[str, Any]:
    """Everything that the record of a run says.

    Parameters
    ----------
    root
        Folder of the workflow, a clone or not.
    folder
        Results of the run.
    sources
        Records of the checksums of what was downloaded, `data/.fetched/{source}/{file}.sha256`, and
        files that come with the repository, `resources/{source}/{file}`.
    """
    root, folder = Path(root), Path(folder)
    return {
        "schema": SCHEMA,
        "run": folder.name,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": describe_code(root),
        "packages": describe_packages(root / "requirements.lock"),
        "machine": describe_machine(),
        "sources": {
            "/".join(Path(p).parts[-2:]).removesuffix(".sha256"): Path(p).read_text().split()[0]
            if p.endswith(".sha256")
            else sha256(p)
            for p in sources
        },
        "costs": sum_costs(folder / "logs"),
        "files": describe_files(folder),
    }


def to_html(record: dict[str, Any]) -> str:
    """The record without its files, as a page of its own."""
    code, machine = record["code"], record["machine"]
    state = {True: " with changes", False: "", None: ""}[code["dirty"]]
    differ = record["packages"]["differ"]
    facts = {
        "run": record["run"],
        "written": record["written"],
        "commit": (code["commit"] or "no clone") + state,
        "requirements.lock": record["packages"]["sha256"],
        "packages that differ from it": ", ".join(
            f"{name} {record['packages']['versions'][name]}" for name in differ
        )
        or "none",
        "system": f"{machine['system']}, Python {machine['python']}",
        "machine": f"{machine['cores']} cores, {machine['memory_mb'] / 1024:.0f} GiB",
        "accelerators": ", ".join(machine["accelerators"]) or "none",
        "files": f"{len(record['files'])}, "
        f"{sum(f['bytes'] for f in record['files'].values()) / 1e6:.1f} MB",
    }
    facts |= {f"source {name}": value for name, value in record["sources"].items()}
    head = "".join(
        f"<tr><th>{escape(key)}</th><td>{escape(str(value))}</td></tr>"
        for key, value in facts.items()
    )
    columns = ("rule", "jobs", "seconds", "cpu_seconds", "system_seconds", "peak_mb")
    names = ("rule", "jobs", "wall s", "CPU s", "of it system s", "peak MB")
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(str(one[c]))}</td>" for c in columns) + "</tr>"
        for one in record["costs"]
    )
    style = "body{font:14px sans-serif}td,th{padding:2px 10px;text-align:left}table{margin:1em 0}"
    return (
        f"<!doctype html><meta charset='utf-8'><title>record of run {escape(record['run'])}</title>"
        f"<style>{style}</style><table>{head}</table><table><tr>"
        + "".join(f"<th>{name}</th>" for name in names)
        + f"</tr>{rows}</table>\n"
    )


def check_run(folder: str | Path, partial: bool = False) -> tuple[str, list[str]]:
    """Compare a run's folder with its record; return a summary and what is wrong, a line each.

    With `partial`, files that are not there (say, because only tables were pulled) are no fault.
    """
    folder = Path(folder)
    try:
        record = json.loads((folder / NAME).read_text(encoding="utf-8"))
        recorded = record["files"]
    except (OSError, ValueError, KeyError) as error:
        return "", [f"{folder} has no readable {NAME} ({error}); run the workflow or pull it"]
    if record["schema"] != SCHEMA:
        return "", [
            f"{folder / NAME} has the schema {record['schema']}, this version writes {SCHEMA}; "
            "check it with the version that wrote it, or run again"
        ]
    found = describe_files(folder)
    wrong = [
        f"{folder / name}: not the file of the record (sha256 {found[name]['sha256'][:12]}..., "
        f"recorded {entry['sha256'][:12]}...); delete it and run again"
        for name, entry in recorded.items()
        if name in found and found[name] != entry
    ]
    missing = [name for name in recorded if name not in found]
    if not partial:
        wrong += [
            f"{folder / name}: is missing; pull it, or make it: snakemake --configfile "
            f"{folder / 'config.yaml'} -- {folder / name}"
            for name in missing
        ]
    wrong += [
        f"{folder / name}: the record does not know it; delete it or run again"
        for name in found
        if name not in recorded
    ]
    same = sum(found.get(name) == entry for name, entry in recorded.items())
    code = record["code"]
    commit = (code["commit"] or "no clone")[:12] + (" with changes" if code["dirty"] else "")
    absent = f", {len(missing)} not here" if missing else ""
    line = f"{folder}: {same} of {len(recorded)} files as recorded{absent}"
    return f"{line} (commit {commit}, {record['written']})", wrong
