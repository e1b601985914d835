"""The three plots of the explorer, empty: the page's script fills them.

They hold no text of a user, and their ids are numbered anew, so that a page has the same bytes
every time.
"""

from __future__ import annotations

import re
from typing import Any

from bokeh.document import Document
from bokeh.models import (
    ColumnDataSource,
    CustomJS,
    FixedTicker,
    LinearColorMapper,
    Range1d,
    Span,
)
from bokeh.palettes import cividis
from bokeh.plotting import figure
from bokeh.resources import Resources

#: Addresses in the library that are no XML namespace: its page never asks for any of them.
_ADDRESSES = re.compile(r"https?://(?!www\.w3\.org/)")
NOW, QUIET = "#111111", "#8a8f98"


def library() -> str:
    """The script of bokeh, without the addresses of other hosts."""
    return _ADDRESSES.sub("", "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw))


def documents() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What `Bokeh.embed.embed_items` takes; each plot has its place in an element of its name."""
    document = Document()
    for plot in (_map(), _curve(), _heat()):
        document.add_root(plot)
    names: dict[str, str] = {}
    facts = _renamed(document.to_json().content, names)
    roots = {names[plot.id]: f"plot-{plot.name}" for plot in document.roots}
    return {"page": facts}, [{"docid": "page", "roots": roots, "root_ids": list(roots)}]


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """A document whose models are numbered in order of appearance."""
    if isinstance(value, dict):
        return {
            key: names.setdefault(each, f"m{len(names)}") if key == "id" else _renamed(each, names)
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_renamed(each, names) for each in value]
    return value


def _plot(name: str, x: str, y: str, **more: Any) -> Any:
    plot = figure(
        name=name,
        x_axis_label=x,
        y_axis_label=y,
        toolbar_location="above",
        x_range=Range1d(-1, 1, name=f"{name}-x"),
        y_range=Range1d(-1, 1, name=f"{name}-y"),
        sizing_mode="stretch_both",
        min_border=4,
        **more,
    )
    plot.toolbar.logo = None
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.axis_label_text_font_size = plot.axis.major_label_text_font_size = "12px"
    plot.grid.grid_line_color = "#ececec"
    plot.outline_line_color = None
    for event in ("mousemove", "mouseleave", "tap"):
        plot.js_on_event(event, CustomJS(code=f"mindgap.page.{name}(cb_obj)"))
    return plot


def _source(name: str, *columns: str) -> ColumnDataSource:
    return ColumnDataSource({column: [] for column in columns}, name=name)


def _map() -> Any:
    plot = _plot(
        "map",
        "along the gap direction u",
        "first principal direction across u",
        tools="pan,wheel_zoom,box_zoom,reset",
        output_backend="canvas",
    )
    ends = {"x0": "x0", "y0": "y0", "x1": "x1", "y1": "y1"}
    lines, picked = (_source(name, *ends) for name in ("lines", "picked-line"))
    plot.segment(**ends, source=lines, line_color=QUIET, line_alpha=0.25, name="segments")
    for name in ("a", "b"):
        look = {"size": 5, "line_color": None, "name": f"dots-{name}"}
        plot.scatter("x", "y", source=_source(name, "x", "y"), fill_alpha=0.7, **look)
    plot.segment(**ends, source=picked, line_color=NOW, line_width=2)
    rings = _source("picked", "x", "y", "colour")
    look = {"size": 13, "line_color": NOW, "line_width": 2, "fill_color": "colour"}
    plot.scatter("x", "y", source=rings, **look)
    return plot


def _curve() -> Any:
    plot = _plot("curve", "signed distance of the means", "loss", tools="")
    plot.toolbar_location = None
    chance = Span(name="chance", dimension="width", line_color=QUIET, line_dash="dotted")
    still = Span(name="still", dimension="height", line_color=QUIET, line_dash="dashed")
    plot.add_layout(chance)
    plot.add_layout(still)
    plot.line("x", "y", source=_source("losses", "x", "y"), line_color="#3d4451", line_width=2)
    lowest = _source("lowest", "x", "y")
    plot.scatter("x", "y", source=lowest, marker="inverted_triangle", size=9, color="#3d4451")
    now = _source("loss-now", "x", "y")
    plot.scatter("x", "y", source=now, size=12, fill_color="#ffd23f", line_color=NOW, line_width=2)
    return plot


def _heat() -> Any:
    plot = _plot("heat", "shift (positive: closer)", "1/τ", tools="")
    plot.toolbar_location = None
    plot.grid.grid_line_color = None
    plot.yaxis.ticker = FixedTicker(name="scales", ticks=[])
    cells = _source("cells", "left", "right", "bottom", "top", "colour")
    edges = {"left": "left", "right": "right", "bottom": "bottom", "top": "top"}
    # The scale of colours is that of the square root, so that the valley stays visible.
    mapper = LinearColorMapper(palette=cividis(64)[::-1], low=0, high=1, name="colours")
    colour = {"field": "colour", "transform": mapper}
    plot.quad(**edges, source=cells, fill_color=colour, line_color=colour)
    valley = _source("valley", "x", "y")
    look = {"size": 8, "line_color": NOW, "fill_color": "white"}
    plot.scatter("x", "y", source=valley, marker="inverted_triangle", **look)
    now = _source("cell-now", *edges)
    plot.quad(**edges, source=now, fill_color=None, line_color=NOW, line_width=2)
    return plot
