"""Count the verdicts of a scorecard; light enough to run at the end of every workflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VERDICTS = ("reproduced", "differs", "undecided", "broken", "not_run")
_CLASSES = ("empirical", "theory", "self", "extension")


def count_verdicts(scores: list[dict[str, Any]]) -> dict[str, int]:
    """Count how many claims got each verdict."""
    return {verdict: sum(s["verdict"] == verdict for s in scores) for verdict in VERDICTS}


def count_classes(scores: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Count the verdicts of each class of claims."""
    return {name: count_verdicts([s for s in scores if s["class"] == name]) for name in _CLASSES}


def summary(scores: list[dict[str, Any]], run: str) -> str:
    """One line that counts the verdicts."""
    words = {"differs": "differ", "not_run": "not run"}
    counts = ", ".join(f"{n} {words.get(v, v)}" for v, n in count_verdicts(scores).items())
    return f"scorecard of run `{run}`: {len(scores)} claims: {counts}"


def read_scores(folder: str | Path) -> list[dict[str, Any]]:
    """Scored claims of a run's folder."""
    return json.loads((Path(folder) / "scorecard.json").read_text(encoding="utf-8"))


def read_summary(run: str) -> str:
    """Summarise `results/{run}/scorecard.json` and name the claims that do not hold."""
    folder = Path("results") / run
    if not (folder / "scorecard.json").exists():
        return f"no scorecard in {folder} yet"
    scores = read_scores(folder)
    lines = [summary(scores, run)]
    for s in scores:
        if s["verdict"] == "differs":
            measured = "no number" if s["measured"] is None else f"{s['measured']:.6g}"
            lines.append(f"  differs: {s['id']}: published {s['published']}, measured {measured}")
    lines += [f"  {line}" for line in broken(scores)]
    return "\n".join([*lines, f"  see {folder / 'scorecard.md'}"])


def broken(scores: list[dict[str, Any]]) -> list[str]:
    """One sentence per claim whose cells are missing."""
    return [f"broken: {s['id']}: {s['reason']}" for s in scores if s["verdict"] == "broken"]


def read_errors(logs: list[str]) -> str:
    """Return the sentences with which jobs ended, from the workflow's own logs, each once."""
    lines = [x for log in logs for x in Path(log).read_text(encoding="utf-8").splitlines()]
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith("error: ")))
