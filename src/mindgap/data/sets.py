"""Build a pairs table from the definition of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindgap.data.digits import digits_batches
from mindgap.data.pairs import write_pairs
from mindgap.data.shapes import TRUTH, shapes_batches


def build_pairs(path: str | Path, definition: dict[str, Any]) -> int:
    """Write the pairs of one data set and return the number of items.

    `definition` is the set's entry in the configuration: its `kind` and that kind's options.
    """
    options = {key: value for key, value in definition.items() if key != "kind"}
    match definition["kind"]:
        case "shapes":
            return write_pairs(path, shapes_batches(**options), TRUTH, definition)
        case "digits":
            return write_pairs(path, digits_batches(**options), about=definition)
    raise ValueError(f"no data set of kind {definition['kind']!r}")
