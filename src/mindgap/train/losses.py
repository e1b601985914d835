"""Contrastive losses of paired unit rows: the published ones and variants of others.

Each in `LOSSES` takes rows x, y of shape (B, d), row i beside row i, the logit scale s = 1/tau and,
for the sigmoid loss, a bias; S = s x y^T. Each returns a scalar.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

MARGIN = 0.001  # of MMS
_MASKED = -10_000.0  # logit of a row with itself, as in the published code


def cross_entropy(
    x: torch.Tensor, y: torch.Tensor, scale: torch.Tensor, bias: None
) -> torch.Tensor:
    """Symmetric cross-entropy of CLIP: the mean of both directions (Radford et al. 2021)."""
    logits = scale * x @ y.T
    target = torch.arange(len(x), device=x.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def sigmoid(
    x: torch.Tensor, y: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """SigLIP: -1/B sum_ij log sigmoid(z_ij (S_ij + b)), z = 1 on the diagonal and -1 off it.

    Zhai et al., ICCV 2023, eq. 1.
    """
    logits = scale * x @ y.T + bias
    signs = 2 * torch.eye(len(x), device=x.device) - 1
    return -F.logsigmoid(signs * logits).sum() / len(x)


def masked_margin(scores: torch.Tensor, margin: float = MARGIN) -> torch.Tensor:
    """Masked margin softmax: cross-entropy with M off the diagonal, both directions added.

    -1/B sum_i log [exp(S_ii - M) / (exp(S_ii - M) + sum_{j != i} exp(S_ij))] and the same for the
    columns (Ilharco et al. 2019; Monfort et al., CVPR 2021, eq. 2), for scores S of shape (B, B).
    """
    logits = scores - margin * torch.eye(len(scores), device=scores.device)
    target = torch.arange(len(scores), device=scores.device)
    return F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)


def with_margin(x: torch.Tensor, y: torch.Tensor, scale: torch.Tensor, bias: None) -> torch.Tensor:
    """Masked margin softmax with a fixed M = 0.001."""
    return masked_margin(scale * x @ y.T)


def uniformity(x: torch.Tensor) -> torch.Tensor:
    """Log mean_{i<j} exp(-2 ||x_i - x_j||^2) (Wang and Isola, ICML 2020)."""
    return torch.pdist(x).square().mul(-2).exp().mean().log()


def with_uniformity(
    x: torch.Tensor, y: torch.Tensor, scale: torch.Tensor, bias: None
) -> torch.Tensor:
    """Cross-entropy plus the mean uniformity of both modalities (published variant 2)."""
    return cross_entropy(x, y, scale, bias) + (uniformity(x) + uniformity(y)) / 2


def dual(x: torch.Tensor, y: torch.Tensor, scale: torch.Tensor, bias: None) -> torch.Tensor:
    """Cross-entropy over 2B - 1 candidates: all rows of both modalities but itself (variant 3)."""
    rows, n = torch.cat([x, y]), len(x)
    logits = (scale * rows @ rows.T).masked_fill(
        torch.eye(2 * n, dtype=torch.bool, device=x.device), _MASKED
    )
    target = torch.arange(2 * n, device=x.device).roll(n)
    return F.cross_entropy(logits, target)


def simple(x: torch.Tensor, y: torch.Tensor, scale: torch.Tensor, bias: None) -> torch.Tensor:
    """Cross-entropy of the rows that are already retrieved, without hard pairs (variant 4).

    Zero, with zero gradient, for a direction that retrieves none.
    """
    logits, target = scale * x @ y.T, torch.arange(len(x), device=x.device)
    total = torch.zeros((), device=x.device)
    for direction in (logits, logits.T):
        right = direction.argmax(dim=1) == target
        each = F.cross_entropy(direction, target, reduction="none")
        total = total + (each * right).sum() / right.sum().clamp(min=1)
    return total / 2


#: Name in the configuration -> loss.
LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "cross_entropy": cross_entropy,
    "sigmoid": sigmoid,
    "masked_margin": with_margin,
    "uniformity": with_uniformity,
    "dual": dual,
    "simple": simple,
}
