"""The page of the explorer: one self-contained HTML file."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from mindgap.explorer.document import as_json, fill
from mindgap.explorer.states import Explored, State, shifted_points
from mindgap.runtime.extras import extra
from mindgap.shift.moves import amounts

#: Room around the points of the map, as a share of their range.
ROOM = 0.04


def render(facts: dict[str, Any]) -> str:
    """The page that shows some facts, see `page_facts`; the same facts give the same page."""
    with extra("plot", "the explorer needs"):
        from mindgap.explorer import plots
    documents, items = plots.documents()
    shown = as_json({"documents": documents, "items": items})
    title = facts["name"] or " and ".join(facts["pairs"][0]["names"])
    return fill("explorer", title, facts, library=plots.library(), plots=shown)


@dataclass(frozen=True)
class Loss:
    """Loss of two modalities over shifts and temperatures, as a page shows it.

    Attributes
    ----------
    name
        What the grid is called.
    pairs, batch
        Number of pairs, and of those that share a loss.
    shifts, scales, distance
        (S,) shifts, (T,) inverse temperatures, (S,) signed distances of the means.
    loss
        (S, T) mean of both directions.
    """

    name: str
    pairs: int
    batch: int
    shifts: np.ndarray
    scales: np.ndarray
    distance: np.ndarray
    loss: np.ndarray

    @property
    def facts(self) -> dict[str, Any]:
        """Plain values."""
        arrays = {k: getattr(self, k) for k in ("shifts", "scales", "distance", "loss")}
        plain = {k: np.asarray(array, float).tolist() for k, array in arrays.items()}
        return {"name": self.name, "pairs": self.pairs, "batch": self.batch, **plain}


def pair_facts(
    names: tuple[str, str], colours: tuple[str, str], found: Explored, losses: list[Loss]
) -> dict[str, Any]:
    """What the page knows of two modalities; arrays are base64, little-endian, row by row.

    Coordinates of all pairs are float64 (2, n) for each modality: the page moves them itself.
    """
    everywhere = [
        shifted_points(points, by)
        for pair in amounts(found.shifts, "both")
        for points, by in zip(found.points, (-pair[0], pair[1]), strict=True)
    ]
    everywhere += [points for method in found.methods for points in method.points]
    return {
        "names": list(names),
        "colours": list(colours),
        "points": [packed(points, "<f8") for points in found.points],
        "range": _range(np.concatenate(everywhere, axis=1)),
        "shifts": found.shifts.tolist(),
        "losses": [loss.facts for loss in losses],
        "states": _states(found.states),
        "held": packed(found.held, "<u2"),
        "methods": {
            "names": [method.name for method in found.methods],
            "abouts": [method.about for method in found.methods],
            "points": [packed(np.stack(method.points), "<f4") for method in found.methods],
            **_states([method.state for method in found.methods]),
        },
    }


def _states(states: list[State]) -> dict[str, Any]:
    """Numbers, ranks (S, 2, n) and nearest rows (S, 4, n, k) of S states of the same pairs."""
    return {
        "numbers": [state.numbers for state in states],
        "ranks": deflated(np.stack([state.ranks for state in states])),
        "nearest": deflated(np.stack([state.nearest for state in states])),
    }


def _range(points: np.ndarray) -> list[list[float]]:
    """Least and largest coordinate of points (2, m), with some room, along u and across it."""
    low, high = points.min(axis=1), points.max(axis=1)
    room = ROOM * np.maximum(high - low, 1e-6)
    return np.stack([low - room, high + room], axis=1).tolist()


def packed(array: np.ndarray, kind: str) -> str:
    """An array as base64."""
    return base64.b64encode(np.ascontiguousarray(array, kind).tobytes()).decode()


def deflated(states: np.ndarray) -> str:
    """Whole numbers below 2^16 of several states, as packed differences from the state before.

    Neighbouring shifts have most neighbours in common: a fifth of the size.
    """
    changes = np.diff(states, axis=0, prepend=np.zeros_like(states[:1]))
    packets = zlib.compress((changes % (1 << 16)).astype("<u2").tobytes(), 9)
    return base64.b64encode(packets).decode()
