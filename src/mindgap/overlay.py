"""The name of the run that a config file gives; a file that could run code is refused.

Snakemake evaluates Python in a config file that says `__use_yte__`, and loads more than plain
YAML, both before a line of the Snakefile is read. So `make` asks here first.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from mindgap.config.base import Name
from mindgap.config.problems import describe
from mindgap.config.read import read_config
from mindgap.runtime.errors import UserError


def read_name(path: str | Path) -> str:
    """Name of the run of a config file."""
    given = read_config(path)
    if "__use_yte__" in given:
        raise UserError(
            f"{path}: with `__use_yte__` the file is a program for Snakemake; write plain YAML"
        )
    if "run" not in given:
        raise UserError(
            f"{path} gives its run no name, so its results would mix with those of another; add "
            "a line like `run: mine`"
        )
    try:
        return TypeAdapter(Name).validate_python(given["run"], strict=True)
    except ValidationError as error:
        raise UserError(f"{path}: run: {describe(error.errors()[0])}") from error
