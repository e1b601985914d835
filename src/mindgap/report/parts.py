"""Tables of effects, made again after what is behind them has been changed on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from mindgap.codebook.summary import TESTED, measure_contrasts
from mindgap.report.mutations import SIZES, Mutation
from mindgap.report.present import BEHIND
from mindgap.report.tables import Tables
from mindgap.train.effects import measure_effects

Parts = dict[str, pd.DataFrame]


class Summary(Protocol):
    """Tables `makes` that follow from the tables `parts`."""

    makes: tuple[str, ...]
    parts: tuple[str, ...]

    def remake(self, parts: Parts) -> Parts:
        """The tables `makes`."""

    def mutations(self, parts: Parts) -> Iterator[Mutation]:
        """What can go wrong in the parts."""


def mutate_parts(
    summaries: Iterable[Summary], tables: Tables, kinds: Iterable[str] = ()
) -> Iterator[Mutation]:
    """Every mutation of the parts (of some kinds, if any are given), as changed summaries."""
    for summary in summaries:
        parts = {name: tables.get(name) for name in summary.parts}
        if all(table is not None for table in parts.values()):
            for one in summary.mutations(parts):
                if not kinds or one.kind in kinds:
                    made = summary.remake({**parts, **one.tables})
                    yield Mutation(one.kind, one.words, made, one.size)


def each_size(name: str, change: Callable[[float], Parts]) -> Iterator[Mutation]:
    """One condition off by each of `SIZES`, up and down."""
    for size in SIZES:
        for factor in (1 - size, 1 + size):
            yield Mutation("condition", f"{name} x {factor:g}", change(factor), size)


def scaled(table: pd.DataFrame, mask: Any, columns: list[str], factor: float) -> pd.DataFrame:
    """A table in which some columns of some rows are multiplied."""
    there = [column for column in columns if column in table]
    return table.assign(**{c: table[c].where(~mask, table[c] * factor) for c in there})


@dataclass(frozen=True)
class TrainEffects:
    """Effects of trainings, from one row per training and one per step."""

    experiments: dict[str, dict[str, Any]]
    confidence: float
    makes: tuple[str, ...] = ("train/effects.csv",)
    parts: tuple[str, ...] = BEHIND["train/effects.csv"]

    def remake(self, parts: Parts) -> Parts:
        """The effects."""
        finals, steps = (parts[name] for name in self.parts)
        return {self.makes[0]: measure_effects(finals, self.experiments, self.confidence, steps)}

    def mutations(self, parts: Parts) -> Iterator[Mutation]:
        """Definitions off, exchanged, equal; trainings that do not move; options without effect."""
        measures = list(dict.fromkeys(one["measure"] for one in self.experiments.values()))
        columns = [f"{measure}{end}" for measure in measures for end in ("", "_low", "_high")]
        for factor in (0.9, 1.1):
            every = {name: scaled(t, t["seed"] >= 0, columns, factor) for name, t in parts.items()}
            yield Mutation("all", f"all x {factor:g}", every)
        for one in self.experiments.values():
            if "over" in one:
                yield from self._over(parts, one, columns)
            else:
                yield from self._contrasts(parts, one, columns)

    def _over(self, parts: Parts, one: dict[str, Any], columns: list[str]) -> Iterator[Mutation]:
        name, over = self.parts[0], one["over"]
        table = parts[name]
        chosen = table["definition"].isin(one["trainings"])
        for end in (table.loc[chosen, over].min(), table.loc[chosen, over].max()):
            mask = chosen & (table[over] == end)

            def change(factor: float, mask: pd.Series = mask) -> Parts:
                return {name: scaled(table, mask, columns, factor)}

            yield from each_size(f"{over} {end:g}", change)
        there = [column for column in columns if column in table]
        first = table[chosen].sort_values(over).groupby("seed")[there].transform("first")
        still = table.copy()
        still.loc[first.index, there] = first
        yield Mutation("still", over, {name: still})

    def _contrasts(
        self, parts: Parts, one: dict[str, Any], columns: list[str]
    ) -> Iterator[Mutation]:
        plain = one["plain"]
        for other in (plain, *one["others"]):

            def change(factor: float, other: str = other) -> Parts:
                return {
                    n: scaled(t, t["definition"] == other, columns, factor)
                    for n, t in parts.items()
                }

            yield from each_size(other, change)
            steps = parts[self.parts[1]].sort_values("step")
            own = steps[steps["definition"] == other]
            steps.loc[own.index, one["measure"]] = own.groupby("seed")[one["measure"]].transform(
                "first"
            )
            yield Mutation("still", other, {self.parts[1]: steps})
        for other in one["others"]:
            yield from compared(parts, "definition", other, plain, columns)


@dataclass(frozen=True)
class CodebookEffects:
    """Effects of codebooks, from one row per codebook."""

    contrasts: list[list[str]]
    confidence: float
    makes: tuple[str, ...] = ("codebook/effects.csv",)
    parts: tuple[str, ...] = BEHIND["codebook/effects.csv"]

    def remake(self, parts: Parts) -> Parts:
        """The effects."""
        (table,) = parts.values()
        return {self.makes[0]: measure_contrasts(table, self.contrasts, self.confidence)}

    def mutations(self, parts: Parts) -> Iterator[Mutation]:
        """Variants off, exchanged, equal; numbers drawn from all of them."""
        ((name, table),) = parts.items()
        columns = [column for column in TESTED if column in table]
        variants = list(dict.fromkeys(table["variant"]))
        for factor in (0.9, 1.1):
            every = scaled(table, table["seed"] >= 0, columns, factor)
            yield Mutation("all", f"all x {factor:g}", {name: every})
        for variant in variants:

            def change(factor: float, variant: str = variant) -> Parts:
                return {name: scaled(table, table["variant"] == variant, columns, factor)}

            yield from each_size(variant, change)
        for other, plain in self.contrasts:
            if {other, plain} <= set(variants):
                yield from compared(parts, "variant", other, plain, columns)
        draw = np.random.default_rng(0)
        mixed = {column: draw.permutation(table[column].to_numpy()) for column in columns}
        yield Mutation("shuffle", "numbers of all variants mixed", {name: table.assign(**mixed)})


def compared(
    parts: Parts, column: str, other: str, plain: str, columns: list[str]
) -> Iterator[Mutation]:
    """Two conditions exchanged, and the first with the numbers of the second."""
    names = {other: plain, plain: other}
    turned = {n: t.assign(**{column: t[column].replace(names)}) for n, t in parts.items()}
    yield Mutation("conditions", f"{other} and {plain} exchanged", turned)
    same = {n: _equal(t, column, other, plain, columns) for n, t in parts.items()}
    yield Mutation("equal", f"{other} := {plain}", same)


def _equal(
    table: pd.DataFrame, column: str, other: str, plain: str, columns: list[str]
) -> pd.DataFrame:
    keys = [key for key in ("task", "seed", "step") if key in table]
    there = [c for c in columns if c in table]
    mask, theirs = table[column] == other, table[table[column] == plain]
    joined = table.loc[mask, keys].merge(theirs[[*keys, *there]], "left", keys)
    found = table.copy()
    found.loc[mask, there] = joined[there].to_numpy()
    return found
