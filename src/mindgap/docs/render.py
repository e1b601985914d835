"""Fill the templates of README and pages from the snapshot.

A template says `{{ run("embedded")(table, column, model="clip") | d(3) }}`; a number that is no
result is marked: `published("0.238")` is a paper's, `setting("5,000")` was chosen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from mindgap.config import read_yaml
from mindgap.docs.reference import describe_commands
from mindgap.docs.snapshot import Plan, read_plan
from mindgap.docs.tables import RunTables, duration, number, percent, size, small
from mindgap.report.joined import join_scores, read_runs
from mindgap.report.rollup import MARKS, Line, count_words, roll_up
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import write_text

TEMPLATES, SNAPSHOT = Path("docs/templates"), Path("docs/snapshot")
SUFFIX = ".j2"
FEATURES = Path("resources/mind-the-gap-features/features_clip.npy")
EXPLORER = Path("docs/explanation/clip-explorer.html")


def documents(plan: Plan, claims: list[dict[str, Any]], figures: list[dict[str, Any]]) -> dict:
    """Path -> text of every page that is filled from the snapshot, README.md among them.

    Paths are relative to the root of the repository, where this must be called.
    """
    environment = make_environment(plan, claims, figures)
    texts = {}
    for path in find_templates():
        name = path.relative_to(TEMPLATES).as_posix()
        try:
            heading = f"<!-- Written by `make docs` from {path}; edit that. -->"
            text = environment.get_template(name).render(heading=heading)
            texts[target_of(path)] = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
        except (TemplateError, UserError) as error:
            raise UserError(f"{path}: {error}") from error
    return texts


def write_documents() -> list[str]:
    """Write all pages of this checkout; return a line about each one that changed."""
    claims, figures = read_yaml("workflow/claims.yaml"), read_yaml("workflow/figures.yaml")
    lines = []
    for path, text in documents(read_plan(), claims, figures).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
            lines.append(f"{path}: written")
    return lines or ["all pages are as the snapshot has them"]


def write_explorer(path: Path = EXPLORER) -> None:
    """Write the page in which a reader moves the gap of CLIP, from the shipped features."""
    import numpy as np

    import mindgap

    if not path.exists():
        image, text = np.load(FEATURES)
        mindgap.explore(image, text, path=path, batch=50)


def find_templates() -> list[Path]:
    """Templates of pages; names that begin with `_` are parts of others."""
    found = TEMPLATES.rglob(f"*{SUFFIX}")
    return sorted(path for path in found if not path.name.startswith("_"))


def target_of(template: Path) -> Path:
    """Where the page of a template goes: README.md to the root, others below docs/."""
    name = template.relative_to(TEMPLATES).with_suffix("")
    return name if name == Path("README.md") else Path("docs") / name


def make_environment(
    plan: Plan, claims: list[dict[str, Any]], figures: list[dict[str, Any]]
) -> Environment:
    """Jinja2 with the numbers of the snapshot; an unknown name is an error."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "d": number,
        "pct": percent,
        "p": small,
        "duration": duration,
        "size": size,
        "thousands": lambda value: f"{value:,}",
    }
    environment.tests["match_start"] = lambda value, start: value.startswith(start)
    environment.globals |= fields(plan, claims, figures)
    return environment


def fields(
    plan: Plan, claims: list[dict[str, Any]], figures: list[dict[str, Any]]
) -> dict[str, Any]:
    """What a template can name."""
    scores = read_runs(SNAPSHOT)
    rows = join_scores(claims, scores)
    lines = roll_up(rows, figures, lambda name: False)

    @cache
    def run(name: str) -> RunTables:
        if name not in scores:
            raise UserError(f"run {name} is not in {SNAPSHOT}; test with has({name!r}) first")
        return RunTables(SNAPSHOT / name)

    known = [name for name in plan.runs if name in scores]
    machines = {run(name).facts["machine"]["cores"] for name in known}
    return {
        "run": run,
        "first": lambda *names: run(next((name for name in names if name in scores), names[-1])),
        "configs": list(configs()),
        "machine": f"{' or '.join(map(str, sorted(machines)))} CPU cores",
        "commands": describe_commands,
        "line_words": lambda line: count_words(line.verdicts),
        "above": above_chance,
        "widest": widest_gaps,
        "models_below": models_below,
        "has": lambda name: name in scores,
        "runs": [run(name) for name in known],
        "scores": rows,
        "lines": lines,
        "marks": MARKS,
        "count": counter(rows),
        "words": lambda some: count_words(Counter(row["verdict"] for row in some)),
        "claims": {claim["id"]: claim for claim in claims},
        "verdict": {row["id"]: row["verdict"] for row in rows}.__getitem__,
        "rolled": rolled,
        "published": lambda value: value,
        "setting": lambda value: value,
    }


def counter(rows: list[dict[str, Any]]) -> Callable[..., int]:
    """A function that counts claims: `count(verdict="reproduced", **{"class": "theory"})`.

    `answered=True` leaves out what no run answers.
    """

    def count(answered: bool = False, **where: Any) -> int:
        return sum(
            all(row[key] == value for key, value in where.items())
            and not (answered and row["verdict"] == "not_run")
            for row in rows
        )

    return count


def rolled(lines: list[Line]) -> Iterator[tuple[str, str, str, str]]:
    """Mark, name, subject and share of reproduced claims of each line of a scorecard."""
    for line in lines:
        share = f"{line.verdicts.get('reproduced', 0)} of {line.answered}"
        name = f"{line.paper} {line.name}".strip()
        yield MARKS[line.verdict], name, line.about, share if line.answered else "not run"


def configs() -> Iterator[tuple[str, str]]:
    """Name and file of each run of this checkout, the default one first."""
    default = Path("config/default.yaml")
    for path in sorted(Path("config").glob("*.yaml"), key=lambda path: (path != default, path)):
        yield read_yaml(path)["run"], path.as_posix()


def above_chance(run: RunTables, task: str, family: str) -> float:
    """How far codes of one modality tell a family of concepts in the other, in the mean."""
    rows = run.frame("codebook/generalisation.csv", task=task, variant="matched", family=family)
    crossed = rows[rows["trained_on"] != rows["tested_on"]]
    return float((crossed["accuracy"] - crossed["chance"]).mean())


def widest_gaps(run: RunTables, definition: str) -> str:
    """The widest gap on the way of each training of a definition."""
    rows = run.frame("train/trajectories.csv", definition=definition)
    return ", ".join(number(value, 2) for value in rows.groupby("seed")["gap"].max())


def models_below(run: RunTables, over: str, gap: float) -> tuple[int, float]:
    """How many models of a set have a smaller gap, and Kendall's tau of their gap and R@1."""
    from scipy import stats

    rows = run.frame("downstream/models.csv", over=over)
    few = rows[rows["gap"] < gap]
    return len(few), float(stats.kendalltau(few["gap"], few["recall_at_1_ab"]).statistic)
