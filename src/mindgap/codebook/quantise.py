"""The codebook of the paper: shared by all modalities, it follows their tokens by moving averages.

Liu et al. 2022, sec. 2.2. Tokens in, quantised tokens, codes and a loss out. Tokens come without
padding, so padding never counts. All in float32. `mindgap.codebook.others` has alternatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from mindgap.codebook.assign import nearest_codes
from mindgap.runtime.errors import UserError

if TYPE_CHECKING:
    from mindgap.config.codebook import CodebookRecipe


@dataclass(frozen=True)
class Quantised:
    """Tokens after quantisation.

    Attributes
    ----------
    rows
        Code vectors with a gradient to the tokens, float32 (N, D).
    codes
        int64 (N,).
    loss
        What the quantiser adds to the loss, a scalar, without any weight.
    """

    rows: torch.Tensor
    codes: torch.Tensor
    loss: torch.Tensor


def straight_through(rows: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Code vectors whose gradient is that of the tokens (Bengio et al. 2013)."""
    return rows + (codes - rows).detach()


def rotate(rows: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Code vectors as constant rotations and scalings of the tokens (Fifty et al. 2024).

    q = |q|/|e| (e - 2 r r^T e + 2 q^ e^^T e) with r = (e^ + q^)/|e^ + q^|: the rotation that takes
    e to q is held fixed, so the gradient keeps its angle to the token.
    """
    e, q = rows.detach(), codes.detach()
    norm_e, norm_q = (z.norm(dim=1, keepdim=True).clamp(min=1e-6) for z in (e, q))
    unit_e, unit_q = e / norm_e, q / norm_q
    middle = F.normalize(unit_e + unit_q, dim=1)
    turned = (
        rows
        - 2 * (rows * middle).sum(1, keepdim=True) * middle
        + 2 * (rows * unit_e).sum(1, keepdim=True) * unit_q
    )
    return turned * (norm_q / norm_e)


GRADIENTS = {"straight_through": straight_through, "rotation": rotate}


def check_tokens(rows: torch.Tensor) -> None:
    """Refuse a batch without tokens, or with one that is not finite: it would spoil every code."""
    if not len(rows):
        raise UserError("a batch is all padding; check the lengths of the inputs")
    if not torch.isfinite(rows).all():
        raise UserError(
            "the tokens have NaN or infinite values; lower learning_rate, or look for such values "
            "in the inputs"
        )


def cluster(
    rows: torch.Tensor, modality: torch.Tensor, codes: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """k-means centres of tokens, and the share of the tokens in each cluster.

    Each modality is represented by as many tokens as the one with the fewest; a codebook larger
    than the number of distinct tokens is refused.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    rng, which = np.random.default_rng([seed, 1]), modality.cpu().numpy()
    sides = [np.flatnonzero(which == m) for m in np.unique(which)]
    least = min(map(len, sides))
    chosen = np.concatenate([rng.permutation(side)[:least] for side in sides])
    given = rows.detach().cpu().numpy()[chosen]
    distinct = len(np.unique(given, axis=0))
    if distinct < codes:
        raise UserError(
            f"the codebook has {codes} codes, but its k-means start has only {distinct} distinct "
            "tokens; lower codes, raise batch, or find out why the features have collapsed"
        )
    with threadpool_limits(torch.get_num_threads()):
        found = KMeans(codes, n_init=1, max_iter=50, random_state=seed).fit(given)
    shares = np.bincount(found.labels_, minlength=codes) / len(given)
    return tuple(
        torch.from_numpy(z).to(rows.device, torch.float32) for z in (found.cluster_centers_, shares)
    )


class Codebook(torch.nn.Module):
    """Codes that follow the tokens assigned to them: van den Oord et al. 2017, appendix A.1.

    N_v <- g N_v + (1 - g) n_v, m_v <- g m_v + (1 - g) (sum of the tokens of v), e_v = m_v / N_v,
    over the tokens of all modalities. A forward pass changes nothing; `update` comes after it:
    codes are those before the update.

    Parameters
    ----------
    options
        V is `codes`, D `code_dimension` and g `decay`. A code without a token in this step is
        replaced when N_v falls below the share `dead` of the mean N; or, with `dead_after`, after
        so many updates without a token. A `token` of this step comes in its place, with the mean
        count, or a copy of an active `code` (N > 1) drawn at random, with the count 1 that all
        codes start with.
    modalities
        How many modalities share the codes.
    """

    def __init__(self, options: CodebookRecipe, modalities: int, seed: int) -> None:
        super().__init__()
        self.options, self.modalities, self.seed = options, modalities, seed
        self.cosine = options.distance == "cosine"
        shape = options.codes, options.code_dimension
        draw = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        draw = F.normalize(draw, dim=1) if self.cosine else draw
        self.register_buffer("vectors", draw)
        self.register_buffer("sums", draw.clone())
        self.register_buffer("counts", torch.ones(options.codes))
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))
        self.register_buffer("replaced", torch.zeros((), dtype=torch.long))
        if options.dead_after is not None:
            self.register_buffer("misses", torch.zeros(options.codes, dtype=torch.long))

    def table(self) -> torch.Tensor:
        """Code vectors, (V, D)."""
        return self.vectors

    def place(self, rows: torch.Tensor) -> torch.Tensor:
        """Tokens in the space of the codes, (N, D)."""
        check_tokens(rows)
        rows = rows.float()
        return F.normalize(rows, dim=1) if self.cosine else rows

    def forward(self, rows: torch.Tensor, codes: torch.Tensor | None = None) -> Quantised:
        """Quantise tokens that `place` returned; the loss is the mean of ||h - sg(e)||^2."""
        codes = nearest_codes(rows.detach(), self.vectors) if codes is None else codes
        chosen = self.vectors[codes]
        loss = (rows - chosen).square().sum(1).mean()
        return Quantised(GRADIENTS[self.options.gradient](rows, chosen), codes, loss)

    @torch.no_grad()
    def start(self, rows: torch.Tensor, modality: torch.Tensor, tokens: int) -> None:
        """Set the codes to the k-means centres of tokens, see `cluster`.

        The counts add up to `tokens`, the number of tokens in a step.
        """
        centres, shares = cluster(rows, modality, len(self.vectors), self.seed)
        self.vectors.copy_(F.normalize(centres, dim=1) if self.cosine else centres)
        self.counts.copy_(shares * tokens)
        self.sums.copy_(self.vectors * self.counts[:, None])

    @torch.no_grad()
    def update(self, rows: torch.Tensor, codes: torch.Tensor, modality: torch.Tensor) -> None:
        """Move the codes towards their tokens, and replace those without tokens.

        Parameters
        ----------
        rows, codes
            Tokens that `place` returned and their codes.
        modality
            Number of each token's modality, int64 (N,), ascending.
        """
        rows, v = rows.detach(), len(self.vectors)
        place = modality * v + codes
        met = torch.bincount(place, minlength=self.modalities * v).to(rows.dtype)
        sums = rows.new_zeros(self.modalities * v, rows.shape[1]).index_add_(0, place, rows)
        met, sums = (z.view(self.modalities, v, *z.shape[1:]) for z in (met, sums))
        totals = met.sum(1)
        weights = torch.ones_like(totals)
        if self.options.weighting == "modality":
            weights = totals.sum() / (totals.clamp(min=1) * (totals > 0).sum())
        self.counts.lerp_((weights[:, None] * met).sum(0), 1 - self.options.decay)
        self.sums.lerp_((weights[:, None, None] * sums).sum(0), 1 - self.options.decay)
        alive = self.counts > 1e-20
        moved = self.sums / self.counts.clamp(min=1e-20)[:, None]
        moved = F.normalize(moved, dim=1) if self.cosine else moved
        self.vectors.copy_(torch.where(alive[:, None], moved, self.vectors))
        self.updates += 1
        idle = met.sum(0) == 0
        if self.options.dead_after is None:
            lost = (self.counts < self.options.dead * self.counts.sum() / v) & idle
        else:
            self.misses.copy_(torch.where(idle, self.misses + 1, 0))
            lost = self.misses >= self.options.dead_after
        if lost.any():
            if self.options.replacement == "code":
                self._copy(lost, ~idle)
            else:
                self._replace(lost.nonzero()[:, 0], rows, modality)

    def _copy(self, lost: torch.Tensor, met: torch.Tensor) -> None:
        """Replace lost codes by copies of active ones, each drawn independently: bool (V,) each."""
        active = (self.counts > 1) & ~lost
        active = (active if active.any() else met).nonzero()[:, 0]
        lost = lost.nonzero()[:, 0]
        rng = np.random.default_rng([self.seed, 2, int(self.updates)])
        drawn = active[
            torch.from_numpy(rng.integers(len(active), size=len(lost))).to(active.device)
        ]
        self._place(lost, self.vectors[drawn], 1.0)

    def _place(
        self, lost: torch.Tensor, vectors: torch.Tensor, count: float | torch.Tensor
    ) -> None:
        """Set the vectors of some codes, with sums and counts to match."""
        self.vectors[lost] = vectors
        self.counts[lost] = count
        self.sums[lost] = vectors * self.counts[lost, None]
        self.replaced += len(lost)
        if self.options.dead_after is not None:
            self.misses[lost] = 0

    def _replace(self, lost: torch.Tensor, rows: torch.Tensor, modality: torch.Tensor) -> None:
        """Replace lost codes by distinct tokens, taken from the modalities in turn."""
        rng = np.random.default_rng([self.seed, 2, int(self.updates)])
        sides = [rows[modality == m] for m in range(self.modalities)]
        decks = [side[torch.from_numpy(rng.permutation(len(side)))] for side in sides if len(side)]
        dealt = [deck[i] for i in range(max(map(len, decks))) for deck in decks if i < len(deck)]
        tokens = torch.unique(torch.stack(dealt[: 4 * len(lost)]), dim=0)
        tokens = tokens[torch.from_numpy(rng.permutation(len(tokens)))][: len(lost)]
        lost = lost[: len(tokens)]
        # With the mean count a code without tokens lasts log(dead)/log(decay) steps.
        self._place(lost, tokens, self.counts.sum() / len(self.counts))
