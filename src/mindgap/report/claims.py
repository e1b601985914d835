"""Score the claims against the tables of a run."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

from mindgap.report.cells import Cell, find_cells
from mindgap.report.judge import LEAST_SEEDS, judge, tolerance
from mindgap.report.tables import Present, Tables
from mindgap.runtime.errors import UserError

FIELDS = (
    "id",
    "paper",
    "figure",
    "statement",
    "evidence",
    "published",
    "measured",
    "tolerance",
    "verdict",
    "reason",
    "class",
    "points",
    "power",
    "runs",
)

_STATIC = ("id", "paper", "figure", "statement", "evidence", "published")

#: What the tag at the head of a reason says about the published value.
EVIDENCE = {
    "P": "[P] printed in the paper or in the authors' notebooks",
    "A": "[A] the paper's own printed numbers, computed again from other numbers that it prints",
    "D": "[D] read off a published plot",
    "C": "[C] not printed anywhere: computed from the files that the authors published",
    "R": "[R] computed by somebody else, or a closed form; the claim says whose",
    "none": "[-] the claim is a direction without a number",
}

#: What a claim is about; each class is counted apart.
CLASSES = {
    "empirical": "what the papers measured",
    "theory": "the papers' theorems and closed forms",
    "self": "the papers against their own printed numbers",
    "extension": "our own questions, models and data",
}


def check_claims(claims: list[dict[str, Any]], schema: dict[str, Any]) -> None:
    """Refuse a claims file that does not match its schema or names a claim twice."""
    for error in Draft202012Validator(schema).iter_errors(claims):
        where = ".".join(str(part) for part in error.absolute_path)
        raise UserError(f"claims.yaml: {where}: {error.message}")
    names = [claim["id"] for claim in claims]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"claims.yaml: two claims are called {min(twice)!r}")


def score_claims(
    claims: list[dict[str, Any]], tables: Tables, run: str, present: Present
) -> list[dict[str, Any]]:
    """Return one scored row per claim, in the order of the claims, with the keys `FIELDS`.

    Parameters
    ----------
    claims
        As workflow/schemas/claims.schema.yaml describes them.
    tables
        Tables of the run, and the published values.
    run
        Name of the run. A claim about no model belongs to the runs that it names; any other is
        judged wherever the run has its model.
    present
        Rows that the tables of the run should have, see `mindgap.report.present`: a claim about
        others is `not_run`; one about a row that should be there and is not is `broken`.
    """
    return [score_claim(claim, tables, run, present) for claim in claims]


def score_claim(
    claim: dict[str, Any], tables: Tables, run: str, present: Present
) -> dict[str, Any]:
    """Score one claim; its power is not known yet."""
    where = claim["measured"]["where"]
    if "model" not in where and run not in claim["runs"]:
        cells, lack = [], "part in a claim that is about no model"
    else:
        cells, lack = find_cells(claim, tables, present)
    if lack:
        verdict, measured = "not_run", None
    else:
        verdict, measured = judge(claim, cells)
    return {
        **{key: claim[key] for key in _STATIC},
        "measured": measured,
        "tolerance": tolerance(claim),
        "verdict": verdict,
        "reason": _reason(claim, cells, verdict, measured, lack, run),
        "class": claim["class"],
        "points": len(cells),
        "power": None,
        "runs": claim["runs"],
    }


def _reason(
    claim: dict[str, Any],
    cells: list[Cell],
    verdict: str,
    measured: float | None,
    lack: str,
    run: str,
) -> str:
    if lack:
        runs = " or ".join(f"`{r}`" for r in claim["runs"])
        return f"run `{run}` has no {lack}; answered by run {runs}"
    if verdict == "broken":
        return "; ".join(dict.fromkeys(cell.missing for cell in cells if cell.missing))
    notes = []
    if verdict == "differs" and "tolerance" in claim:
        notes.append(f"off by {measured - claim['published']:+.4g}")
    if verdict == "undecided":
        notes.append(_undecided(cells))
    if "source" in claim:
        notes.append(f"after {claim['source']}")
    tag = "-" if claim["evidence"] == "none" else claim["evidence"]
    return f"[{tag}] " + "; ".join([*notes, claim["why"]])


def _undecided(cells: list[Cell]) -> str:
    """What keeps the first cell that settles nothing from doing so."""
    few = [cell.seeds for cell in cells if cell.seeds is not None and cell.seeds < LEAST_SEEDS]
    if few:
        seeds = "one seed" if few[0] == 1 else f"{few[0]} seeds"
        return f"{seeds} of the {LEAST_SEEDS} that a direction needs"
    wide = min(cells, key=lambda cell: -(cell.high - cell.low))
    return f"the interval from {wide.low:.4g} to {wide.high:.4g} leaves it open"
