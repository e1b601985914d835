"""Count the verdicts of a scorecard; light enough to run at the end of every workflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VERDICTS = ("reproduced", "differs", "not_run")


def count_verdicts(scores: list[dict[str, Any]]) -> dict[str, int]:
    """Count how many claims got each verdict."""
    return {verdict: sum(s["verdict"] == verdict for s in scores) for verdict in VERDICTS}


def summary(scores: list[dict[str, Any]], run: str) -> str:
    """One line that counts the verdicts."""
    words = {"differs": "differ", "not_run": "not run"}
    counts = ", ".join(f"{n} {words.get(v, v)}" for v, n in count_verdicts(scores).items())
    return f"scorecard of run `{run}`: {len(scores)} claims: {counts}"


def read_summary(run: str) -> str:
    """Summarise `results/{run}/scorecard.json` and name the claims that differ."""
    path = Path("results") / run / "scorecard.json"
    if not path.exists():
        return f"no scorecard in results/{run} yet"
    scores = json.loads(path.read_text(encoding="utf-8"))
    lines = [summary(scores, run)]
    lines += [
        f"  differs: {s['id']}: published {s['published']}, measured {s['measured']:.6g}"
        for s in scores
        if s["verdict"] == "differs"
    ]
    return "\n".join([*lines, f"  see {path.with_suffix('.md')}"])


def read_errors(logs: list[str]) -> str:
    """Return the sentences with which jobs ended, from the workflow's own logs, each once."""
    lines = [x for log in logs for x in Path(log).read_text(encoding="utf-8").splitlines()]
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith("error: ")))
