"""Amendments of the initial gap: frozen maps of the unit rows, fitted before the first step.

Mind the Gap, sec. 4.4: with X, Y the unit rows of the untrained model and X^T Y = U S V^T, the
text rows become W y with W = U V^T, which minimises ||X - Y W^T||_F over orthogonal W.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F


@dataclass(frozen=True)
class Amendment:
    """Maps of the two modalities' unit rows.

    Attributes
    ----------
    turn
        Orthogonal matrix (d, d) that turns the second modality; None for none.
    centres
        Mean of each modality's unit rows, subtracted before the rows are normalised again.
    """

    turn: torch.Tensor | None = None
    centres: tuple[torch.Tensor, torch.Tensor] | None = None

    def __call__(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Amended unit rows."""
        if self.turn is not None:
            y = y @ self.turn.to(y).T
        if self.centres is not None:
            x, y = (
                F.normalize(z - c.to(z), dim=1) for z, c in zip((x, y), self.centres, strict=True)
            )
        return x, y

    def tensors(self) -> dict[str, torch.Tensor]:
        """Tensors to save."""
        named = {"turn": self.turn}
        if self.centres is not None:
            named |= {"centre_a": self.centres[0], "centre_b": self.centres[1]}
        return {key: value for key, value in named.items() if value is not None}

    @classmethod
    def of_tensors(cls, tensors: dict[str, torch.Tensor]) -> Amendment:
        """The amendment that `tensors` saved."""
        centres = (tensors["centre_a"], tensors["centre_b"]) if "centre_a" in tensors else None
        return cls(tensors.get("turn"), centres)


def fit_amendment(kind: str, x: torch.Tensor, y: torch.Tensor) -> Amendment:
    """Fit an amendment (`none`, `procrustes`, `centre`) to unit rows (n, d), in float64."""
    if kind == "none":
        return Amendment()
    x, y = x.double(), y.double()
    if kind == "centre":
        return Amendment(centres=(x.mean(0).float(), y.mean(0).float()))
    left, _, right = torch.linalg.svd(x.T @ y)
    return Amendment(turn=(left @ right).float())
