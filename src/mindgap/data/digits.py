"""The `digits` set: scikit-learn's 1,797 real handwritten digits, with captions."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEMPLATES = (
    "a handwritten {}",
    "the digit {} in pencil",
    "a small grey picture of the number {}",
    "someone wrote a {}",
)


def digits_batches(items: int, seed: int) -> Iterator[dict[str, list]]:
    """Yield the columns of the pairs table for a sample of `items` digits.

    Each item has one caption a template, in an order drawn for that item, so that its first
    caption varies too; captions of one class and template are identical.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(bunch.target))[:items]
    order = rng.random((len(rows), len(TEMPLATES))).argsort(axis=1)
    words = [WORDS[bunch.target[row]] for row in rows]
    yield {
        "id": [f"{row:04d}" for row in rows],
        "image": [_png(bunch.images[row]) for row in rows],
        "text": [
            [TEMPLATES[k].format(word) for k in ks] for word, ks in zip(words, order, strict=True)
        ],
        "label": words,
    }


def _png(picture: np.ndarray) -> bytes:
    """Encode an (8, 8) picture with values 0..16 as 8-bit grey."""
    stream = io.BytesIO()
    Image.fromarray(np.rint(picture * (255 / 16)).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()
