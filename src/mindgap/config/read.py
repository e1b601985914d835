"""Read YAML: plain data alone, and no key twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mindgap.runtime.errors import UserError, refuse

# The parser in C, where PyYAML was built with it, is ten times faster.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file of the project with the safe loader."""
    with open(path, encoding="utf-8") as stream:
        return yaml.load(stream, Loader=_LOADER)


def read_config(path: str | Path) -> dict[str, Any]:
    """Read a user's config file; whatever is more than data, or ambiguous, is refused."""
    try:
        loader = _LOADER(Path(path).read_text(encoding="utf-8"))
        node = loader.get_single_node()
        refuse(list(_repeated(node, str(path))))
        given = loader.construct_document(node) if node else {}
    except OSError as error:
        raise UserError(
            f"{path} cannot be read: {(error.strerror or str(error)).lower()}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is not plain YAML ({why})") from error
    if not isinstance(given, dict | None):
        raise UserError(f"{path} is not a mapping of keys; config/README.md lists them")
    return given or {}


def _repeated(node: yaml.Node | None, path: str) -> Iterator[str]:
    """One sentence for each key that stands twice in one mapping."""
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if first := lines.get(str(key.value)):
                yield (
                    f"{path}: the key {key.value!r} stands twice, in lines {first} and {line}; "
                    "keep one of them"
                )
            lines.setdefault(str(key.value), line)
            yield from _repeated(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated(value, path)


def merge(default: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Lay one configuration over another: mappings key by key, everything else replaced."""
    merged = dict(default)
    for key, value in overlay.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged
