"""Which pairs a step sees: a function of seed and step alone, so that a restart sees the same."""

from __future__ import annotations

import numpy as np

from mindgap.runtime.errors import UserError
from mindgap.train.augment import Draws


def wrong_partners(n: int, share: float, seed: int) -> np.ndarray:
    """Item whose captions each item gets, int64 (n,): its own, except for a share of the items.

    These exchange their captions in a circle, so that all of them are wrong.
    """
    partner = np.arange(n)
    count = round(share * n)
    if count >= 2:
        drawn = np.random.default_rng([seed, 1]).permutation(n)[:count]
        partner[drawn] = np.roll(drawn, 1)
    return partner


class Batches:
    """Batches of a set in shuffled epochs; the last, incomplete batch of an epoch is dropped.

    Parameters
    ----------
    first, count
        Where the captions of an item start, and how many there are: int64 (n,).
    captions
        `first`, `last`, or `random` for a new draw in each epoch.
    partner
        Item whose captions each item gets.
    augmentation
        `none`, `flip_crop` or `resized_crop`, see `Draws`.
    word_dropout
        Share of the words of a caption that a step leaves out.
    """

    def __init__(
        self,
        first: np.ndarray,
        count: np.ndarray,
        size: int,
        captions: str,
        partner: np.ndarray,
        seed: int,
        augmentation: str,
        word_dropout: float,
    ) -> None:
        if size > len(first):
            raise UserError(
                f"batch must be at most {len(first)}, the size of the training set, got {size}"
            )
        self.first, self.count, self.size = first[partner], count[partner], size
        self.captions, self.seed = captions, seed
        self.augmentation, self.word_dropout = augmentation, word_dropout
        self.per_epoch = len(first) // size
        self._epoch, self._order, self._draw = -1, np.empty(0), np.empty(0)

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray, Draws | None]:
        """Items and captions of a step, int64 (size,) each, and draws for `augment` or None."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, 0, epoch])
            self._epoch, self._order = epoch, rng.permutation(len(self.first))
            self._draw = rng.random(len(self.first))
        items = self._order[place * self.size : (place + 1) * self.size]
        offset = {
            "first": np.zeros(len(items), np.int64),
            "last": self.count[items] - 1,
            "random": (self._draw[items] * self.count[items]).astype(np.int64),
        }[self.captions]
        draws = None
        if self.augmentation != "none" or self.word_dropout:
            seed = [self.seed, 2, step]
            draws = Draws.of(self.augmentation, self.word_dropout, self.size, seed)
        return items, self.first[items] + offset, draws
