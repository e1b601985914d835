"""Masked margin softmax and Cross-Modal Code Matching (Liu et al. 2022, secs. 2.1 and 2.3)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from mindgap.train.losses import MARGIN

_ENTRIES = 1 << 22  # of the mixtures that the Jensen-Shannon form holds at a time


def masked_margin(
    scores: torch.Tensor, sources: torch.Tensor | None = None, margin: float = MARGIN
) -> torch.Tensor:
    """Masked margin softmax, both ways added: Ilharco et al. 2019; Monfort et al. 2021, eq. 2.

    -1/B sum_i log [exp(S_ii - M) / (exp(S_ii - M) + sum_{j != i} exp(S_ij))] and the same for the
    columns.

    Parameters
    ----------
    scores
        S, (B, B): row i of one modality against row j of the other.
    sources
        Source of each item, int64 (B,): items with the same source are not counted as wrong
        answers and are left out of the sums. None if all differ.
    margin
        M, subtracted from the diagonal.
    """
    n = len(scores)
    logits = scores - margin * torch.eye(n, device=scores.device)
    if sources is not None:
        same = sources[:, None] == sources[None, :]
        same.fill_diagonal_(False)
        logits = logits.masked_fill(same, -torch.inf)
    target = torch.arange(n, device=scores.device)
    return F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)


def code_scores(log_a: torch.Tensor, log_b: torch.Tensor, form: str) -> torch.Tensor:
    """Similarity of code distributions: (B, B) from log P of shape (B, V) each.

    `cross_entropy`: sum_v P_i log Q_j + Q_j log P_i, the paper's S_code. As -S = H(P) + H(Q) +
    KL(P||Q) + KL(Q||P), the entropy of the candidates stays in the softmax of a row, so that
    sharp candidates become hubs. `kl`: -(KL(P||Q) + KL(Q||P)); `js`: minus the Jensen-Shannon
    divergence; neither contains the entropy.
    """
    a, b = log_a.exp(), log_b.exp()
    own_a, own_b = (a * log_a).sum(1)[:, None], (b * log_b).sum(1)[None, :]
    if form == "js":
        step = max(1, _ENTRIES // log_b.numel())
        cross = [_mixed(log_a[i : i + step], log_b) for i in range(0, len(log_a), step)]
        return torch.cat(cross) - (own_a + own_b) / 2
    scores = a @ log_b.T + log_a @ b.T
    return scores if form == "cross_entropy" else scores - own_a - own_b


def _mixed(log_a: torch.Tensor, log_b: torch.Tensor) -> torch.Tensor:
    """Minus the entropy of each mixture (P_i + Q_j) / 2."""
    logs = torch.logaddexp(log_a[:, None], log_b[None]) - torch.log(torch.tensor(2.0))
    return (logs.exp() * logs).sum(2)


def code_matching(
    log_a: torch.Tensor,
    log_b: torch.Tensor,
    form: str = "cross_entropy",
    temperature: float = 1.0,
    both: bool = False,
    sources: torch.Tensor | None = None,
) -> torch.Tensor:
    """Cross-Modal Code Matching: -1/B sum_i log [exp(S_ii) / sum_j exp(S_ij)], S = `code_scores`.

    Parameters
    ----------
    temperature
        S is divided by it; 1 in the paper.
    both
        Mean of both directions; the paper's form has a to b alone.
    sources
        As in `masked_margin`.
    """
    scores = code_scores(log_a, log_b, form) / temperature
    if sources is not None:
        same = sources[:, None] == sources[None, :]
        same.fill_diagonal_(False)
        scores = scores.masked_fill(same, -torch.inf)
    target = torch.arange(len(scores), device=scores.device)
    loss = F.cross_entropy(scores, target)
    return (loss + F.cross_entropy(scores.T, target)) / 2 if both else loss
