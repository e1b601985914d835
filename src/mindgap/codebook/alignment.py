"""Tokens of spoken scenes against their truth: words in time, digits in cells, names in texts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mindgap.codebook.units import detection, joint_counts, shuffle_codes
from mindgap.data.digits import WORDS

TOLERANCE_S = 0.04  # a frame is near a word if its centre is that near (`run_unit_analysis.py`)
LEAST_COVER = 0.25  # of a cell that a box must cover to give the cell its label

Detection = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Aligned:
    """Codes of one modality beside the truth; C words, W occurrences of them in n items.

    Attributes
    ----------
    codes
        int (n, L), -1 for padding.
    size
        Number of codes.
    labels
        Word of each token, int (n, L): C for a token of none, -1 for padding.
    near
        Whether a token is near a word, with the tolerance, bool (n, L, C).
    spans
        Tokens of each occurrence, bool (W, L).
    cover
        Share of each token that the occurrence has, float64 (W, L).
    item, word
        Item and word of each occurrence, int (W,).
    """

    codes: np.ndarray
    size: int
    labels: np.ndarray
    near: np.ndarray
    spans: np.ndarray
    cover: np.ndarray
    item: np.ndarray
    word: np.ndarray

    def shuffled(self, rng: np.random.Generator) -> Aligned:
        """The same truth, with the codes dealt out anew over all tokens."""
        return replace(self, codes=shuffle_codes(self.codes, rng))

    def take(self, items: np.ndarray) -> Aligned:
        """Some items, each named once."""
        place = np.full(len(self.codes), -1)
        place[items] = np.arange(len(items))
        kept = place[self.item] >= 0
        return Aligned(
            *(self.codes[items], self.size, self.labels[items], self.near[items]),
            *(self.spans[kept], self.cover[kept], place[self.item[kept]], self.word[kept]),
        )

    def detect(self) -> Detection:
        """Precision, recall and F1 of each code for each word, (V, C) each."""
        return detection(self.codes, self.near, self.spans, self.item, self.word, self.size)

    def counts(self, inside: bool = False) -> np.ndarray:
        """Tokens by label and code, (C + 1, V); with `inside` those of words alone, (C, V)."""
        kinds = self.near.shape[2]
        labels = np.where(self.labels == kinds, -1, self.labels) if inside else self.labels
        return joint_counts(labels, self.codes, kinds + (not inside), self.size)

    def fires(self, codes: np.ndarray) -> np.ndarray:
        """Tokens with the code of each occurrence's word, bool (W, L); `codes` has one per word."""
        return self.codes[self.item] == codes[self.word][:, None]


def align_sound(
    codes: np.ndarray, size: int, words: list[list[dict[str, Any]]], token_s: float
) -> Aligned:
    """Frames of sounds; frame l covers [l, l + 1) token_s.

    A frame's label is the word at its centre. It is near a word if start < centre + tolerance and
    end >= centre - tolerance, and a word has the frames from floor(start / token_s) to
    ceil(end / token_s), as in `alignment.py` of ResDAVEnet-VQ.
    """
    item, word, spoken = _flat(words)
    start, end = (np.array([one[key] for one in spoken], np.float64) for key in ("start", "end"))
    edges = np.arange(codes.shape[1] + 1) * token_s
    centres = (edges[:-1] + edges[1:]) / 2
    start, end = start[:, None], end[:, None]
    near = (start < centres + TOLERANCE_S) & (end >= centres - TOLERANCE_S)
    overlap = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
    at = (start <= centres) & (centres < end)
    index = np.arange(codes.shape[1])
    spans = (index >= np.floor(start / token_s)) & (index < np.ceil(end / token_s))
    return _aligned(codes, size, item, word, near, spans, overlap.clip(min=0) / token_s, at)


def align_picture(
    codes: np.ndarray, size: int, places: list[list[dict[str, Any]]], side: int, pixels: int
) -> Aligned:
    """Cells of pictures of `pixels` x `pixels`, `side` to a row.

    A cell is near a digit if the box touches it, and these are the digit's cells. Its label is the
    digit whose box covers most of it, if that is `LEAST_COVER` at least.
    """
    item, word, boxes = _flat(places)
    edges = np.arange(side + 1) * (pixels / side)

    def along(low: str, high: str) -> np.ndarray:
        ends = [np.array([box[key] for box in boxes], np.float64)[:, None] for key in (low, high)]
        shared = np.minimum(edges[1:], ends[1]) - np.maximum(edges[:-1], ends[0])
        return shared.clip(min=0) * side / pixels

    rows, columns = along("top", "bottom"), along("left", "right")
    cover = (rows[:, :, None] * columns[:, None, :]).reshape(len(boxes), side * side)
    touched = cover > 0
    best = np.zeros((len(codes), side * side))
    np.maximum.at(best, item, cover)
    at = (cover >= LEAST_COVER) & (cover == best[item])
    return _aligned(codes, size, item, word, touched, touched, cover, at)


def align_text(codes: np.ndarray, size: int, words: list[list[dict[str, Any]]]) -> Aligned:
    """Words of texts that name the words of a scene in order: token l is the l-th name."""
    item, word, _ = _flat(words)
    own = np.concatenate([np.arange(len(some)) for some in words])
    at = own[:, None] == np.arange(codes.shape[1])
    return _aligned(codes, size, item, word, at, at, at.astype(np.float64), at)


def _flat(truth: list[list[dict[str, Any]]]) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """Item, number of the word, and the rest, of each occurrence."""
    item = np.repeat(np.arange(len(truth)), [len(some) for some in truth])
    every = [one for some in truth for one in some]
    return item, np.array([WORDS.index(one["word"]) for one in every]), every


def _aligned(codes, size, item, word, near, spans, cover, at) -> Aligned:
    """What each occurrence has (W, L), put together by item; `at` gives tokens their labels."""
    kinds, valid = len(WORDS), codes >= 0
    close = np.zeros((*codes.shape, kinds), bool)
    which, place = np.nonzero(near)
    close[item[which], place, word[which]] = True
    labels = np.where(valid, kinds, -1)
    which, place = np.nonzero(at & valid[item])
    labels[item[which], place] = word[which]
    return Aligned(codes, size, labels, close, spans & valid[item], cover, item, word)
