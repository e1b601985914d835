"""Ask for an extra of the package in one sentence where it is first needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mindgap.runtime.errors import UserError


@contextmanager
def extra(name: str, need: str) -> Iterator[None]:
    """Turn the absence of a library that is imported in the block into a `UserError`.

    Parameters
    ----------
    name
        Extra of pyproject.toml that installs the library.
    need
        Subject and verb of the sentence, such as `"plots need"`.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("", "mindgap"):  # a defect of the package
            raise
        raise UserError(f"{need} {library}: pip install 'mindgap[{name}]'") from error
