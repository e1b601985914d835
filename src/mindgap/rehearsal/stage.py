"""The stage of a rehearsal: a copy of the workflow with data, results and sources of its own.

Rules and library see a checkout like any other: the sizes and checksums of the stand-ins stand in
its workflow/sources.yaml, and its claims name the rehearsal among the runs that answer them.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mindgap.config import merge, read_yaml
from mindgap.config.read import read_config
from mindgap.config.run import Run
from mindgap.data.definitions import sources
from mindgap.data.sources import find_source
from mindgap.overlay import read_name
from mindgap.rehearsal.sizes import nested, shrink
from mindgap.rehearsal.standins import fill_mirror, restate_sources
from mindgap.runtime.files import sha256, write_json

FOLDER = Path(".rehearsal")
MARK = "rehearsal-"
#: What a stage has for itself; everything else is a link to the checkout.
_COPIED = ("Snakefile", "rules", "scripts", "config", "profiles", "workflow")
_OWN = ("data", "results", "mirror", "mirror.json", "overlay.yaml")
_NOTE = (
    ".. warning:: This is a rehearsal: small stand-ins took the place of all data and models, so "
    "no number on this page means anything.\n\n"
)


@dataclass(frozen=True)
class Stage:
    """Where a rehearsal plays, and what it plays.

    Attributes
    ----------
    folder
        Root of the copy of the workflow.
    played
        Name of the run that is rehearsed.
    run
        The rehearsal, resolved.
    changes
        Dotted key -> value of everything that the overlay changes.
    notes
        Stand-ins that are guesses.
    """

    folder: Path
    played: str
    run: Run
    changes: dict[str, Any]
    notes: list[str]

    @property
    def results(self) -> Path:
        """Results of the rehearsal."""
        return self.folder / "results" / self.run.name

    def words(self, config: str) -> list[str]:
        """Options of Snakemake that every call in the stage has."""
        return ["--configfile", str(Path(config).resolve()), "overlay.yaml"]


def set_stage(config: str, root: Path, accounts: bool = False, elsewhere: bool = False) -> Stage:
    """Prepare the rehearsal of a config file: overlay, stand-ins, copy of the workflow.

    With `accounts`, sets that need an account or consent are rehearsed, too, selected or not;
    `elsewhere` says that jobs run on other machines than this one.
    """
    played = read_name(config)
    default, prompts = (
        read_yaml(root / "config/default.yaml"),
        read_yaml(root / "workflow/prompts.yaml"),
    )
    table = read_yaml(root / "workflow/sources.yaml")
    given = merge(default, read_config(config))
    folder = root / FOLDER / played
    first = {"select": with_accounts(given, table)["select"]} if accounts else {}
    changes = {"run": f"{MARK}{played}", "mirror": str((folder / "mirror").resolve())}
    changes |= {
        f"select.{k}": v for k, v in first.get("select", {}).items() if v != given["select"].get(k)
    }
    changes |= shrink(Run.resolve(merge(given, first), prompts).options, elsewhere)
    run = Run.resolve(merge(given, nested(changes)), prompts)
    _copy(root, folder)
    shutil.rmtree(folder / "mirror", ignore_errors=True)
    notes = fill_mirror(run, folder / "mirror")
    forget_other(folder)
    _write(folder / "overlay.yaml", nested(changes))
    _write(folder / "workflow/sources.yaml", restate_sources(table, folder / "mirror"))
    claims = read_yaml(root / "workflow/claims.yaml")
    _write(folder / "workflow/claims.yaml", cast(claims, played, run.name))
    page = folder / "workflow/report/workflow.rst"
    page.write_text(_NOTE + page.read_text(encoding="utf-8"), encoding="utf-8")
    return Stage(folder, played, run, changes, notes)


def with_accounts(given: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """A configuration that also selects the sets that need an account, and their codebooks."""
    shut = {
        name
        for name, definition in given.get("datasets", {}).items()
        if definition["kind"] not in ("folder", "webdataset", "huggingface")
        and any(find_source(table, *place).url is None for place in sources(definition))
    }
    tasks = given.get("codebook", {}).get("tasks", {})
    books = [name for name, task in tasks.items() if {task["train"], task["test"]} & shut]
    inside = {task[role] for task in tasks.values() for role in ("train", "test")}
    select = given["select"]
    more = {"datasets": sorted(shut - inside), "codebooks": books}
    both = {
        k: [*select.get(k, []), *(n for n in v if n not in select.get(k, []))]
        for k, v in more.items()
    }
    return {**given, "select": {**select, **both}}


def cast(claims: list[dict[str, Any]], played: str, name: str) -> list[dict[str, Any]]:
    """Claims that a run answers, answered by its rehearsal, too."""
    return [
        {**claim, "runs": [*claim["runs"], name]} if played in claim["runs"] else claim
        for claim in claims
    ]


def _copy(root: Path, folder: Path) -> None:
    """Copy what Snakemake goes by, and link whatever else lies in the checkout."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _COPIED:
        source, target = root / name, folder / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    for source in root.iterdir():
        if not source.name.startswith(".") and source.name not in (*_COPIED, *_OWN):
            link = folder / source.name
            link.unlink(missing_ok=True)
            link.symlink_to(source.resolve())


def forget_other(folder: Path) -> None:
    """Delete an earlier rehearsal if the stand-ins are not the same any more."""
    mirror, listing = folder / "mirror", folder / "mirror.json"
    files = sorted(p for p in mirror.rglob("*") if p.is_file())
    now = {p.relative_to(mirror).as_posix(): sha256(p) for p in files}
    before = json.loads(listing.read_text(encoding="utf-8")) if listing.exists() else None
    if now != before:
        for name in ("data", "results"):
            shutil.rmtree(folder / name, ignore_errors=True)
    write_json(listing, now)


def _write(path: Path, data: Any) -> None:
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000)
    path.write_text(text, encoding="utf-8")
