"""Build a pairs table from the definition of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mindgap.config.datasets import Reading, read_definition
from mindgap.data.digits import digits_batches
from mindgap.data.items import Item, Tally, check_items
from mindgap.data.medium import Limits
from mindgap.data.pairs import write_pairs
from mindgap.data.shapes import TRUTH as SHAPES
from mindgap.data.shapes import shapes_batches
from mindgap.data.spoken_scenes import TRUTH as SPOKEN_SCENES
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import write_csv

#: Columns that hold the truth, of the kinds that have any.
_TRUTH = {"shapes": SHAPES, "spoken_scenes": SPOKEN_SCENES}


def build_pairs(
    path: str | Path,
    definition: dict[str, Any],
    failures: str | Path | None = None,
    how: dict[str, Any] | None = None,
    prompts: dict[str, Any] | None = None,
    threads: int = 1,
) -> dict[str, int]:
    """Write the pairs of one data set, and the list of what could not be used.

    Parameters
    ----------
    path
        Target parquet file.
    definition
        The set's entry in the configuration: its `kind` and that kind's options. What it leaves
        out has its default; what differs from it is recorded in the header of the table.
    failures
        Target CSV with the columns what (item or caption), name, reason; empty but for its header
        where nothing failed.
    how
        Who reads the set and from which files, as `mindgap.data.kinds.describe` says; None for the
        sets that are made on the spot.
    prompts
        The kind's entry in workflow/prompts.yaml: class names and templates.
    threads
        Media that are read and decoded at a time.

    Returns
    -------
    How many items and captions went in and came out.
    """
    typed = read_definition(definition)
    about, kind = typed.given(), typed.kind
    tally = Tally()
    if kind in ("shapes", "digits"):
        batches = shapes_batches if kind == "shapes" else digits_batches
        made = batches(**typed.model_dump(exclude={"kind"}))
        items = write_pairs(path, made, _TRUTH.get(kind), about)
        counts = {"items_in": items, "items_out": items}
    else:
        rows = _read(Path(path).stem, tally, typed, how or {}, prompts, threads)
        write_pairs(path, rows, _TRUTH.get(kind), about)
        counts = tally.counts
    if failures is not None:
        write_csv(failures, pd.DataFrame(tally.failures, columns=["what", "name", "reason"]))
    return counts


def _read(
    dataset: str,
    tally: Tally,
    options: Reading,
    how: dict[str, Any],
    prompts: dict[str, Any] | None,
    threads: int,
) -> Iterator[dict[str, list]]:
    """Stream a set through its reader; `failures: stop` ends it before a file is renamed."""
    limits = Limits(**{k: v for k, v in options if k in vars(Limits())})
    module, _, name = how["reader"].partition(":")
    if template := getattr(options, "template", None):
        prompts = {**(prompts or {}), "template": template}
    total, items = getattr(import_module(module), name)(options, how["files"], limits, prompts)
    skip, count = options.skip or 0, options.items
    if total is not None and skip >= total:
        raise UserError(f"{dataset}: skip: {skip} leaves none of its {total} items; take fewer")
    if skip or count is not None:
        items = _some(items, total, skip, count, getattr(options, "seed", None))
        if total is not None:
            total = min(total - skip, total if count is None else count)
    yield from check_items(
        items,
        tally,
        total=total,
        bar=not how["own_bar"],
        classes=getattr(options, "classes", None),
        limits=limits,
        references=how["keep"] == "references",
        threads=threads,
    )
    if tally.failures and (options.failures == "stop" or not tally.counts["items_out"]):
        first = tally.failures[0]
        raise UserError(
            f"{dataset}: {len(tally.failures)} items or captions cannot be used; the first is "
            f"{first['name']}: {first['reason']}"
            + ("; correct them or set failures: skip" if tally.counts["items_out"] else "")
        )


def _some(
    items: Iterator[Item], total: int | None, skip: int, count: int | None, seed: int | None
) -> Iterator[Item]:
    """Return `count` items after the first `skip` ones or, with a seed, of a shuffled set.

    They keep the order of the set. Draws of one seed that do not overlap share no item.
    """
    stop = None if count is None else skip + count
    if seed is None or total is None or (not skip and (count is None or count >= total)):
        return islice(items, skip, stop)
    drawn = np.zeros(total, bool)
    drawn[np.random.default_rng(seed).permutation(total)[skip:stop]] = True
    return (item for item, taken in zip(items, drawn, strict=False) if taken)
