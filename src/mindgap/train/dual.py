"""The model under training: an encoder's two towers, the temperature, the amendment."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional as F

from mindgap.embed.encoders.base import Adapter, Inputs
from mindgap.train.amend import Amendment
from mindgap.train.losses import LOSSES
from mindgap.train.pool import Pool

SIGMOID_BIAS = -10.0  # SigLIP's own start


class Dual(torch.nn.Module):
    """Towers of an encoder with the parameters that belong to the loss.

    Parameters
    ----------
    encoder
        A dual encoder of pictures and texts.
    loss
        Name in `LOSSES`.
    temperature
        `learned` trains the log of the logit scale from its start; `fixed` and `scheduled` do not.
    inverse_temperature
        1/tau at the start.
    """

    def __init__(
        self, encoder: Adapter, loss: str, temperature: str, inverse_temperature: float
    ) -> None:
        super().__init__()
        self.encoder, self.loss_name = encoder, loss
        self.towers = encoder.model.requires_grad_(True)
        start = torch.tensor(math.log(inverse_temperature))
        self.log_scale = torch.nn.Parameter(start, requires_grad=temperature == "learned")
        bias = torch.tensor(SIGMOID_BIAS)
        self.bias = torch.nn.Parameter(bias, requires_grad=loss == "sigmoid")
        self.amendment = Amendment()
        # The towers have a logit scale of their own, which no loss here reads.
        for name, parameter in self.towers.named_parameters():
            if name in ("logit_scale", "logit_bias"):
                parameter.requires_grad_(False)

    def get_extra_state(self) -> dict[str, torch.Tensor]:
        """The amendment, which is part of a model's state."""
        return self.amendment.tensors()

    def set_extra_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take the amendment of a saved state."""
        self.amendment = Amendment.of_tensors(state)

    def pictures(self, pixels: torch.Tensor) -> torch.Tensor:
        """Unit rows of a batch of pictures, without the amendment."""
        device = self.log_scale.device
        return F.normalize(self.encoder.encode("image", {"pixel_values": pixels.to(device)}), dim=1)

    def texts(self, tokens: Inputs) -> torch.Tensor:
        """Unit rows of a batch of texts, without the amendment."""
        device = self.log_scale.device
        moved = {key: value.to(device) for key, value in tokens.items()}
        return F.normalize(self.encoder.encode("text", moved), dim=1)

    def forward(self, pixels: torch.Tensor, tokens: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit rows of both modalities: float32 (B, d) each, as the loss sees them."""
        x, y = self.pictures(pixels).float(), self.texts(tokens).float()
        return self.amendment(x, y)

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Loss of paired unit rows at the present temperature."""
        return LOSSES[self.loss_name](x, y, self.log_scale.exp(), self.bias)

    @torch.inference_mode()
    def embed(
        self, pool: Pool, captions: np.ndarray, batch: int, amended: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit rows of a set, float32 (n, d) on the CPU; item i beside caption captions[i]."""
        parts = []
        for some in _chunks(len(pool), batch):
            pixels, tokens = pool.batch(some, captions[some], trims(self.encoder))
            x, y = self.pictures(pixels).float(), self.texts(tokens).float()
            x, y = self.amendment(x, y) if amended else (x, y)
            parts.append((x.cpu(), y.cpu()))
        return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])


def trims(encoder: Adapter) -> bool:
    """Whether columns of padding change nothing, so that a batch may leave them out."""
    return encoder.padding == "longest"


def _chunks(n: int, size: int) -> Iterator[np.ndarray]:
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))
