"""The name of the run that a config file gives; a file that could run code is refused.

Snakemake evaluates Python in a config file that says `__use_yte__`, and loads more than plain
YAML, both before a line of the Snakefile is read. So `make` asks here first.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import yaml

from mindgap.runtime.errors import UserError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def read_name(path: str | Path) -> str:
    """Name of the run of a config file."""
    try:
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise UserError(f"CONFIG={path}: {(error.strerror or str(error)).lower()}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is not plain YAML ({why})") from error
    if not isinstance(given, dict):
        raise UserError(f"{path} is not a mapping of keys; config/default.yaml has them all")
    if "__use_yte__" in given:
        raise UserError(
            f"{path}: with `__use_yte__` the file is a program for Snakemake; write plain YAML"
        )
    if "run" not in given:
        raise UserError(
            f"{path} gives its run no name, so its results would mix with those of another; add "
            "a line like `run: mine`"
        )
    name = given["run"]
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise UserError(
            f"{path}: run: {name!r} is not a name: it starts with a letter or digit and goes on "
            "with these or '.', '_', '-'"
        )
    return name


if __name__ == "__main__":
    try:
        print(read_name(sys.argv[1]))
    except UserError as error:
        sys.exit(f"error: {error}")
