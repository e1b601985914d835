"""Two alternatives to the codebook of moving averages, with the same interface."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from mindgap.codebook.assign import nearest_codes
from mindgap.codebook.quantise import Codebook, Quantised, check_tokens, cluster, straight_through

if TYPE_CHECKING:
    from mindgap.config.codebook import CodebookRecipe


class LearnedCodebook(torch.nn.Module):
    """Codes trained by gradients: loss ||sg(h) - e||^2 + 1/4 ||h - sg(e)||^2 (VQ-VAE, eq. 3)."""

    def __init__(self, codes: int, dimension: int, seed: int) -> None:
        super().__init__()
        draw = torch.randn(codes, dimension, generator=torch.Generator().manual_seed(seed))
        self.vectors, self.seed = torch.nn.Parameter(draw), seed

    def table(self) -> torch.Tensor:
        """Code vectors, (V, D)."""
        return self.vectors

    def place(self, rows: torch.Tensor) -> torch.Tensor:
        """Tokens in the space of the codes, (N, D)."""
        check_tokens(rows)
        return rows.float()

    def forward(self, rows: torch.Tensor, codes: torch.Tensor | None = None) -> Quantised:
        """Quantise tokens that `place` returned."""
        codes = nearest_codes(rows.detach(), self.vectors.detach()) if codes is None else codes
        chosen = self.vectors[codes]
        loss = (rows.detach() - chosen).square() + (rows - chosen.detach()).square() / 4
        return Quantised(straight_through(rows, chosen), codes, loss.sum(1).mean())

    @torch.no_grad()
    def start(self, rows: torch.Tensor, modality: torch.Tensor, tokens: int) -> None:
        """Set the codes to the k-means centres of tokens; see `cluster`."""
        self.vectors.copy_(cluster(rows, modality, len(self.vectors), self.seed)[0])

    def update(self, *_: object) -> None:
        """Do nothing: the optimiser moves these codes."""


class Fsq(torch.nn.Module):
    """Finite scalar quantisation (Mentzer et al., ICLR 2024): a few channels, each rounded.

    b(z) = tanh(z + s) (L - 1)(1 + 1e-3)/2 - o with o = 1/2 and s = atanh(2o/((L - 1)(1 + 1e-3)))
    for even L and zero for odd; the codes are the points of the grid, which is not learnt.
    """

    def __init__(self, levels: list[int], dimension: int) -> None:
        super().__init__()
        self.down = torch.nn.Linear(dimension, len(levels))
        self.up = torch.nn.Linear(len(levels), dimension)
        size = torch.tensor(levels)
        reach, offset = (size - 1) * (1 + 1e-3) / 2, torch.where(size % 2 == 0, 0.5, 0.0)
        basis = torch.tensor([math.prod(levels[:i]) for i in range(len(levels))])
        grid = (torch.arange(math.prod(levels))[:, None] // basis) % size - size // 2
        for name, value in (("reach", reach), ("offset", offset), ("basis", basis), ("size", size)):
            self.register_buffer(name, value, persistent=False)
        self.register_buffer("vectors", grid.float(), persistent=False)

    def table(self) -> torch.Tensor:
        """Points of the grid, (V, channels)."""
        return self.vectors

    def place(self, rows: torch.Tensor) -> torch.Tensor:
        """Tokens in the space of the grid, (N, channels)."""
        check_tokens(rows)
        return self.bound(self.down(rows.float()))

    def bound(self, z: torch.Tensor) -> torch.Tensor:
        """b(z), within half a step of the outermost points."""
        return torch.tanh(z + torch.atanh(self.offset / self.reach)) * self.reach - self.offset

    def forward(self, rows: torch.Tensor, codes: torch.Tensor | None = None) -> Quantised:
        """Round what `place` returned; no loss."""
        rounded = rows.round()
        codes = ((rounded.long() + self.size // 2) * self.basis).sum(1)
        whole = straight_through(rows, rounded) / (self.size // 2)
        return Quantised(self.up(whole), codes, rows.new_zeros(()))

    def start(self, *_: object) -> None:
        """Do nothing: the grid is fixed."""

    def update(self, *_: object) -> None:
        """Do nothing: the grid is fixed."""


def make_quantiser(options: CodebookRecipe, modalities: int, seed: int) -> torch.nn.Module:
    """The quantiser that `options` name; `rvq` and `simvq` come from vector-quantize-pytorch."""
    if options.quantiser in ("rvq", "simvq"):
        from mindgap.codebook.library import Residual, Sim

        kind = {"rvq": Residual, "simvq": Sim}[options.quantiser]
        return kind(options.codes, options.code_dimension, options.decay, seed)
    if options.quantiser == "fsq":
        return Fsq(options.levels, options.code_dimension)
    if options.quantiser == "learned":
        return LearnedCodebook(options.codes, options.code_dimension, seed)
    return Codebook(options, modalities, seed)
