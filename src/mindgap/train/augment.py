"""Random changes of pictures and captions in each step, against overfitting of small sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

LONGEST = 256  # tokens of a caption, from its start, that may be left out


@dataclass(frozen=True)
class Draws:
    """Random numbers for the items of a step.

    Attributes
    ----------
    kind
        `none`, `flip_crop` or `resized_crop`.
    pictures
        Uniform in [0, 1): (b, 5), or (b, 3) for `flip_crop`.
    words
        The same, (b, `LONGEST`).
    dropout
        Share of the words that is left out.
    """

    kind: str
    pictures: np.ndarray
    words: np.ndarray
    dropout: float

    @classmethod
    def of(cls, kind: str, dropout: float, size: int, seed: list[int]) -> Draws:
        """Numbers that the seed determines."""
        rng = np.random.default_rng(seed)
        pictures = rng.random((size, 3 if kind == "flip_crop" else 5))
        return cls(kind, pictures, rng.random((size, LONGEST)), dropout)

    def __getitem__(self, rows: np.ndarray) -> Draws:
        """The draws of some items."""
        return Draws(self.kind, self.pictures[rows], self.words[rows], self.dropout)

    def change(
        self, pictures: np.ndarray, tokens: dict[str, np.ndarray], padding: int
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Pictures and captions as this step sees them."""
        if self.kind == "flip_crop":
            pictures = flip_and_crop(pictures, self.pictures)
        elif self.kind == "resized_crop":
            pictures = crop_and_resize(pictures, self.pictures)
        if self.dropout:
            tokens = leave_out_words(tokens, self.words < self.dropout, padding)
        return pictures, tokens


def flip_and_crop(pictures: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Mirror half of the pictures, and shift each by up to an eighth of its sides.

    Margins are filled by reflection. This is the usual augmentation of small pictures (He et al.,
    CVPR 2016, section 4.2), with a margin proportional to their size.

    Parameters
    ----------
    pictures
        (b, channels, height, width) of any type.
    draws
        Uniform in [0, 1): (b, 3), for the mirror, the vertical and the horizontal shift.
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


def crop_and_resize(pictures: np.ndarray, draws: np.ndarray, least: float = 0.35) -> np.ndarray:
    """Mirror half of the pictures, and crop each and resize it to its full size, bilinearly.

    A crop has at least the share `least` of the area and sides of 3:4 to 4:3 (Szegedy et al.,
    CVPR 2015, section 6; there the least share is 0.08).

    Parameters
    ----------
    pictures
        (b, channels, height, width) of any type.
    draws
        Uniform in [0, 1): (b, 5), for the mirror, the place (vertical, horizontal), the area and
        the ratio of the sides.
    """
    mirror, y, x, area, ratio = torch.from_numpy(draws).float().T
    area, aspect = least + (1 - least) * area, (4 / 3) ** (2 * ratio - 1)
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    theta = torch.zeros(len(draws), 2, 3)
    theta[:, 0, 0] = torch.where(mirror < 0.5, -width, width)
    theta[:, 1, 1] = height
    theta[:, 0, 2], theta[:, 1, 2] = (2 * x - 1) * (1 - width), (2 * y - 1) * (1 - height)
    given = torch.from_numpy(np.ascontiguousarray(pictures))
    grid = F.affine_grid(theta, list(given.shape), align_corners=False)
    found = F.grid_sample(given.float(), grid, padding_mode="border", align_corners=False)
    if not given.is_floating_point():
        found = found.round()
    return found.to(given.dtype).numpy()


def leave_out_words(
    tokens: dict[str, np.ndarray], out: np.ndarray, padding: int
) -> dict[str, np.ndarray]:
    """Captions without some of their words; the first and the last token of each stay.

    Parameters
    ----------
    tokens
        `input_ids` and, for most models, `attention_mask`: int64 (b, length) each, padded on the
        right.
    out
        Which tokens to leave out: bool, at least (b, min(length, `LONGEST`)).
    padding
        Token that fills the end.
    """
    ids = tokens["input_ids"]
    mask = tokens.get("attention_mask", ids != padding).astype(bool)
    places = np.arange(ids.shape[1])
    drop = np.zeros_like(mask)
    drop[:, : out.shape[1]] = out[:, : ids.shape[1]]
    keep = mask & ~(drop & (places > 0) & (places < mask.sum(1, keepdims=True) - 1))
    order = np.argsort(~keep, axis=1, kind="stable")
    kept = np.take_along_axis(keep, order, 1)
    ids = np.where(kept, np.take_along_axis(ids, order, 1), padding)
    changed = {"input_ids": ids, "attention_mask": kept.astype(np.int64)}
    return {**tokens, **{key: changed[key] for key in changed if key in tokens}}
