"""What the networks look at: noise, pictures and captions, captions drawn as pictures."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from mindgap.data.media import open_picture
from mindgap.data.pairs import read_pairs
from mindgap.runtime.errors import UserError

#: ImageNet's mean and standard deviation, with which the published notebooks prepare pictures for
#: random networks, CLIP's too.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TOKENS, CONTEXT = 49408, 77


@dataclass(frozen=True)
class Inputs:
    """One set of inputs, the same for every initialisation.

    Attributes
    ----------
    name
        `noise` or the name of a data set.
    count
        Number of inputs.
    pictures
        uint8 of shape (n, size, size, 3), or None for noise.
    texts
        One caption per item, or None: for noise, and where only the pictures are asked for.
    seed
        Seed of the noise; row i depends on it and on i alone.
    drawn
        Whether the pictures show the captions of the set.
    """

    name: str
    count: int
    pictures: np.ndarray | None = None
    texts: list[str] | None = None
    seed: int = 0
    drawn: bool = False

    @property
    def modalities(self) -> tuple[str, ...]:
        """Which towers these inputs are for."""
        noise = self.pictures is None
        return ("image", "text") if noise or self.texts is not None else ("image",)

    def pixels(self, start: int, stop: int, size: int, raw: bool = False) -> torch.Tensor:
        """Pixels of some inputs, float32 of shape (k, 3, size, size).

        Noise is standard normal. Pictures are scaled to [0, 1] and, unless `raw`, standardised
        with ImageNet's mean and standard deviation.
        """
        if self.pictures is None:
            return torch.stack(
                [
                    torch.randn(3, size, size, generator=self._generator(i))
                    for i in range(start, stop)
                ]
            )
        pixels = torch.from_numpy(self.pictures[start:stop]).permute(0, 3, 1, 2).float() / 255
        if raw:
            return pixels
        return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]

    def tokens(self, start: int, stop: int) -> torch.Tensor:
        """Token ids of some inputs, int64 of shape (k, length); noise is uniform over all ids."""
        if self.texts is None:
            rows = [
                torch.randint(0, TOKENS, (CONTEXT,), generator=self._generator(i, 1))
                for i in range(start, stop)
            ]
            return torch.stack(rows)
        from mindgap.embed.clip import tokenise

        return torch.from_numpy(tokenise(self.texts[start:stop], CONTEXT))

    def _generator(self, row: int, stream: int = 0) -> torch.Generator:
        state = np.random.SeedSequence([self.seed, row, stream]).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(state >> 1))


def noise(count: int, seed: int) -> Inputs:
    """Standard normal pixels and uniform token ids, as in the published noise experiments."""
    return Inputs("noise", count, seed=seed)


def read_items(path: str | Path, name: str, count: int, size: int) -> Inputs:
    """Read the first `count` items of a pairs file: pictures prepared, first captions."""
    pictures, texts = [], []
    for image, captions in islice(_items(path), count):
        if not captions:
            raise UserError(f"{name}: an item has no caption; remove it from the pairs")
        pictures.append(prepare(open_picture(image), size))
        texts.append(captions[0])
    if len(texts) < 2:
        raise UserError(f"{name}: cosines of pairs need at least two items; add some")
    return Inputs(name, len(texts), np.stack(pictures), texts)


def _items(path: str | Path) -> Iterator[tuple[bytes, list[str]]]:
    for batch in read_pairs(path, ["image", "text"], rows=64):
        for image, captions in zip(batch["image"], batch["text"], strict=True):
            yield image.as_py(), captions.as_py()


def captions_drawn(inputs: Inputs) -> Inputs:
    """The captions of a data set as pictures of their words, for networks that see only pixels."""
    size = inputs.pictures.shape[1]
    pictures = np.stack([draw_text(text, size) for text in inputs.texts])
    return Inputs(inputs.name, inputs.count, pictures, drawn=True)


def prepare(picture: Image.Image, size: int) -> np.ndarray:
    """Shortest side to `size`, bilinear, centre crop: uint8 of shape (size, size, 3)."""
    picture = picture.convert("RGB")
    short = min(picture.size)
    width, height = (size if side == short else int(size * side / short) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return np.asarray(picture.crop((left, top, left + size, top + size)))


def draw_text(text: str, size: int) -> np.ndarray:
    """Draw a text in black on white with Pillow's own font, wrapped: uint8 (size, size, 3)."""
    page = Image.new("RGB", (size, size), "white")
    letter = max(6, size // 10)
    lines = textwrap.wrap(text, width=max(1, round(1.8 * size / letter)))
    font = ImageFont.load_default(letter)
    ImageDraw.Draw(page).multiline_text((2, 2), "\n".join(lines), fill="black", font=font)
    return np.asarray(page)


def gather_inputs(
    first: Inputs, pairs: dict[str, str], drawings: dict[str, str], items: int, size: int
) -> tuple[list[Inputs], list[Inputs]]:
    """Noise and the data sets; and their drawn captions and second drawings, pictures alone.

    `first` is the noise; `pairs` maps the name of each data set, second drawings included, to its
    pairs file, of which the first `items` are read.
    """
    sets = [name for name in pairs if name not in drawings.values()]
    every = {name: read_items(path, name, items, size) for name, path in pairs.items()}
    few = [captions_drawn(every[name]) for name in sets]
    for name, other in drawings.items():
        if name not in sets:
            continue
        if every[name].count != every[other].count:
            raise UserError(
                f"{other} has {every[other].count} items, but {name}, which it draws another way, "
                f"has {every[name].count}; item i of both must mean the same"
            )
        few.append(replace(every[other], texts=None))
    return [first, *(every[name] for name in sets)], few
