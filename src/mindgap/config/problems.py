"""What is wrong with a configuration: one sentence for each mistake."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from mindgap.config.base import DEVICE_PATTERN, FILE_PATTERN, TEMPLATE_PATTERN

#: Kind of a wrong type -> what would be right.
_TYPES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list, such as [a, b]",
    "dict_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
}
#: Kind of a number out of range -> what would be right.
_RANGES = {
    "greater_than": "above {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
    "multiple_of": "a multiple of {multiple_of}",
    "finite_number": "finite",
}
_LENGTHS = {
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
}
_QUOTED = re.compile(r"'([^']*)'")


def nearest(word: Any, known: Iterable[Any]) -> str:
    """Part of a sentence that suggests the nearest of `known`, or lists them all."""
    lower = {str(k).lower(): str(k) for k in known}
    near = difflib.get_close_matches(str(word).lower(), list(lower), n=1, cutoff=0.6)
    if near:
        return f" (did you mean {lower[near[0]]!r}?)"
    return f" (known: {', '.join(lower.values())})" if lower else ""


def sentences(error: ValidationError, given: dict[str, Any], model: type[BaseModel]) -> list[str]:
    """One sentence for each mistake that pydantic found in the options `given` of `model`."""
    schema = model.model_json_schema()
    return [_sentence(one, given, schema) for one in error.errors(include_url=False)]


def _sentence(one: dict[str, Any], given: Any, schema: dict[str, Any]) -> str:
    path, kind = _path(one["loc"], given), one["type"]
    if kind == "extra_forbidden":
        known = _known_keys(schema, given, path[:-1])
        return f"{_at(path[:-1])}unknown key {path[-1]!r}{nearest(path[-1], known)}"
    if kind == "union_tag_invalid":
        path = [*path, "kind"]
    return _at(path) + describe(one)


def describe(one: dict[str, Any]) -> str:
    """What is wrong with one value, as pydantic lists it; its place is the caller's to say."""
    kind, value, context = one["type"], one["input"], one.get("ctx", {})
    if kind in ("missing", "union_tag_not_found"):
        missing = one["loc"][-1] if kind == "missing" else "kind"
        return f"the key {missing!r} is missing"
    if kind == "union_tag_invalid":
        known = _QUOTED.findall(context["expected_tags"])
        return f"{context['tag']!r} is not known{nearest(context['tag'], known)}"
    if kind == "literal_error":
        known = _QUOTED.findall(context["expected"]) or [context["expected"]]
        return f"{value!r} is not known{nearest(value, known)}"
    if kind in _TYPES:
        return f"must be {_TYPES[kind]}, got {value!r}{_advice(kind, value)}"
    if kind in _RANGES:
        return f"must be {_RANGES[kind].format(**context)}, got {value!r}"
    if kind in _LENGTHS:
        return f"must have {_LENGTHS[kind].format(**context)}, got {context['actual_length']}"
    if kind == "string_pattern_mismatch":
        return _mismatch(value, context["pattern"])
    return one["msg"].removeprefix("Value error, ")


def _at(path: list[Any]) -> str:
    return "config: " + (".".join(map(str, path)) + ": " if path else "")


def _path(steps: Iterable[Any], given: Any) -> list[Any]:
    """Keys among the steps to a mistake; the branches of unions that were tried are no keys."""
    path = []
    for step in steps:
        there = step in given if isinstance(given, dict) else isinstance(given, list)
        if there and not (isinstance(given, list) and isinstance(step, str)):
            path.append(step)
            given = given[step]
    return path


def _known_keys(schema: dict[str, Any], given: Any, path: list[Any]) -> list[str]:
    """Keys that the options at a path may have."""
    part = schema
    for key in path:
        part = _options(part, given, schema)
        by_name = part.get("patternProperties") or {"": part["additionalProperties"]}
        part = part.get("properties", {}).get(key) or next(iter(by_name.values()))
        given = given[key]
    return list(_options(part, given, schema).get("properties", {}))


def _options(part: dict[str, Any], given: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema behind references, kinds and unions."""
    while part.get("type") != "object":
        if "discriminator" in part:
            reference = part["discriminator"]["mapping"][given["kind"]]
        elif "anyOf" in part:
            reference = next(one["$ref"] for one in part["anyOf"] if "$ref" in one)
        else:
            reference = part["$ref"]
        part = schema["$defs"][reference.rpartition("/")[2]]
    return part


def _advice(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, int | float):
        return f"; put it in quotes: '{value}'"
    if kind in ("int_type", "float_type") and isinstance(value, str):
        try:
            return f"; write it without quotes and, with an exponent, as {float(value):.1e}"
        except ValueError:
            return ""
    return ""


def _mismatch(value: str, pattern: str) -> str:
    if pattern == FILE_PATTERN:
        return f"{value!r} is empty or has braces, which no path may have; rename it"
    if pattern == TEMPLATE_PATTERN:
        return f"{value!r} has no {{}} for the name of the class; add it"
    if pattern == DEVICE_PATTERN:
        return f"{value!r} is not known (known: auto, cpu, mps, cuda, cuda:0, cuda:1, ...)"
    return (
        f"{value!r} is not a name: it must start with a letter or digit and go on with these or "
        "'.', '_', '-'"
    )
