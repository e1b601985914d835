"""The page of the explorer: one self-contained HTML file."""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from typing import Any

import numpy as np

from mindgap.explorer.states import Explored, MethodState, State, shifted_points
from mindgap.runtime.extras import extra
from mindgap.shift.moves import amounts

#: Room around the points of the map, as a share of their range.
ROOM = 0.04


def render(facts: dict[str, Any]) -> str:
    """The page that shows some facts, see `payload`; the same facts give the same page."""
    with extra("plot", "the explorer needs"):
        from jinja2 import Environment

        from mindgap.explorer import plots
    documents, items = plots.documents()
    here = files("mindgap.explorer")
    template = Environment(autoescape=True).from_string(here.joinpath("page.html").read_text())
    return template.render(
        title=" and ".join(facts["pairs"][0]["names"]),
        style=here.joinpath("page.css").read_text(),
        library=plots.library(),
        script=here.joinpath("explorer.js").read_text(),
        plots=as_json({"documents": documents, "items": items}),
        facts=as_json(facts),
    )


def as_json(value: Any) -> str:
    """JSON that may stand inside a script element: no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def pair_facts(names: tuple[str, str], colours: tuple[str, str], found: Explored) -> dict[str, Any]:
    """What the page knows of two modalities; arrays are base64, little-endian, row by row.

    Coordinates are float64 (2, n) for each modality: the page moves them itself. Ranks are uint16
    (2, n), nearest rows uint16 (4, n, k).
    """
    grid = found.landscape
    everywhere = [
        shifted_points(points, by)
        for pair in amounts(grid.shifts, "both")
        for points, by in zip(found.points, (-pair[0], pair[1]), strict=True)
    ]
    everywhere += [points for method in found.methods for points in method.points]
    return {
        "names": list(names),
        "colours": list(colours),
        "points": [packed(points, "<f8") for points in found.points],
        "range": _range(np.concatenate(everywhere, axis=1)),
        "shifts": grid.shifts.tolist(),
        "distance": grid.distance.tolist(),
        "scales": [float(scale) for scale in grid.inverse_temperatures],
        "loss": grid.loss.tolist(),
        "batch": found.batch,
        "states": [_state(state) for state in found.shifts],
        "held": packed(found.held, "<u2"),
        "methods": [_method(method) for method in found.methods],
    }


def _state(state: State) -> dict[str, Any]:
    return {
        "numbers": state.numbers,
        "ranks": packed(state.ranks, "<u2"),
        "nearest": packed(state.nearest, "<u2"),
    }


def _method(method: MethodState) -> dict[str, Any]:
    return {
        "name": method.name,
        "about": method.about,
        "points": [packed(points, "<f4") for points in method.points],
        **_state(method.state),
    }


def _range(points: np.ndarray) -> list[list[float]]:
    """Least and largest coordinate of points (2, m), with some room, along u and across it."""
    low, high = points.min(axis=1), points.max(axis=1)
    room = ROOM * np.maximum(high - low, 1e-6)
    return np.stack([low - room, high + room], axis=1).tolist()


def packed(array: np.ndarray, kind: str) -> str:
    """An array as base64."""
    return base64.b64encode(np.ascontiguousarray(array, kind).tobytes()).decode()
