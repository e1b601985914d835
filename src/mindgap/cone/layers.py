"""Random layers, many networks at once: the cone effect over depth (Fig 2b of Liang et al. 2022).

All networks of a run are the same product with different weights, so a layer of all of them is one
batched matrix product, and every kind of network (activation, bias, block) runs on the same draws.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from mindgap.runtime.errors import UserError

#: Name -> activation, in place where there is such a one. Maxout is the larger of two linear
#: layers and stands in `Networks` itself.
ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sigmoid": torch.sigmoid_,
    "relu": torch.relu_,
    "leaky_relu": lambda x: F.leaky_relu_(x, 0.01),
    "tanh": torch.tanh_,
    "none": lambda x: x,
    "gelu": F.gelu,
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "elu": F.elu_,
    "maxout": lambda x: x,
}
#: normal: N(0, 1/width), the main figure; uniform: PyTorch's default U(+-width^-1/2), which the
#: published "no bias" variants keep; none: truly without.
BIASES = ("normal", "uniform", "none")
#: plain: f(Wx + b). residual: x + f(Wx + b). layernorm: f(W LN(x) + b). residual_layernorm: both.
#: transformer: x + V f(W LN(x) + b), the feed-forward half of a pre-norm block.
BLOCKS = ("plain", "residual", "layernorm", "residual_layernorm", "transformer")


@dataclass(frozen=True)
class Network:
    """One kind of random network: blocks of one width, stacked; names as in the tables above."""

    activation: str
    bias: str = "normal"
    block: str = "plain"
    width: int = 512

    def __post_init__(self):
        for name, value, known in (
            ("activation", self.activation, ACTIVATIONS),
            ("bias", self.bias, BIASES),
            ("block", self.block, BLOCKS),
        ):
            if value not in known:
                raise UserError(f"no {name} is called {value!r} (known: {', '.join(known)})")

    @property
    def second(self) -> bool:
        """Whether a block holds a second matrix."""
        return self.activation == "maxout" or self.block == "transformer"


def member_seeds(seed: int, count: int, purpose: str) -> list[int]:
    """Return `count` seeds for a purpose; the first k do not depend on how many are asked for."""
    state = np.random.SeedSequence([seed, zlib.crc32(purpose.encode())])
    return [int(word) for word in state.generate_state(count)]


class Draws:
    """Random numbers of many seeds side by side; what a seed draws depends on that seed alone."""

    def __init__(self, seeds: Sequence[int], stream: int, threads: int = 1):
        self.generators = [
            torch.Generator().manual_seed(
                int(np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0] >> 1)
            )
            for seed in seeds
        ]
        self.threads = threads

    def normal(self, *shape: int, std: float = 1.0) -> torch.Tensor:
        """Normal numbers of shape (seeds, *shape)."""
        return self._fill(shape, lambda tensor, g: tensor.normal_(0, std, generator=g))

    def uniform(self, *shape: int, bound: float) -> torch.Tensor:
        """Numbers uniform in +-bound, of shape (seeds, *shape)."""
        return self._fill(shape, lambda tensor, g: tensor.uniform_(-bound, bound, generator=g))

    def _fill(self, shape: tuple[int, ...], draw: Callable) -> torch.Tensor:
        tensor = torch.empty(len(self.generators), *shape)
        if self.threads == 1 or tensor.numel() < 100_000:
            for part, generator in zip(tensor, self.generators, strict=True):
                draw(part, generator)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(draw, tensor, self.generators))
        return tensor


def mean_cosines(rows: torch.Tensor) -> np.ndarray:
    """Mean cosine of all pairs of rows *with* a row's pair with itself (as published): (seeds,).

    `rows` has the shape (seeds, n, d); sum_ij x_i . x_j = |sum_i x_i|^2 for unit rows, so nothing
    of size n x n is held.
    """
    scale = 1 / (torch.linalg.vector_norm(rows, dim=2) + 1e-16)
    total = torch.bmm(scale[:, None, :], rows)[:, 0].double() / rows.shape[1]
    means = (total * total).sum(1).numpy()
    if not np.isfinite(means).all():
        raise UserError("the rows of a layer are not finite; check the inputs, width and depth")
    return means


def trace_depth(
    networks: Sequence[Network],
    depth: int,
    inputs: int | torch.Tensor,
    seeds: Sequence[int],
    threads: int = 1,
) -> np.ndarray:
    """Mean cosine after 0, 1, ..., depth blocks: shape (networks, depth + 1, seeds).

    Parameters
    ----------
    networks
        Kinds of networks of one width; all see the same weights where they have the same matrices.
    depth
        Number of blocks, each with fresh weights: matrices N(0, 1/width) without a fan-in of their
        own, as in the published notebook.
    inputs
        How many standard normal rows to draw for each seed, or the rows themselves, of shape
        (n, width) or (seeds, n, width).
    seeds
        One network of every kind is drawn per seed.

    Raises
    ------
    UserError
        If the depth is below 1, the widths differ, or the inputs are not finite.
    """
    width = _check(networks, depth)
    if isinstance(inputs, torch.Tensor):
        if not torch.isfinite(inputs).all():
            raise UserError("the inputs have values that are not finite")
        if inputs.shape[-1] != width:
            raise UserError(
                f"inputs must have the width {width} of the networks, got {inputs.shape[-1]}"
            )
        start = inputs.expand(len(seeds), -1, -1)
    else:
        start = Draws(seeds, 0, threads).normal(inputs, width)
    found = np.empty((len(networks), depth + 1, len(seeds)))
    found[:, 0] = mean_cosines(start)
    layers = Layers(networks, seeds, threads)
    rows = [start] * len(networks)
    for step in range(1, depth + 1):
        layers.draw()
        for k, network in enumerate(networks):
            rows[k] = layers.apply(network, rows[k])
            found[k, step] = mean_cosines(rows[k])
    return found


def _check(networks: Sequence[Network], depth: int) -> int:
    if depth < 1:
        raise UserError(f"depth must be at least 1, got {depth}")
    widths = {network.width for network in networks}
    if len(widths) != 1:
        raise UserError("networks that run together must have the same width")
    return widths.pop()


class Layers:
    """One layer after the other of every seed, drawn once for all kinds of networks."""

    def __init__(self, networks: Sequence[Network], seeds: Sequence[int], threads: int = 1):
        self.width = networks[0].width
        self.streams = [Draws(seeds, stream, threads) for stream in (1, 2, 3)]
        self.second = any(network.second for network in networks)

    def draw(self) -> None:
        """Draw the matrices and biases of the next layer."""
        first, second, bias = self.streams
        width, std = self.width, self.width**-0.5
        self.matrices = [first.normal(width, width, std=std)]
        if self.second:
            self.matrices.append(second.normal(width, width, std=std))
        self.biases = [
            {"normal": bias.normal(1, width, std=std), "uniform": bias.uniform(1, width, bound=std)}
            for _ in range(2)
        ]

    def apply(self, network: Network, rows: torch.Tensor) -> torch.Tensor:
        """Push rows of shape (seeds, n, width) through the layer of one kind of network."""
        inner = rows
        if network.block in ("layernorm", "residual_layernorm", "transformer"):
            inner = F.layer_norm(rows, rows.shape[-1:])
        out = self._linear(0, network.bias, inner)
        if network.activation == "maxout":
            out = torch.maximum(out, self._linear(1, network.bias, inner))
        out = ACTIVATIONS[network.activation](out)
        if network.block == "transformer":
            out = self._linear(1, network.bias, out)
        return out if network.block in ("plain", "layernorm") else out.add_(rows)

    def _linear(self, which: int, bias: str, rows: torch.Tensor) -> torch.Tensor:
        out = torch.bmm(rows, self.matrices[which])
        return out if bias == "none" else out.add_(self.biases[which][bias])


def networks_by_width(networks: Sequence[Network], most: int = 10) -> list[list[Network]]:
    """Split kinds of networks into groups that run together: one width, and few enough to hold."""
    groups = []
    for width in dict.fromkeys(network.width for network in networks):
        for second in (False, True):  # who needs no second matrix waits for none
            some = [n for n in networks if n.width == width and n.second == second]
            count = math.ceil(len(some) / most)
            groups += [some[i::count] for i in range(count)]
    return groups
