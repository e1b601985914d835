"""Tables made from curves and from printed numbers, made again after these have been changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from mindgap.config.paths import landscape
from mindgap.downstream.published import (
    published_drops,
    published_intervals,
    published_rates,
    published_tests,
)
from mindgap.report.mutations import SIZES, Mutation
from mindgap.report.parts import CodebookEffects, Parts, Summary, TrainEffects, each_size, scaled
from mindgap.report.present import BEHIND, LANDSCAPES, curves_of
from mindgap.report.tables import Present, Tables
from mindgap.shift import spheres
from mindgap.shift.tables import minima_table, trend_table

_KEYS = ["model", "dataset", "landscape", "sides", "batch", "n", "n_used"]


def find_summaries(
    claims: list[dict[str, Any]], tables: Tables, present: Present, options: dict[str, Any]
) -> list[Summary]:
    """Summaries behind the claims that a run answers.

    `options` are those that the tables were made with: `experiments`, `contrasts`, `confidence`
    and `labels`, the categories of offensive labels.
    """
    confidence = options["confidence"]
    known: list[Summary] = [
        TrainEffects(options["experiments"], confidence),
        CodebookEffects(options["contrasts"], confidence),
        Spheres(),
        *_published(tables, options),
        *(Landscape(model, dataset, tables) for model, dataset in curves_of(claims, present)),
    ]
    read = {claim["measured"]["table"] for claim in claims} & set(present)
    return [summary for summary in known if read & set(summary.makes)]


class Landscape:
    """Minima and trends of one model on one data set, from the loss at every shift."""

    makes = LANDSCAPES

    def __init__(self, model: str, dataset: str, tables: Tables):
        self.model, self.dataset, self.tables = model, dataset, tables
        self.parts = (landscape(model, dataset),)

    def remake(self, parts: Parts) -> Parts:
        """All minima and trends of the run, those of this curve new."""
        (table,) = parts.values()
        minima, trends = [], []
        for names, curve in table.groupby(_KEYS, sort=False):
            head = dict(zip(_KEYS, names, strict=True))
            lowest = minima_table(curve)
            minima.append(lowest.assign(**head))
            trends.append(trend_table(lowest).assign(**head))
        return {
            name: self._put(name, pd.concat(some))
            for name, some in zip(self.makes, (minima, trends), strict=True)
        }

    def _put(self, name: str, rows: pd.DataFrame) -> pd.DataFrame:
        table = self.tables.get(name)
        own = (table["model"] == self.model) & (table["dataset"] == self.dataset)
        return pd.concat([table[~own], rows[list(table)]], ignore_index=True)

    def mutations(self, parts: Parts) -> Iterator[Mutation]:
        """Curves bent, flat, the same at each temperature; directions exchanged."""
        ((name, table),) = parts.items()
        yield from _bent(name, table, "shift", ["landscape", "direction"])
        turned = table["direction"].replace({"ab": "ba", "ba": "ab"})
        yield Mutation("modalities", "curves exchanged", {name: table.assign(direction=turned)})


class Spheres:
    """Minima of the loss of pairs on a sphere, from the loss at every tilt."""

    makes = ("shift/sphere_minima.csv",)
    parts = BEHIND[makes[0]]

    def remake(self, parts: Parts) -> Parts:
        """The minima."""
        return {self.makes[0]: spheres.minima_table(parts[self.parts[0]])}

    def mutations(self, parts: Parts) -> Iterator[Mutation]:
        """Curves bent, flat, the same at each temperature.

        One direction of the loss in place of both changes nothing: they are equal by symmetry.
        """
        ((name, table),) = parts.items()
        yield from _bent(name, table, "tilt", ["spacing", "pairing"])


def _bent(name: str, table: pd.DataFrame, axis: str, keys: list[str]) -> Iterator[Mutation]:
    """Curves of a loss over an axis: tilted, their lowest point too high, flat, all the same.

    A tilt is off by a share that grows along the axis to the given size.
    """
    scale = "inverse_temperature"
    curves = table.groupby([*keys, scale], sort=False)["loss"]
    lowest = table.index.isin(curves.idxmin())
    for size in SIZES:
        for sign in (-1, 1):
            slope = 1 + sign * size * table[axis] / table[axis].abs().max()
            tilted = table.assign(loss=table["loss"] * slope)
            yield Mutation("curve", f"tilted by {sign * size:+g}", {name: tilted}, size)
        raised = scaled(table, lowest, ["loss"], 1 + size)
        yield Mutation("curve", f"lowest point x {1 + size:g}", {name: raised}, size)
    yield Mutation("flat", "flat", {name: table.assign(loss=curves.transform("mean"))})
    same = table.sort_values(scale).groupby([*keys, axis])["loss"].transform("last")
    yield Mutation("still", scale, {name: table.assign(loss=same)})


class Published:
    """Arithmetic on printed numbers: what if they were typed in wrong?"""

    parts = ()

    def __init__(
        self,
        name: str,
        make: Callable[[pd.DataFrame], pd.DataFrame],
        given: pd.DataFrame,
        mask: pd.Series,
        columns: list[str],
    ):
        self.makes = (f"downstream/published_{name}.csv",)
        self.make, self.given, self.mask, self.columns = make, given, mask, columns

    def remake(self, parts: Parts) -> Parts:
        """The statistics."""
        return {self.makes[0]: self.make(parts["given"])}

    def mutations(self, parts: Parts) -> Iterator[Mutation]:
        """Some of the numbers off."""

        def change(factor: float) -> Parts:
            return {"given": scaled(self.given, self.mask, self.columns, factor)}

        yield from each_size(f"typed-in {', '.join(self.columns)}", change)


def _published(tables: Tables, options: dict[str, Any]) -> Iterator[Published]:
    confidence, labels = options["confidence"], options["labels"]
    table = tables.reference("zero_shot.csv")
    yield Published("tests", published_tests, table, table["n"] > 0, ["n"])
    table = tables.reference("initialisation.csv")
    columns = [column for column in table if column != "run"]
    first = table["run"] == table["run"].min()
    yield Published(
        "intervals", lambda t: published_intervals(t, confidence), table, first, columns
    )
    table = tables.reference("fairface.csv")
    offensive = table["predicted"].isin({label for part in labels.values() for label in part})
    yield Published(
        "rates", lambda t: published_rates(t, labels, confidence), table, offensive, ["count"]
    )
    table = tables.reference("fairface_accuracy.csv")
    yield Published("drops", published_drops, table, table["shift"] != 0, ["accuracy"])
