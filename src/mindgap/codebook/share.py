"""A batch of pairs encoded by several processes: gathered, with gradients carried back."""

from __future__ import annotations

import torch

from mindgap.codebook.model import Tokens, TwoPaths
from mindgap.train.parallel import Group


def gather(mine: Tokens, group: Group) -> Tokens:
    """Gather the items of all processes, in order, as leaves of a new graph.

    Every process then computes the codes and the loss of the whole batch, so that no statistic is
    that of a part (Gao et al. 2021, "gradient cache").
    """
    if group.size == 1:
        return mine
    continuous, lengths = (
        torch.stack([group.gather(part.detach()) for part in both])
        for both in (mine.continuous, mine.lengths)
    )
    rows = tuple(group.gather_ragged(part.detach()) for part in mine.rows)
    for leaf in (continuous, *rows):
        leaf.requires_grad_(torch.is_grad_enabled())
    return Tokens(continuous, rows, lengths, mine.masks)


def carry_back(mine: Tokens, every: Tokens, model: TwoPaths, group: Group) -> None:
    """Carry the gradients of this process's items back to its encoders, and add up over all."""
    b = mine.lengths.shape[1]
    own = slice(group.rank * b, (group.rank + 1) * b)
    made, back = [], []
    if mine.continuous.requires_grad:
        made.append(mine.continuous)
        back.append(every.continuous.grad[:, own])
    for part, whole, lengths in zip(mine.rows, every.rows, every.lengths, strict=False):
        start = int(lengths[: own.start].sum())
        made.append(part)
        back.append(whole.grad[start : start + len(part)])
    torch.autograd.backward(made, back)
    group.add_gradients(model.local())
