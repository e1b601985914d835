"""File patterns of a configuration: braces for numbered shards, and wildcards."""

from __future__ import annotations

import glob
import itertools
import math
import re

from mindgap.runtime.errors import UserError

_MOST = 1_000_000
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def expand(patterns: str | list[str]) -> list[str]:
    """Paths behind patterns such as `shard-{000000..000099}.tar` or `shards/*.tar`.

    Numbered ranges expand to all their numbers, padded as their first one is, whether the files
    exist or not; a wildcard expands to what is there, sorted.
    """
    paths = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        pieces = _RANGE.split(pattern)
        bounds = zip(pieces[1::3], pieces[2::3], strict=True)
        if math.prod(max(int(b) - int(a) + 1, 0) for a, b in bounds) > _MOST:
            raise UserError(f"{pattern} matches more than {_MOST:,} files; check its ranges")
        ranges = [
            [f"{i:0{len(first)}d}" for i in range(int(first), int(last) + 1)]
            for first, last in zip(pieces[1::3], pieces[2::3], strict=True)
        ]
        for numbers in itertools.product(*ranges):
            path = pieces[0] + "".join(
                n + rest for n, rest in zip(numbers, pieces[3::3], strict=True)
            )
            paths += sorted(glob.glob(path)) if glob.has_magic(path) else [path]
    return paths
