"""Which errors would each claim notice? Change what it reads on purpose and score it again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from mindgap.report.cells import Cell, find_cells
from mindgap.report.judge import judge
from mindgap.report.mutations import Mutation, errors, scales
from mindgap.report.parts import Summary, mutate_parts
from mindgap.report.tables import Present, Tables

COLUMNS = ("claim", "class", "table", "kind", "mutation", "size", "before", "after", "flips")
_SIZED = ("scale", "condition", "curve")
#: A relative error that a claim about a number must notice, or say why it cannot.
LARGE = 0.1


def audit_claims(
    claims: list[dict[str, Any]],
    tables: Tables,
    run: str,
    present: Present,
    summaries: list[Summary],
) -> pd.DataFrame:
    """One row per claim and mutation that changes a number it reads.

    Columns claim, class, table, kind and words of the mutation, size (relative error, if it has
    one), the verdict before and after, and whether they differ. The kind `noop` is what the claim
    itself declares as the method doing nothing. Claims that the run does not answer are left out.
    """
    answered = _answered(claims, tables, run, present)
    rows = []
    for claim, cells, before in answered:
        for one in (*scales(claim, tables, cells), *errors(claim, tables, cells)):
            rows += _row(claim, cells, before, one, tables, present)
    rows += _parts(answered, tables, present, mutate_parts(summaries, tables))
    order = {claim["id"]: i for i, claim in enumerate(claims)}
    return pd.DataFrame(sorted(rows, key=lambda row: order[row["claim"]]), columns=COLUMNS)


def measure_powers(
    claims: list[dict[str, Any]],
    tables: Tables,
    run: str,
    present: Present,
    summaries: list[Summary],
) -> dict[str, float | None]:
    """Power of each claim that holds in a run: the smallest relative error it would notice."""
    answered = [one for one in _answered(claims, tables, run, present) if one[2] == "reproduced"]
    rows = []
    for claim, cells, before in answered:
        noticed = 0.0
        for one in scales(claim, tables, cells):
            if noticed and one.size > noticed:
                break  # larger errors of the same kind are noticed too
            found = _row(claim, cells, before, one, tables, present)
            rows += found
            if not noticed and _both(rows[-2:], one.size):
                noticed = one.size
    parted = [one for one in answered if "direction" in one[0] or "flat" in one[0]["noop"]]
    read = {claim["measured"]["table"] for claim, _, _ in parted}
    behind = [summary for summary in summaries if read & set(summary.makes)]
    rows += _parts(parted, tables, present, mutate_parts(behind, tables, _SIZED[1:]))
    table = pd.DataFrame(rows, columns=COLUMNS)
    by_claim = dict(tuple(table.groupby("claim")))
    return {
        claim["id"]: power(claim, by_claim[claim["id"]]) if claim["id"] in by_claim else None
        for claim, _, _ in answered
    }


def power(claim: dict[str, Any], rows: pd.DataFrame) -> float | None:
    """Smallest relative error that turns a claim, from its rows of the audit.

    For a claim about a number both a larger and a smaller one must; for a direction, any error of
    that size in what it reads or in one of the conditions behind it; for a place on a grid, an
    error of the curve that it is the lowest point of. None where none of them does, or the claim
    does not hold to begin with.
    """
    rows = rows[(rows["before"] == "reproduced") & rows["kind"].isin(_SIZED)]
    if "flat" in claim["noop"]:
        rows = rows[rows["kind"] == "curve"]
    elif "direction" not in claim:
        rows = rows[rows["kind"] != "curve"]
        direct = rows[rows["kind"] == "scale"].groupby("size")["flips"].agg(["min", "size"])
        found = direct.index[(direct["min"] == 1) & (direct["size"] == 2)]
        return float(found.min()) if len(found) else None
    sizes = rows.loc[rows["flips"] == 1, "size"]
    return float(sizes.min()) if len(sizes) else None


def weak_claims(claims: list[dict[str, Any]], table: pd.DataFrame) -> list[str]:
    """One sentence per claim that holds and cannot be trusted to fail, after its audit."""
    found = []
    for claim in claims:
        rows = table[(table["claim"] == claim["id"]) & (table["before"] != "broken")]
        name = claim["id"]
        if rows.empty:
            continue
        noop = rows[rows["kind"] == "noop"]
        if (noop["after"] == "reproduced").any():
            which = noop.loc[noop["after"] == "reproduced", "mutation"].iloc[0]
            found.append(f"{name}: holds although the method does nothing ({which})")
        if noop.empty and "none" not in claim["noop"]:
            found.append(f"{name}: its no-op was not tried")
        lost = rows[rows["kind"].isin(["row", "cell"])]
        if not (lost["after"] == "broken").all():
            found.append(f"{name}: does not notice a missing cell")
        if rows["before"].iloc[0] != "reproduced":
            continue
        if not rows.loc[~rows["kind"].isin(["row", "cell"]), "flips"].any():
            found.append(f"{name}: nothing turns it")
        noticed = power(claim, rows)
        if "direction" not in claim and "coarse" not in claim and (noticed or 1) > LARGE:
            found.append(f"{name}: does not notice an error of {LARGE:.0%}, and does not say why")
    return found


def _answered(
    claims: list[dict[str, Any]], tables: Tables, run: str, present: Present
) -> list[tuple[dict[str, Any], list[Cell], str]]:
    """Claims that a run answers, with their cells and verdicts."""
    found = []
    for claim in claims:
        if "model" in claim["measured"]["where"] or run in claim["runs"]:
            cells, lack = find_cells(claim, tables, present)
            verdict = "not_run" if lack else judge(claim, cells)[0]
            if verdict not in ("not_run", "broken"):
                found.append((claim, cells, verdict))
    return found


def _parts(
    answered: list[tuple[dict[str, Any], list[Cell], str]],
    tables: Tables,
    present: Present,
    mutations: Iterable[Mutation],
) -> list[dict[str, Any]]:
    rows = []
    for one in mutations:
        for claim, cells, before in answered:
            if claim["measured"]["table"] in one.tables:
                rows += _row(claim, cells, before, one, tables, present)
    return rows


def _row(
    claim: dict[str, Any],
    cells: list[Cell],
    before: str,
    one: Mutation,
    tables: Tables,
    present: Present,
) -> list[dict[str, Any]]:
    """The row of one mutation, or none if the claim reads the same numbers as before."""
    changed, _ = find_cells(claim, tables.changed(one.tables), present)
    if changed == cells:
        return []
    after = judge(claim, changed)[0]
    head = {"claim": claim["id"], "class": claim["class"], "table": claim["measured"]["table"]}
    what = {"kind": "noop" if _is_noop(claim, one) else one.kind, "mutation": one.words}
    ends = {"before": before, "after": after, "flips": int(after != before)}
    return [{**head, **what, "size": one.size, **ends}]


def _is_noop(claim: dict[str, Any], one: Mutation) -> bool:
    """Whether a mutation is the one that a claim declares as its no-op."""
    ((kind, what),) = claim["noop"].items()
    if kind == "none":
        return False
    if kind == "equal":
        return one.words in (f"{what[0]} := {what[1]}", "no difference")
    if kind == "still":
        return (one.kind, one.words) == ("still", what) or one.words == "no difference"
    return one.kind == "set" or (kind == "flat" and one.kind == "flat")


def _both(rows: list[dict[str, Any]], size: float) -> bool:
    """Whether the last two rows are both signs of one size, and turn the claim."""
    return len(rows) == 2 and all(row["size"] == size and row["flips"] for row in rows)


def say_audit(claims: list[dict[str, Any]], table: pd.DataFrame) -> list[str]:
    """What an audit found, in lines: how many claims each mutation turns, and who excuses what."""
    lines = [f"{table['claim'].nunique()} claims, {len(table)} changes of what they read"]
    held = table[table["before"] == "reproduced"]
    for kind, some in held.groupby("kind"):
        each = some.groupby(pd.to_numeric(some["size"]).fillna(0))
        turned = [one.groupby("claim")["flips"].max() for _, one in each]
        sizes = (
            f", off by {' '.join(f'{size:.0%}' for size in each.groups)}" if kind in _SIZED else ""
        )
        counts = ", ".join(f"{one.sum():.0f} of {len(one)}" for one in turned)
        lines.append(f"  {kind}{sizes}: turns {counts}")
    for claim in claims:
        rows = held[held["claim"] == claim["id"]]
        if "coarse" in claim and len(rows) and (power(claim, rows) or 1) > LARGE:
            lines.append(f"  {claim['id']} notices no error of {LARGE:.0%}: {claim['coarse']}")
        if "none" in claim["noop"] and claim["id"] in set(table["claim"]):
            lines.append(f"  {claim['id']} has no no-op: {claim['noop']['none']}")
    return lines
