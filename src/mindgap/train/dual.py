"""The model under training: an encoder's two towers, the temperature, the amendment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from mindgap.embed.encoders.base import Adapter, Inputs
from mindgap.train.amend import Amendment
from mindgap.train.losses import LOSSES

if TYPE_CHECKING:
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
        # The towers have a logit scale too, which no loss here reads.
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
        """Vectors of a batch of pictures, not normalised."""
        device = self.log_scale.device
        return self.encoder.encode("image", {"pixel_values": pixels.to(device)})

    def texts(self, tokens: Inputs) -> torch.Tensor:
        """Vectors of a batch of texts, not normalised."""
        device = self.log_scale.device
        return self.encoder.encode("text", {k: v.to(device) for k, v in tokens.items()})

    def forward(self, pixels: torch.Tensor, tokens: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit rows of both modalities: float32 (B, d) each, as the loss sees them."""
        vectors = self.pictures(pixels), self.texts(tokens)
        return self.amendment(*(F.normalize(z, dim=1).float() for z in vectors))

    def scale(self) -> float:
        """Logit scale 1/tau."""
        return float(self.log_scale.detach().exp().cpu())

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Loss of paired unit rows at the present temperature."""
        return LOSSES[self.loss_name](x, y, self.log_scale.exp(), self.bias)

    @torch.inference_mode()
    def embed(
        self, pool: Pool, captions: np.ndarray, batch: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of a set, float32 (n, d) on the CPU, neither normalised nor amended.

        Item i stands beside caption captions[i].
        """
        parts = []
        for some in chunks(np.arange(len(pool)), batch):
            pixels, tokens = pool.batch(some, captions[some], trims(self.encoder))
            parts.append([z.float().cpu() for z in (self.pictures(pixels), self.texts(tokens))])
        return tuple(torch.cat(side) for side in zip(*parts, strict=True))

    @torch.inference_mode()
    def embed_pictures(self, pool: Pool, batch: int) -> torch.Tensor:
        """Rows of the pictures of a set alone, as `embed` gives them."""
        parts = (
            torch.from_numpy(pool.pictures[some]) for some in chunks(np.arange(len(pool)), batch)
        )
        return torch.cat([self.pictures(pixels).float().cpu() for pixels in parts])


def trims(encoder: Adapter) -> bool:
    """Whether a batch may leave out columns of padding, which then change nothing."""
    return encoder.padding == "longest"


def chunks(items: np.ndarray, size: int) -> list[np.ndarray]:
    """Items in pieces of `size`; the last one may be smaller."""
    return [items[i : i + size] for i in range(0, len(items), size)]
