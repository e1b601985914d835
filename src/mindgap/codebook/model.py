"""Two paths from tokens to one vector: a continuous one, and one through the shared codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mindgap.codebook.assign import assign
from mindgap.codebook.encoders import Inputs, make_encoder
from mindgap.codebook.losses import code_matching, mask_sources
from mindgap.codebook.others import make_quantiser
from mindgap.runtime.errors import UserError
from mindgap.train.losses import masked_margin

if TYPE_CHECKING:
    from mindgap.config.codebook import CodebookRecipe


@dataclass(frozen=True)
class Seen:
    """What a batch of both modalities becomes; the first axis of vectors is the modality.

    Attributes
    ----------
    continuous, discrete
        Vectors of the two paths, float32 (2, B, d); zero where the model has no such path.
    pooled
        Mean code vector of each item, in the space that the modalities share: (2, B, D).
    rows, modality
        Tokens in the space of the codes, those of both modalities one after the other, without
        padding: float32 (N, D), int64 (N,).
    codes
        Code of each token, int64 (N,); empty before the codes have started.
    masks
        Which places of each modality hold a token, bool (B, L) each.
    log_shares
        log P(v|H) of each item, float32 (2, B, V), where asked for.
    commitment
        Loss of the quantiser.
    """

    continuous: torch.Tensor
    discrete: torch.Tensor
    pooled: torch.Tensor
    rows: torch.Tensor
    modality: torch.Tensor
    codes: torch.Tensor
    masks: tuple[torch.Tensor, torch.Tensor]
    log_shares: torch.Tensor | None
    commitment: torch.Tensor

    @property
    def final(self) -> torch.Tensor:
        """Vector sum of both paths (Liu et al. 2022, sec. 2.2)."""
        return self.continuous + self.discrete


@dataclass(frozen=True)
class Tokens:
    """What the encoders make of each item alone, before statistics of the batch enter.

    Attributes
    ----------
    continuous
        Vectors of the continuous path, float32 (2, B, d); zero where the model has no such path.
    rows
        Tokens of each modality on their way to the codes, without padding: float32 (N, D) each.
    lengths
        Tokens of each item, int64 (2, B).
    masks
        Which places of each modality hold a token, bool (B, L) each.
    """

    continuous: torch.Tensor
    rows: tuple[torch.Tensor, ...]
    lengths: torch.Tensor
    masks: tuple[torch.Tensor, ...]


class Head(torch.nn.Module):
    """Summary of pooled tokens: two layers."""

    def __init__(self, width: int, hidden: int, dimension: int) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(width, hidden), torch.nn.GELU(), torch.nn.Linear(hidden, dimension)
        )

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """(B, width) to (B, dimension)."""
        return self.layers(pooled)


class TwoPaths(torch.nn.Module):
    """Encoders of two modalities, one set of codes, and separate heads for each path.

    Parameters
    ----------
    facts
        Modality -> what its encoder is made for.
    seed
        Seed of the codes; the other weights come from torch's own generator.
    """

    def __init__(self, facts: dict[str, dict], options: CodebookRecipe, seed: int) -> None:
        super().__init__()
        self.options, width = options, options.width
        self.names = tuple(facts)
        encoders, heads = {}, {}
        for name, fact in facts.items():
            encoders[name] = make_encoder(fact, width, options.layers)
            own = {}
            if options.paths != "discrete":
                seen = 2 * width if options.pooling == "mean_max" else width
                own["continuous"] = Head(seen, 2 * width, options.dimension)
            if options.paths != "continuous":
                inner = options.code_dimension
                # Batch norm gives the tokens of each modality mean 0 and variance 1 in every
                # dimension of the space of codes. Without it the modalities settle in separate
                # regions, too far apart for soft assignments to connect them. It also fixes the
                # scale, and with it the sharpness of assignments.
                plain = options.token_norm == "none"
                own["code"] = torch.nn.Sequential(
                    torch.nn.LayerNorm(width),
                    torch.nn.Linear(width, inner),
                    torch.nn.Identity() if plain else torch.nn.BatchNorm1d(inner, affine=False),
                )
                own["discrete"] = Head(inner, 2 * width, options.dimension)
            heads[name] = torch.nn.ModuleDict(own)
        self.encoders, self.heads = torch.nn.ModuleDict(encoders), torch.nn.ModuleDict(heads)
        self.quantiser = None
        if options.paths != "continuous":
            self.quantiser = make_quantiser(options, len(facts), seed)
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def forward(self, inputs: tuple[Inputs, Inputs], shares: bool = False) -> Seen:
        """Vectors, tokens and codes of a batch; with `shares` also log P(v|H)."""
        return self.join(self.encode(inputs), shares)

    def encode(self, inputs: tuple[Inputs, Inputs]) -> Tokens:
        """Encode each item by itself."""
        seen = [self.encoders[m](x) for m, x in zip(self.names, inputs, strict=True)]
        masks = tuple(mask for _, mask in seen)
        for name, mask in zip(self.names, masks, strict=True):
            if not mask.any(1).all():
                empty = int((~mask.any(1)).nonzero()[0])
                raise UserError(
                    f"{name}: item {empty} of a batch is all padding; check the lengths of the "
                    "inputs"
                )
        lengths = torch.stack([mask.sum(1) for mask in masks])
        continuous = torch.zeros(*lengths.shape, self.options.dimension, device=lengths.device)
        if self.options.paths != "discrete":
            heads = [self.heads[m]["continuous"] for m in self.names]
            pooling = self.options.pooling
            pooled = [h(pool(*s, pooling)) for h, s in zip(heads, seen, strict=True)]
            continuous = torch.stack(pooled)
        rows: tuple[torch.Tensor, ...] = ()
        if self.quantiser is not None:
            rows = tuple(
                self.heads[m]["code"][:-1](h[mask]).float()
                for m, (h, mask) in zip(self.names, seen, strict=True)
            )
        return Tokens(continuous.float(), rows, lengths, masks)

    def join(self, tokens: Tokens, shares: bool = False) -> Seen:
        """Codes and vectors of a whole batch, from its encoded items.

        Until the codes have started, the discrete path takes the tokens without quantisation.
        """
        continuous, lengths, masks = tokens.continuous, tokens.lengths.flatten(), tokens.masks
        b, device = tokens.lengths.shape[1], lengths.device
        zero = torch.zeros_like(continuous)
        none = torch.empty(0, dtype=torch.long, device=device)
        if self.quantiser is None:
            return Seen(continuous, zero, zero, zero[0, :0], none, none, masks, None, zero.sum())
        items = torch.arange(2 * b, device=device).repeat_interleave(lengths)
        with torch.autocast(device.type, enabled=False):
            rows = torch.cat(
                [self.heads[m]["code"][-1](z) for m, z in zip(self.names, tokens.rows, strict=True)]
            )
            placed = self.quantiser.place(rows)
            logs, codes, commitment, quantised = None, none, zero.sum(), rows
            if self.started:
                if shares:
                    temperature = self.options.assignment_temperature
                    table = self.quantiser.table()
                    logs, codes = assign(placed, table, items, 2 * b, temperature)
                    logs = logs.view(2, b, -1)
                found = self.quantiser(placed, codes if len(codes) else None)
                quantised, codes, commitment = found.rows, found.codes, found.loss
            weights = (1 / lengths)[items][:, None]
            pooled = quantised.new_zeros(2 * b, quantised.shape[1])
            pooled = pooled.index_add(0, items, quantised * weights).view(2, b, -1)
        discrete = torch.stack(
            [self.heads[m]["discrete"](z) for m, z in zip(self.names, pooled, strict=True)]
        )
        modality = (items >= b).long()
        return Seen(
            continuous,
            discrete.float(),
            pooled,
            placed,
            modality,
            codes,
            masks,
            logs,
            commitment,
        )

    def local(self) -> list[torch.nn.Parameter]:
        """Parameters that `encode` applies to items, in the order of their names."""
        heads = ("continuous", "code")
        found = [*self.encoders.parameters()]
        for own in self.heads.values():
            found += [p for name in heads if name in own for p in own[name].parameters()]
        return found

    def loss(self, seen: Seen, sources: torch.Tensor | None) -> torch.Tensor:
        """L_MMS + alpha L_CMCM + beta commitment, the last two once the codes have started."""
        options, (x, y) = self.options, seen.final
        total = masked_margin(mask_sources(x @ y.T, sources), options.margin)
        if seen.log_shares is not None and options.matching:
            matched = code_matching(
                *seen.log_shares,
                options.form,
                options.score_temperature,
                options.both_directions,
                sources,
            )
            total = total + options.matching * matched
        learned = options.quantiser in ("learned", "simvq")
        weight = 1.0 if learned else options.commitment
        return total + weight * seen.commitment if weight else total


def pool(tokens: torch.Tensor, mask: torch.Tensor, kind: str) -> torch.Tensor:
    """Mean over the tokens of each item and, unless `kind` is `mean`, also the maximum.

    (B, L, w) and (B, L) to (B, 2w), or to (B, w) for the mean alone.
    """
    if mask.all():
        mean = tokens.mean(1)
        return mean if kind == "mean" else torch.cat([mean, tokens.amax(1)], 1)
    weights = mask.to(tokens)[..., None]
    mean = (tokens * weights).sum(1) / weights.sum(1)
    if kind == "mean":
        return mean
    return torch.cat([mean, tokens.masked_fill(~mask[..., None], -torch.inf).amax(1)], 1)
