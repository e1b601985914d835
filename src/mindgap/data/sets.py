"""Build a pairs table from the definition of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from mindgap.data.digits import digits_batches
from mindgap.data.folder import Tally, folder_batches
from mindgap.data.pairs import write_pairs
from mindgap.data.shapes import TRUTH, shapes_batches
from mindgap.errors import UserError
from mindgap.files import write_csv


def build_pairs(
    path: str | Path, definition: dict[str, Any], failures: str | Path | None = None
) -> dict[str, int]:
    """Write the pairs of one data set, and the list of what could not be used.

    Parameters
    ----------
    path
        Target parquet file.
    definition
        The set's entry in the configuration: its `kind` and that kind's options.
    failures
        Target CSV with the columns what (item or caption), name, reason; empty but for its header
        where nothing failed.

    Returns
    -------
    How many items and captions went in and came out.
    """
    options = {key: value for key, value in definition.items() if key != "kind"}
    tally = Tally()
    match definition["kind"]:
        case "shapes":
            items = write_pairs(path, shapes_batches(**options), TRUTH, definition)
            counts = {"items_in": items, "items_out": items}
        case "digits":
            items = write_pairs(path, digits_batches(**options), about=definition)
            counts = {"items_in": items, "items_out": items}
        case "folder":
            strict = options.pop("failures", "skip") == "stop"
            write_pairs(path, _guarded(tally, options, strict), about=definition)
            counts = tally.counts
        case kind:
            raise ValueError(f"no data set of kind {kind!r}")
    if failures is not None:
        write_csv(failures, pd.DataFrame(tally.failures, columns=["what", "name", "reason"]))
    return counts


def _guarded(tally: Tally, options: dict[str, Any], strict: bool) -> Iterator[dict[str, list]]:
    """Stream a folder; with `failures: stop` the first failure ends it before a file is renamed."""
    yield from folder_batches(tally, **options)
    if tally.failures and (strict or not tally.counts["items_out"]):
        first = tally.failures[0]
        raise UserError(
            f"{len(tally.failures)} items or captions cannot be used, the first is "
            f"{first['name']}: {first['reason']}; mend them"
            + (" or set failures: skip" if tally.counts["items_out"] else "")
        )
