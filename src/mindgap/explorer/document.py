"""Self-contained HTML pages, filled from templates and plain facts."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from mindgap.runtime.extras import extra


def fill(name: str, title: str, facts: dict[str, Any], **more: str) -> str:
    """The template of a page with its style, its script and the facts that the script shows."""
    with extra("plot", "the explorer needs"):
        from jinja2 import Environment
    html, style, script = (_own(f"{name}.{kind}") for kind in ("html", "css", "js"))
    template = Environment(autoescape=True).from_string(html)
    page = template.render(title=title, style=style, script=script, facts=as_json(facts), **more)
    return page.encode("utf-8", "replace").decode()  # half of a surrogate pair has no UTF-8


def _own(name: str) -> str:
    return files("mindgap.explorer").joinpath(name).read_text(encoding="utf-8")


def as_json(value: Any) -> str:
    """JSON that may stand inside a script element: no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
