"""Theorems 1 and 2 of Liang et al. 2022, tried on random draws.

Layers are h = ReLU(W x + b) with entries of W and b independent N(0, 1/width).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy import stats

from mindgap.cone.kernels import cosine_bound, wide_cosine
from mindgap.cone.layers import Layers, Network, mean_cosines, member_seeds
from mindgap.runtime.errors import UserError


def growth_table(
    widths: Sequence[int],
    ratios: Sequence[float],
    cosines: Sequence[float],
    draws: int,
    seed: int,
) -> pd.DataFrame:
    """Theorem 1: the share of layers in which the cosine of two inputs grew, cell by cell.

    Columns width, ratio (r = |u|/|v|, |v| = 1), cosine (before), bound (2r / (1 + r^2)), draws,
    grew (share) and its standard error, mean and sd of the cosine after, wide (its value at
    infinite width), below (1 where the cosine is below the bound), grew_low and grew_high (Wilson's
    95 % interval of the share). A pair (Wu + b, Wv + b) has independent entries, each bivariate
    normal with covariance (1 + r^2, 1 + r c; 1 + r c, 2) / width, so that no matrix is drawn: the
    law is the same.
    """
    rows = []
    for width in widths:
        for ratio in ratios:
            for cosine in cosines:
                rng = np.random.default_rng([seed, width, round(1e6 * ratio), round(1e6 * cosine)])
                after = _after(rng, width, ratio, cosine, draws)
                count = int((after > cosine).sum())
                grew = count / draws
                interval = stats.binomtest(count, draws).proportion_ci(method="wilson")
                rows.append(
                    {
                        "width": width,
                        "ratio": ratio,
                        "cosine": cosine,
                        "bound": cosine_bound(ratio),
                        "draws": draws,
                        "grew": grew,
                        "grew_se": np.sqrt(grew * (1 - grew) / draws),
                        "after_mean": after.mean(),
                        "after_sd": after.std(ddof=1),
                        "wide": wide_cosine(ratio, cosine),
                        "below": int(cosine < cosine_bound(ratio)),
                        "grew_low": interval.low,
                        "grew_high": interval.high,
                    }
                )
    return pd.DataFrame(rows)


def _after(
    rng: np.random.Generator, width: int, ratio: float, cosine: float, draws: int
) -> np.ndarray:
    """Cosines after one layer, `draws` of them, in pieces of a few MB."""
    a, both = np.sqrt(1 + ratio**2), 1 + ratio * cosine
    found, piece = [], max(1, 1_000_000 // width)
    for start in range(0, draws, piece):
        s, t = rng.standard_normal((2, min(piece, draws - start), width), np.float32)
        # Cosines know no scale: the common 1/width is left out.
        x = np.maximum(a * s, 0)
        y = np.maximum(both / a * s + np.sqrt(max(2 - (both / a) ** 2, 0.0)) * t, 0)
        norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
        dots = np.einsum("ij,ij->i", x, y)
        # A layer whose units are all silent has no direction: its cosine counts as 0.
        found.append(np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0))
    return np.concatenate(found).astype(np.float64)


def variance_table(
    depth: int, width: int, inputs: int, draws: int, units: int, seed: int, threads: int = 1
) -> pd.DataFrame:
    """Theorem 2 (4): how much of a unit's variance is due to the initialisation, layer by layer.

    Var[h] = E[Var[h | weights]] + Var[E[h | weights]], over `draws` initialisations of a ReLU
    network and `inputs` standard normal vectors scaled to length 1 (one set for all). With n
    inputs, s^2 the unbiased variance over inputs and m the mean over inputs, the first part is the
    mean of s^2, and the second the variance of m less the mean of s^2 / n, which is what a finite
    inner sample adds.

    Columns layer, beta (1 - trace of the variance over inputs of the layer *before*, mean over
    initialisations: the theorem's lower bound), cosine (mean cosine of that layer), ratio (second
    part over the whole, all units pooled), margin (ratio less beta), ratio_se (jackknife over
    initialisations), the same over the first `units` units alone (ratio_units, ratio_units_se), and
    ratio_lowest, the lowest ratio of these; and what the theorem says of every unit: unit_margin,
    the lowest ratio of a unit less beta, between unit_margin_low and unit_margin_high (see
    `unit_margins`).
    """
    if units > width:
        raise UserError(f"units must be at most the width {width}, got {units}")
    seeds = member_seeds(seed, draws, "theorem 2")
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(inputs, width, generator=generator)
    x = x / torch.linalg.vector_norm(x, dim=1, keepdim=True)
    network = Network("relu", "normal", width=width)
    means = np.empty((depth + 1, draws, width))
    spreads = np.empty((depth + 1, draws, width))
    cosines = np.empty((depth + 1, draws))
    for start in range(0, draws, 50):
        part = slice(start, min(start + 50, draws))
        rows = x.expand(part.stop - part.start, -1, -1)
        layers = Layers([network], seeds[part], threads)
        for layer in range(depth + 1):
            if layer:
                layers.draw()
                rows = layers.apply(network, rows)
            spread, mean = torch.var_mean(rows, dim=1, correction=1)
            means[layer, part], spreads[layer, part] = mean.numpy(), spread.numpy()
            whole = mean_cosines(rows)
            cosines[layer, part] = (whole * inputs - 1) / (inputs - 1)
    table = []
    for layer in range(1, depth + 1):
        m, s = means[layer], spreads[layer]
        beta, ratio = 1 - spreads[layer - 1].sum(axis=1).mean(), _pooled(m, s, inputs)
        table.append(
            {
                "layer": layer,
                "beta": beta,
                "cosine": cosines[layer - 1].mean(),
                "ratio": ratio,
                "margin": ratio - beta,
                "ratio_se": _jackknife(m, s, inputs),
                "ratio_units": _pooled(m[:, :units], s[:, :units], inputs),
                "ratio_units_se": _jackknife(m[:, :units], s[:, :units], inputs),
                "ratio_lowest": min(
                    _pooled(m[:, k : k + 1], s[:, k : k + 1], inputs) for k in range(units)
                ),
                "units": units,
                "draws": draws,
                "inputs": inputs,
            }
        )
        lowest = unit_margins(m[:, :units], s[:, :units], spreads[layer - 1].sum(axis=1), inputs)
        names = ("unit_margin", "unit_margin_low", "unit_margin_high")
        table[-1] |= dict(zip(names, lowest, strict=True))
    return pd.DataFrame(table)


def _pooled(means: np.ndarray, spreads: np.ndarray, inputs: int) -> float:
    """Share of the variance that is due to the initialisation, all given units together.

    Both arrays have the shape (draws, units): means and unbiased variances over the inputs.
    """
    within = spreads.mean(axis=0).sum()
    between = means.var(axis=0, ddof=1).sum() - within / inputs
    return float(between / (between + within))


def unit_margins(
    means: np.ndarray,
    spreads: np.ndarray,
    traces: np.ndarray,
    inputs: int,
    confidence: float = 0.95,
) -> tuple[float, float, float]:
    """Lowest margin of a unit over the bound, and an interval for the lowest margin there is.

    Parameters
    ----------
    means, spreads
        (draws, units): means and unbiased variances of each unit over the inputs.
    traces
        (draws,): trace of the variance over inputs of the layer before; beta is 1 less its mean.
    inputs
        Number of inputs.
    confidence
        Coverage for all units together: each unit has a Student interval from a jackknife over
        draws at a level that Bonferroni's inequality adds up to it. The ends are the lowest lower
        and the lowest upper end of a unit.
    """
    draws, units = means.shape

    def margins(some: np.ndarray) -> np.ndarray:
        within = spreads[some].mean(axis=0)
        between = means[some].var(axis=0, ddof=1) - within / inputs
        return between / (between + within) - 1 + traces[some].mean()

    found = margins(np.ones(draws, bool))
    left = np.stack([margins(np.arange(draws) != draw) for draw in range(draws)])
    error = np.sqrt((draws - 1) / draws * np.square(left - left.mean(axis=0)).sum(axis=0))
    half = stats.t.ppf(1 - (1 - confidence) / 2 / units, draws - 1) * error
    return float(found.min()), float((found - half).min()), float((found + half).min())


def _jackknife(means: np.ndarray, spreads: np.ndarray, inputs: int, blocks: int = 20) -> float:
    """Standard error of the pooled share over initialisations, leaving out a block at a time."""
    which = np.arange(len(means)) % min(blocks, len(means))
    kept = [which != block for block in range(which.max() + 1)]
    values = np.array([_pooled(means[some], spreads[some], inputs) for some in kept])
    n = len(values)
    return float(np.sqrt((n - 1) / n * ((values - values.mean()) ** 2).sum()))
