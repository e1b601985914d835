"""Fine-grained encoders: one vector per cell, frame or word, and a mask that is False for padding.

Their receptive fields are small on purpose: a token says what is at its place, so that a code that
fires there can be read.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional as F

from mindgap.runtime.errors import UserError

Inputs = dict[str, torch.Tensor]


class Block(torch.nn.Module):
    """Residual convolution over one or two axes, h + conv(gelu(norm(h)))."""

    def __init__(self, width: int, axes: int) -> None:
        super().__init__()
        kind = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d}[axes]
        self.norm = torch.nn.GroupNorm(1, width)
        self.conv = kind(width, width, 3, padding=1)

    def forward(self, h: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Next layer of (B, width, ...); padding is zero before and after."""
        if mask is None:
            return h + self.conv(F.gelu(self.norm(h)))
        h = h * mask
        # Moments without the padding, which must not reach the tokens.
        n = mask.sum((1, 2), keepdim=True).clamp(min=1) * h.shape[1]
        mean = h.sum((1, 2), keepdim=True) / n
        variance = ((h - mean) * mask).square().sum((1, 2), keepdim=True) / n
        normed = (h - mean) / (variance + self.norm.eps).sqrt()
        normed = normed * self.norm.weight[:, None] + self.norm.bias[:, None]
        return (h + self.conv(F.gelu(normed) * mask)) * mask


class Cells(torch.nn.Module):
    """Cells of a picture, or of the slices of a clip: tokens of 8 x 8 pixels (and `span` frames).

    Parameters
    ----------
    size
        Side of the pictures, a multiple of 8.
    frames, span
        Frames of a clip, and how many of them a slice has; 1 and 1 for a picture.
    """

    STRIDE = 8

    def __init__(self, width: int, layers: int, size: int, frames: int = 1, span: int = 1) -> None:
        super().__init__()
        if size % self.STRIDE or frames % span:
            raise UserError(
                f"inputs of a codebook: size must be a multiple of {self.STRIDE} and frames a "
                f"multiple of span, got size {size}, frames {frames} and span {span}"
            )
        self.frames, self.span, self.side = frames, span, size // self.STRIDE
        self.patch = torch.nn.Conv2d(3 * span, width // 2, 4, stride=4)
        self.halve = torch.nn.Conv2d(width // 2, width, 4, stride=2, padding=1)
        self.place = torch.nn.Parameter(0.02 * torch.randn(width, self.side, self.side))
        self.blocks = torch.nn.ModuleList(Block(width, 2) for _ in range(layers))

    @property
    def shape(self) -> tuple[int, ...]:
        """Slices, rows and columns of the tokens of an item."""
        return self.frames // self.span, self.side, self.side

    def forward(self, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, L, width) and mask (B, L) of `pixels`, uint8 (B, frames, size, size, 3)."""
        pixels = inputs["pixels"]
        b, f, s = pixels.shape[:3]
        slices = pixels.view(b * f // self.span, self.span, s, s, 3).permute(0, 1, 4, 2, 3)
        h = slices.reshape(len(slices), 3 * self.span, s, s).float() / 127.5 - 1
        h = self.halve(F.gelu(self.patch(h))) + self.place
        for block in self.blocks:
            h = block(h)
        tokens = h.flatten(2).transpose(1, 2).reshape(b, math.prod(self.shape), -1)
        return tokens, tokens.new_ones(tokens.shape[:2], dtype=torch.bool)


class Frames(torch.nn.Module):
    """Frames of a log-mel spectrogram, `STRIDE` of them per token."""

    STRIDE = 2

    def __init__(self, width: int, layers: int, mels: int) -> None:
        super().__init__()
        self.first = torch.nn.Conv1d(mels, width, 5, stride=self.STRIDE, padding=2)
        self.blocks = torch.nn.ModuleList(Block(width, 1) for _ in range(layers))

    def forward(self, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and mask of `mel`, float32 (B, T, mels), zero beyond each `length`."""
        h = self.first(inputs["mel"].transpose(1, 2))
        lengths = -(-inputs["length"] // self.STRIDE)
        mask = torch.arange(h.shape[2], device=h.device) < lengths[:, None]
        for block in self.blocks:
            h = block(h, mask[:, None].to(h))
        return h.transpose(1, 2), mask


class Words(torch.nn.Module):
    """Words of a text, each seen with its neighbours."""

    def __init__(self, width: int, layers: int, vocabulary: int, context: int) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(vocabulary, width)
        self.place = torch.nn.Parameter(0.02 * torch.randn(context, width))
        self.blocks = torch.nn.ModuleList(Block(width, 1) for _ in range(layers))

    def forward(self, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and mask of `ids`, int64 (B, T), with the `length` of each text."""
        ids = inputs["ids"]
        h = (self.words(ids) + self.place[: ids.shape[1]]).transpose(1, 2)
        mask = torch.arange(h.shape[2], device=h.device) < inputs["length"][:, None]
        for block in self.blocks:
            h = block(h, mask[:, None].to(h))
        return h.transpose(1, 2), mask


class Features(torch.nn.Module):
    """Tokens of another encoder, projected."""

    def __init__(self, width: int, layers: int, dimension: int) -> None:
        super().__init__()
        self.first = torch.nn.Sequential(
            torch.nn.LayerNorm(dimension), torch.nn.Linear(dimension, width)
        )
        self.blocks = torch.nn.ModuleList(
            torch.nn.Sequential(torch.nn.LayerNorm(width), torch.nn.Linear(width, width))
            for _ in range(layers)
        )

    def forward(self, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and mask of `rows`, float32 (B, L, dimension), with the `length` of each item."""
        h = self.first(inputs["rows"].float())
        for block in self.blocks:
            h = h + F.gelu(block(h))
        mask = torch.arange(h.shape[1], device=h.device) < inputs["length"][:, None]
        return h, mask


def make_encoder(facts: dict[str, Any], width: int, layers: int) -> torch.nn.Module:
    """Encoder of the inputs that `facts` describe, see `mindgap.codebook.inputs`."""
    kinds = {"image": Cells, "video": Cells, "audio": Frames, "text": Words, "features": Features}
    return kinds[facts["kind"]](width, layers, **facts["sizes"])
