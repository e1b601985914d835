"""Cross-Modal Code Matching (Liu et al. 2022, sec. 2.3), and items that share a source."""

from __future__ import annotations

import torch
from torch.nn import functional as F

_ENTRIES = 1 << 22  # of the mixtures that the Jensen-Shannon form holds at a time


def mask_sources(scores: torch.Tensor, sources: torch.Tensor | None) -> torch.Tensor:
    """Scores with -inf where two different items have the same source, which is no wrong answer.

    Parameters
    ----------
    scores
        (B, B): row i of one modality against row j of the other.
    sources
        Source of each item, int64 (B,); None if all differ.
    """
    if sources is None:
        return scores
    same = sources[:, None] == sources[None, :]
    return scores.masked_fill(same.fill_diagonal_(False), -torch.inf)


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
    form: str,
    temperature: float,
    both: bool,
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
        As in `mask_sources`.
    """
    scores = mask_sources(code_scores(log_a, log_b, form) / temperature, sources)
    target = torch.arange(len(scores), device=scores.device)
    loss = F.cross_entropy(scores, target)
    return (loss + F.cross_entropy(scores.T, target)) / 2 if both else loss
