"""Pictures to pixel tensors, as a checkpoint's own image processor does it, only faster.

The processor decides. Its geometry (resize, centre crop) is read from its attributes and done by
Pillow on the picture itself; what it does to the values is one affine map per channel, learnt from
two uniform pictures and applied to a whole batch on the model's device. Whether the result is the
processor's own is not assumed but tried on pictures of several shapes; where it is not, the
processor itself does the work.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

#: Heights and widths of the pictures on which both ways are compared.
PROBES = ((240, 320), (501, 333), (64, 64), (37, 51), (224, 224), (40, 300))
_FACTS = {
    *("size", "crop_size", "crop_pct", "resample", "max_num_patches", "patch_size"),
    *("do_resize", "do_center_crop", "do_rescale", "do_normalize"),
    *("image_mean", "image_std", "rescale_factor"),
}
TOLERANCE = 2e-5  # in standardised units, of which one grey level is about 0.015


class Pixels:
    """Preprocessing of one checkpoint's pictures.

    Attributes
    ----------
    exact
        Whether the fast way gives the processor's own pixels; otherwise the processor is called.
    facts
        What the processor says of itself, for the record.
    """

    def __init__(self, processor: Any, values: str = "pixel_values") -> None:
        self.processor, self.values = processor, values
        self.resize, self.crop = _geometry(processor)
        resample = getattr(processor, "resample", None)
        self.resample = int(Image.Resampling.BILINEAR if resample is None else resample)
        self.facts = describe(processor)
        self.exact = self.resize is not None and self._learn()
        self.facts["fast"] = self.exact

    @property
    def side(self) -> tuple[int, int] | None:
        """Height and width of every picture that comes out; None where they vary."""
        if self.crop:
            return self.crop
        return self.resize if isinstance(self.resize, tuple) else None

    def __call__(self, picture: Image.Image) -> np.ndarray:
        """One picture: uint8 (height, width, 3), or float32 as the processor gives it."""
        picture = self.to_rgb(picture)
        if self.exact:
            return self._shape(picture)
        return self.by_processor(picture)[self.values][0]

    def by_processor(self, picture: Image.Image) -> dict[str, np.ndarray]:
        """Inputs of one picture from the processor itself, with a leading dimension of one."""
        given = self.processor(images=[self.to_rgb(picture)], return_tensors="np")
        # A processor of clips takes the picture for a clip of one frame.
        return {
            key: value.reshape(-1, *value.shape[-3:]) if value.ndim == 5 else value
            for key, value in ((k, np.asarray(v)) for k, v in given.items())
        }

    def to_rgb(self, picture: Image.Image) -> Image.Image:
        """Convert to RGB as the processor does; most lay transparency on white."""
        if picture.mode == "RGB":
            return picture
        if getattr(self.processor, "do_convert_rgb", False):
            return Image.fromarray(np.asarray(self.processor.convert_to_rgb(picture), np.uint8))
        return picture.convert("RGB")

    def to_tensor(self, pixels: torch.Tensor) -> torch.Tensor:
        """Batch of what `__call__` gives, on any device, to the model's float32 input."""
        if not self.exact:
            return pixels.float()
        scale, offset = (v.to(pixels.device) for v in (self.scale, self.offset))
        return torch.addcmul(offset, pixels.movedim(-1, -3).contiguous().float(), scale)

    def _shape(self, picture: Image.Image) -> np.ndarray:
        width, height = picture.size
        if isinstance(self.resize, int):
            short, long = sorted((width, height))
            other = int(self.resize * long / short)
            size = (self.resize, other) if width <= height else (other, self.resize)
        else:
            size = self.resize[::-1]
        if size != picture.size:
            picture = picture.resize(size, self.resample)
        if self.crop:
            left, top = (size[0] - self.crop[1]) // 2, (size[1] - self.crop[0]) // 2
            picture = picture.crop((left, top, left + self.crop[1], top + self.crop[0]))
        return np.asarray(picture)

    def _learn(self) -> bool:
        """Learn the affine map and compare both ways; False where they differ."""
        try:
            black, white = (self._channels(Image.new("RGB", (64, 64), (v,) * 3)) for v in (0, 255))
            self.offset = torch.tensor(black, dtype=torch.float32)[:, None, None]
            self.scale = torch.tensor((white - black) / 255, dtype=torch.float32)[:, None, None]
            rng = np.random.default_rng(0)
            for shape in PROBES:
                picture = Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
                theirs = self.by_processor(picture)[self.values][0]
                pixels = torch.from_numpy(self._shape(picture).copy())
                ours = torch.addcmul(self.offset, pixels.movedim(-1, -3).float(), self.scale)
                if tuple(ours.shape) != theirs.shape:
                    return False
                if np.abs(ours.numpy() - theirs).max() > TOLERANCE:
                    return False
        except (ValueError, TypeError, IndexError):
            return False
        return True

    def _channels(self, picture: Image.Image) -> np.ndarray:
        """Value of each channel that the processor gives a uniform picture, float64 (3,)."""
        given = np.asarray(self.by_processor(picture)[self.values][0], np.float64)
        if given.ndim != 3 or len(given) != 3:
            raise ValueError("not a picture of three channels")
        return given.mean(axis=(1, 2))


def _geometry(processor: Any) -> tuple[int | tuple[int, int] | None, tuple[int, int] | None]:
    """Resize (short side, or height and width) and centre crop; None where it is another kind."""
    size, crop = getattr(processor, "size", None), None
    if not getattr(processor, "do_resize", False) or size is None:
        return None, None
    if getattr(processor, "do_center_crop", False) and processor.crop_size is not None:
        crop = (processor.crop_size["height"], processor.crop_size["width"])
    short = size["shortest_edge"]
    if short is None:
        height, width = size["height"], size["width"]
        return ((height, width) if height and width else None), crop
    share = getattr(processor, "crop_pct", None)
    if share and short < 384:  # ConvNeXT's rule: below 384 pixels it enlarges and crops
        return int(short / share), (short, short)
    return short, crop


def describe(processor: Any) -> dict[str, Any]:
    """Facts of an image processor that decide its pixels, as plain values."""
    given = {k: v for k, v in processor.to_dict().items() if k in _FACTS and v is not None}
    return {"class": type(processor).__name__} | {k: _plain(v) for k, v in sorted(given.items())}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, bool | float | str):
        return value
    return int(value)
