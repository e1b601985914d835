"""Words of captions, and which of them are frequent."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

WORD = re.compile(r"[a-z]+|\d|[^\sa-z\d]")


def split_words(text: str) -> list[str]:
    """Words, digits and signs of a text, lower-cased."""
    return WORD.findall(text.lower())


def count_words(texts: Iterable[str], most: int) -> list[str]:
    """The words of a set, most frequent first, then by the alphabet; `most` of them at most."""
    counts = Counter(word for text in texts for word in split_words(text))
    return [word for word, _ in sorted(counts.items(), key=lambda w: (-w[1], w[0]))][:most]
