"""What a run says at its end; light enough for the end of every workflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from mindgap.report.decisions import Decision, read_decisions
from mindgap.report.rollup import ORDER, count_words, to_screen

VERDICTS = tuple(reversed(ORDER[:-1])) + ORDER[-1:]
CLASSES = ("empirical", "theory", "self", "extension")


def count_verdicts(scores: list[dict[str, Any]]) -> dict[str, int]:
    """Count how many claims got each verdict."""
    return {verdict: sum(s["verdict"] == verdict for s in scores) for verdict in VERDICTS}


def count_classes(scores: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Count the verdicts of each class of claims."""
    return {name: count_verdicts([s for s in scores if s["class"] == name]) for name in CLASSES}


def broken(scores: list[dict[str, Any]]) -> list[str]:
    """One sentence per claim with missing cells."""
    return [f"{s['id']}: {s['reason']}" for s in scores if s["verdict"] == "broken"]


def summary(scores: list[dict[str, Any]], run: str) -> str:
    """One line that counts the verdicts."""
    return f"scorecard of run `{run}`: {len(scores)} claims: {count_words(count_verdicts(scores))}"


def read_summary(run: str, home: str | Path = ".") -> str:
    """The screen at the end of a run; `home` is the folder of the project."""
    results = Path("results") / run
    path = results / "scorecard.json"
    if not path.exists():
        return f"no scorecard in {results} yet"
    scores = json.loads(path.read_text(encoding="utf-8"))
    figures = yaml.safe_load(Path(home, "workflow/figures.yaml").read_text(encoding="utf-8"))
    return "\n".join(to_screen(scores, figures, results, _decisions(results)))


def _decisions(results: Path) -> list[Decision]:
    """Decisions of a run, as its metrics name them: other files may be left from before."""
    path = results / "metrics.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    named = known.get("decisions", {})
    return read_decisions(results, [(model, d) for model, sets in named.items() for d in sets])
