"""Digest of a piece of code and of everything it imports from one package.

A workflow engine sees a changed script, but not a change in a module that the script imports. A
digest of the whole closure, handed to the engine as a parameter, makes content decide.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

#: Modules that decide no result, below the package: its front door too, which only names others.
#: The configuration decides by its values alone, and these stand in the parameters of the rules.
RUNTIME = ("runtime/", "config/", "__init__.py")


@cache
def code_digest(script: str | Path, package: str | Path) -> str:
    """Return a hexadecimal digest of `script` and of the modules it imports from `package`.

    Parameters
    ----------
    script
        Python file.
    package
        Folder of the package, e.g. `src/mindgap`. Imports of other packages are not followed:
        their versions are the lock file's business.

    Modules in `RUNTIME` are left out. Imports inside functions count
    too. Docstrings, comments and layout do not: what is hashed is the syntax tree, so that a better
    sentence in a docstring recomputes nothing.
    """
    package = Path(package)
    seen: dict[str, str] = {}
    todo = [Path(script)]
    while todo:
        file = todo.pop()
        key = file.relative_to(package).as_posix() if file.is_relative_to(package) else file.name
        if key in seen:
            continue
        if key.startswith(RUNTIME):
            continue
        seen[key], imports = _read(file, package)
        todo.extend(imports)
    text = "\n".join(f"{key} {seen[key]}" for key in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def tree_digest(folder: str | Path) -> str:
    """Return a hexadecimal digest of the names and sizes of all files below a folder.

    Not of their times, which copies do not keep, nor of their bytes, which may be terabytes.
    """
    found = []
    for place, folders, files in os.walk(folder):
        folders.sort()
        found += [f"{place}/{name} {os.lstat(f'{place}/{name}').st_size}" for name in sorted(files)]
    text = "\n".join(line.removeprefix(str(folder)) for line in found)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


@cache
def _read(file: Path, package: Path) -> tuple[str, tuple[Path, ...]]:
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    imports = tuple(found for name in _names(tree) for found in _files(name, package))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            node.body = body[1:]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest(), imports


def _names(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a syntax tree imports; relative imports are refused by the linter."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files(name: str, package: Path) -> Iterator[Path]:
    """Files behind a dotted name: the module and the `__init__` of each package on its way."""
    parts = name.split(".")
    if parts[0] != package.name:
        return
    folder = package
    for part in parts[1:]:
        if (init := folder / "__init__.py").exists():
            yield init
        folder = folder / part
    for file in (folder.with_suffix(".py"), folder / "__init__.py"):
        if file.exists():
            yield file
