"""Soft assignment of tokens to codes, averaged over each item, with its gradient in one pass.

Liu et al. 2022, sec. 2.3: p(v|h) = exp(-||h - e_v|| / tau) / sum_k exp(-||h - e_k|| / tau), with
the norm and not its square, and P(v|H) = mean over the tokens of an item. Codes get no gradient.
"""

from __future__ import annotations

import torch

NEAREST = 1e-10  # least squared distance: the root has an infinite slope at zero
_LEAST = 1e-30  # float32 shares below this are computed anew in log space
_ENTRIES = 1 << 19  # of a tile of distances: 2 MB, within reach of a core's cache


def nearest_codes(rows: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Code with the least Euclidean distance to each row: int64 (N,); tiles keep memory small."""
    step = max(1, _ENTRIES // len(table))
    squares = table.square().sum(1)
    parts = [
        torch.addmm(squares, rows[i : i + step], table.T, alpha=-2).argmin(1)
        for i in range(0, len(rows), step)
    ]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.long, device=rows.device)


def assign(
    rows: torch.Tensor, table: torch.Tensor, items: torch.Tensor, count: int, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log of the mean assignment of each item, and the nearest code of each token.

    Parameters
    ----------
    rows
        Tokens without padding, float32 (N, D), those of an item side by side.
    table
        Code vectors, float32 (V, D).
    items
        Item of each token, int64 (N,), ascending; each of the `count` items has at least one.
    temperature
        tau, in units of distance.

    Returns
    -------
    log P(v|H), float32 (count, V), with a gradient to `rows` alone; codes, int64 (N,).
    """
    shares, codes = _Assignment.apply(rows, table.detach(), items, count, temperature)
    if float(shares.detach().min()) >= _LEAST:
        return shares.log(), codes
    return log_assign(rows, table.detach(), items, count, temperature), codes


def log_assign(
    rows: torch.Tensor, table: torch.Tensor, items: torch.Tensor, count: int, temperature: float
) -> torch.Tensor:
    """The same in log space, which no sharpness can underflow: log P(v|H), (count, V)."""
    squares = (
        rows.square().sum(1, keepdim=True) - 2 * rows @ table.T + table.square().sum(1)
    ).clamp(min=NEAREST)
    logs = torch.log_softmax(-squares.sqrt() / temperature, dim=1)
    lengths = torch.bincount(items, minlength=count)
    place = torch.arange(len(rows), device=rows.device) - (lengths.cumsum(0) - lengths)[items]
    padded = logs.new_full((count, int(lengths.max()), logs.shape[1]), -torch.inf)
    padded = padded.index_put((items, place), logs)
    return padded.logsumexp(1) - lengths.to(logs.dtype).log()[:, None]


class _Assignment(torch.autograd.Function):
    """Mean assignment of items, tile by tile: two matrix products and one exponential in all."""

    @staticmethod
    def forward(ctx, rows, table, items, count, temperature):
        n, codes = len(rows), torch.empty(len(rows), dtype=torch.long, device=rows.device)
        weights = 1 / torch.bincount(items, minlength=count).to(rows.dtype)
        shares = rows.new_zeros(count, len(table))
        distances, soft = (rows.new_empty(n, len(table)) for _ in "ab")
        squares, own = table.square().sum(1), rows.square().sum(1, keepdim=True)
        for part, first, mix in _tiles(items, weights, len(table)):
            tile = distances[part]
            torch.addmm(squares, rows[part], table.T, alpha=-2, out=tile)
            torch.argmin(tile, 1, out=codes[part])
            tile.add_(own[part]).clamp_(min=NEAREST).sqrt_()
            torch.softmax(tile * (-1 / temperature), 1, out=soft[part])
            shares[first : first + len(mix)].addmm_(mix, soft[part])
        ctx.save_for_backward(rows, table, items, weights, distances, soft)
        ctx.temperature = temperature
        ctx.mark_non_differentiable(codes)
        return shares, codes

    @staticmethod
    def backward(ctx, given, _):
        rows, table, items, weights, distances, soft = ctx.saved_tensors
        result = torch.empty_like(rows)
        for part, _, _ in _tiles(items, weights, len(table)):
            # With q the gradient of p: that of the distance is -p (q - p.q) / tau, and that of a
            # row its sum over (row - code) / distance.
            own = given[items[part]].mul_(weights[items[part], None] / -ctx.temperature)
            p = soft[part]
            own.sub_((p * own).sum(1, keepdim=True)).mul_(p).div_(distances[part])
            torch.addmm(
                rows[part] * own.sum(1, keepdim=True), own, table, alpha=-1, out=result[part]
            )
        return result, None, None, None, None


def _tiles(items: torch.Tensor, weights: torch.Tensor, codes: int):
    """Slices of tokens, the first item of each, and the (items, tokens) matrix of their shares."""
    step = max(1, _ENTRIES // codes)
    for start in range(0, len(items), step):
        part = slice(start, min(start + step, len(items)))
        own = items[part]
        first = int(own[0])
        mix = weights.new_zeros(int(own[-1]) - first + 1, len(own))
        mix[own - first, torch.arange(len(own), device=own.device)] = weights[own]
        yield part, first, mix
