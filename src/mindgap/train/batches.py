"""Which pairs a step sees: a function of the seed and the step alone, so that a restart agrees."""

from __future__ import annotations

import numpy as np

from mindgap.errors import UserError


def wrong_partners(n: int, share: float, seed: int) -> np.ndarray:
    """Item whose captions each item gets: int64 (n,), its own but for a share of wrong ones.

    The items drawn exchange their captions in a circle, so that all of these are wrong.
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
        Where the captions of an item start, and how many they are: int64 (n,).
    captions
        `first`, `last`, or `random` for another draw in each epoch.
    partner
        Item whose captions each item gets.
    augmentation
        `none`, or `flip_crop`: each picture of a step comes with draws for `flip_and_crop`.
    """

    def __init__(
        self,
        first: np.ndarray,
        count: np.ndarray,
        size: int,
        captions: str,
        partner: np.ndarray,
        seed: int,
        augmentation: str = "none",
    ) -> None:
        if size > len(first):
            raise UserError(
                f"a batch of {size} is larger than the set of {len(first)} items; lower `batch`"
            )
        self.first, self.count, self.size = first[partner], count[partner], size
        self.captions, self.seed, self.augmentation = captions, seed, augmentation
        self.per_epoch = len(first) // size
        self._epoch, self._order, self._draw = -1, np.empty(0), np.empty(0)

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Items and captions of a step, int64 (size,) each, and draws (size, 3) or None."""
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
        if self.augmentation == "flip_crop":
            draws = np.random.default_rng([self.seed, 2, step]).random((self.size, 3))
        return items, self.first[items] + offset, draws


def flip_and_crop(pictures: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Mirror half of the pictures, and move each by up to an eighth of its sides.

    What a move leaves empty is filled by reflection. It is the usual augmentation of small
    pictures (He et al., CVPR 2016, section 4.2), with a margin that grows with them.

    Parameters
    ----------
    pictures
        (b, channels, height, width) of any type.
    draws
        Uniform in [0, 1): (b, 3), for the mirror, the vertical and the horizontal move.
    """
    height, width = pictures.shape[2:]
    up, left = height // 8, width // 8
    padded = np.pad(pictures, [(0, 0), (0, 0), (up, up), (left, left)], mode="reflect")
    out = np.empty_like(pictures)
    for i, (mirror, y, x) in enumerate(draws):
        top, start = int(y * (2 * up + 1)), int(x * (2 * left + 1))
        one = padded[i, :, top : top + height, start : start + width]
        out[i] = one[:, :, ::-1] if mirror < 0.5 else one
    return out
