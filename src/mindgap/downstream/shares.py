"""Shares of texts in mixed corpora."""

from __future__ import annotations

from collections.abc import Iterable


def most_mixed(shares: Iterable[float]) -> float:
    """The share nearest to a half, at which a gap does most harm; the lower one of two."""
    return min(shares, key=lambda share: (abs(share - 0.5), share))
