"""Quantisers of vector-quantize-pytorch, as alternatives to the project's own codebook."""

from __future__ import annotations

import torch
from vector_quantize_pytorch import ResidualVQ, SimVQ

from mindgap.codebook.assign import nearest_codes
from mindgap.codebook.quantise import Quantised, check_tokens, cluster

LEVELS = 2  # codebooks of a residual quantiser


class Residual(torch.nn.Module):
    """Residual VQ (Zeghidour et al. 2021): a second codebook for what the first leaves over.

    A token's code is that of the first codebook, and assignments are to its codes; the quantised
    token is the sum of both. Codes follow tokens by moving averages within the forward pass.
    """

    def __init__(self, codes: int, dimension: int, decay: float, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.inner = ResidualVQ(
            dim=dimension, codebook_size=codes, num_quantizers=LEVELS, decay=decay
        )

    def table(self) -> torch.Tensor:
        """Code vectors of the first codebook, (V, D)."""
        return self.inner.layers[0]._codebook.embed[0].clone()  # which the forward pass changes

    def place(self, rows: torch.Tensor) -> torch.Tensor:
        """Tokens in the space of the codes, (N, D)."""
        check_tokens(rows)
        return rows.float()

    def forward(self, rows: torch.Tensor, codes: torch.Tensor | None = None) -> Quantised:
        """Quantise tokens that `place` returned; in training the codes move."""
        quantised, found, losses = self.inner(rows[None])
        return Quantised(quantised[0], found[0, :, 0], losses.sum() * rows.shape[1])

    @torch.no_grad()
    def start(self, rows: torch.Tensor, modality: torch.Tensor, tokens: int) -> None:
        """Set each codebook to k-means centres of what those before it leave over."""
        left = rows.float()
        for layer in self.inner.layers:
            book = layer._codebook
            centres, shares = cluster(left, modality, layer.codebook_size, self.seed)
            counts = (shares * tokens).clamp(min=1e-3)
            book.embed.copy_(centres[None])
            book.cluster_size.copy_(counts[None])
            book.embed_avg.copy_((centres * counts[:, None])[None])
            book.initted.fill_(True)
            left = left - centres[nearest_codes(left, centres)]

    def update(self, *_: object) -> None:
        """Do nothing: the forward pass has moved the codes."""


class Sim(torch.nn.Module):
    """SimVQ (Zhu et al. 2024): codes are one learned linear map of fixed Gaussian vectors."""

    def __init__(self, codes: int, dimension: int, decay: float, seed: int) -> None:
        super().__init__()
        self.inner = SimVQ(dim=dimension, codebook_size=codes)

    def table(self) -> torch.Tensor:
        """Code vectors, (V, D)."""
        return self.inner.codebook

    def place(self, rows: torch.Tensor) -> torch.Tensor:
        """Tokens in the space of the codes, (N, D)."""
        check_tokens(rows)
        return rows.float()

    def forward(self, rows: torch.Tensor, codes: torch.Tensor | None = None) -> Quantised:
        """Quantise tokens that `place` returned."""
        quantised, found, loss = self.inner(rows[None])
        return Quantised(quantised[0], found[0], loss * rows.shape[1])

    def start(self, *_: object) -> None:
        """Do nothing: the map is learned from its first draw."""

    def update(self, *_: object) -> None:
        """Do nothing: the optimiser moves the map."""
