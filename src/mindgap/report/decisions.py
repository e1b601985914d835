"""What a run decides about the user's own embeddings: which fix to take for which use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgap.config import paths

if TYPE_CHECKING:
    import pandas as pd

    from mindgap.report.tables import Tables

_FENCE = "```"
#: Columns of the best fix that metrics.json repeats.
_FIX = ("method", "changes", "renormalised", "measure", "estimate", "low", "high")


@dataclass(frozen=True)
class Decision:
    """The decision about one model and data set.

    Attributes
    ----------
    model, dataset
        Their names.
    file
        Its page, below the results of the run.
    page
        Markdown, as `to_page` writes it.
    """

    model: str
    dataset: str
    file: str
    page: str

    @property
    def sentences(self) -> list[str]:
        """The page as plain text without its title; of one pair alone, without its name."""
        lines = [line for line in self.page.splitlines()[1:] if line and line != _FENCE]
        if sum(line.startswith("## ") for line in lines) == 1:
            lines.pop(0)
        return [f"{line[3:]}:" if line.startswith("## ") else line for line in lines]

    @property
    def section(self) -> str:
        """The page one level of headings lower."""
        return re.sub("^#", "##", self.page, flags=re.MULTILINE).strip()


def to_page(model: str, dataset: str, sentences: dict[tuple[str, str], list[str]]) -> str:
    """The decisions about one model as Markdown: (modality, modality) -> sentences."""
    lines = [f"# Decision about {model} on {dataset}"]
    for (a, b), said in sentences.items():
        lines += ["", f"## {a} and {b}", "", _FENCE, *said, _FENCE]
    return "\n".join(lines) + "\n"


def read_decisions(results: str | Path, of: list[tuple[str, str]]) -> list[Decision]:
    """The decisions of a run about some (model, data set), as far as they are there."""
    found = []
    for model, dataset in of:
        path = Path(results) / f"{paths.decision(model, dataset)}.md"
        if path.exists():
            file = str(path.relative_to(results))
            found.append(Decision(model, dataset, file, path.read_text(encoding="utf-8")))
    return found


def summarise_all(tables: Tables, decisions: list[Decision]) -> dict[str, Any]:
    """Model -> data set -> numbers of its decision, as `summarise` gives them."""
    found: dict[str, Any] = {}
    gaps = tables.get("gap/gap.csv") if decisions else None
    for one in decisions:
        own = (gaps["model"] == one.model) & (gaps["dataset"] == one.dataset)
        table = tables.get(f"{paths.decision(one.model, one.dataset)}.csv")
        found.setdefault(one.model, {})[one.dataset] = summarise(table, gaps[own])
    return found


def summarise(table: pd.DataFrame, gaps: pd.DataFrame) -> dict[str, Any]:
    """Numbers of a decision: "a, b" -> gap with its interval, and the best fix for each use.

    The best fix is the one with the highest held-out estimate, or `none` where it is not surely
    better than leaving the rows alone.

    Parameters
    ----------
    table
        What every fix does, the table of one decision.
    gaps
        Rows of gap.csv of the same model and data set.
    """
    found = {}
    for _, pair in gaps.iterrows():
        a, b = pair["modality_a"], pair["modality_b"]
        own = table[(table["modality_a"] == a) & (table["modality_b"] == b)]
        gap = {name: float(pair[name]) for name in ("gap", "gap_low", "gap_high")}
        best = {use: _best(part) for use, part in own.groupby("use", sort=False)}
        found[f"{a}, {b}"] = {**gap, "best": best}
    return found


def _best(part: pd.DataFrame) -> dict[str, Any]:
    row = part.loc[part["estimate"].idxmax()]
    plain = part[(part["method"] == "none") & part["renormalised"]].iloc[0]
    if row["sure"] <= 0:
        row = plain
    fix = {name: value.item() if hasattr(value := row[name], "item") else value for name in _FIX}
    return {**fix, "untouched": float(plain["estimate"])}
