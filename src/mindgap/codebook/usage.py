"""Who uses which code: counts, perplexity, shares of both modalities."""

from __future__ import annotations

import numpy as np

SHARED = 0.1  # a code is shared if each modality makes up at least this share of its use


def count_codes(codes: np.ndarray, size: int) -> np.ndarray:
    """How many tokens each code has: int64 (V,) from (n, L) with -1 for padding."""
    return np.bincount(codes[codes >= 0].astype(np.int64), minlength=size)


def perplexity(shares: np.ndarray) -> float:
    """Exp of the entropy of a distribution over codes."""
    some = shares[shares > 0]
    return float(np.exp(-(some * np.log(some)).sum()))


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """Jensen-Shannon divergence in bits: 0 for equal distributions, 1 for disjoint ones."""
    middle = (p + q) / 2

    def to_middle(x: np.ndarray) -> float:
        some = x > 0
        return float((x[some] * np.log2(x[some] / middle[some])).sum())

    return (to_middle(p) + to_middle(q)) / 2


def share_of_a(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """r_v = p_v / (p_v + q_v) for each code, NaN where it is unused."""
    total = p + q
    return np.divide(p, total, out=np.full(len(p), np.nan), where=total > 0)


def measure_usage(a: np.ndarray, b: np.ndarray, size: int) -> dict[str, float]:
    """Usage of a codebook by the tokens of a held-out set.

    Parameters
    ----------
    a, b
        Codes of both modalities, integers (n, L), -1 for padding.
    size
        V.

    Returns
    -------
    `perplexity_a`, `perplexity_b` of each modality and `perplexity` of both with equal weight;
    `dead`, the share of unused codes; `shared`, the share of the used codes that take at least
    `SHARED` of their use from each modality, with equal weight; `met_1`, `met_10`, the share of the
    codes with at least that many tokens of either modality that have as many of both (Jaccard);
    `overlap`, the sum over codes of min(p_v, q_v); `divergence`, Jensen-Shannon in bits.
    """
    counts = [count_codes(side, size) for side in (a, b)]
    p, q = (c / c.sum() for c in counts)
    ratio = share_of_a(p, q)
    used = ~np.isnan(ratio)
    row = {
        "perplexity_a": perplexity(p),
        "perplexity_b": perplexity(q),
        "perplexity": perplexity((p + q) / 2),
        "dead": float(1 - used.mean()),
        "shared": float((np.minimum(ratio[used], 1 - ratio[used]) >= SHARED).mean()),
        "overlap": float(np.minimum(p, q).sum()),
        "divergence": jensen_shannon(p, q),
    }
    for least in (1, 10):
        met = [c >= least for c in counts]
        either = (met[0] | met[1]).sum()
        row[f"met_{least}"] = float((met[0] & met[1]).sum() / either) if either else float("nan")
    return row


def usage_table(a: np.ndarray, b: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Number of each code, its tokens of each modality, and the share of the first."""
    counts = [count_codes(side, size) for side in (a, b)]
    ratio = share_of_a(*(c / c.sum() for c in counts))
    return {"code": np.arange(size), "tokens_a": counts[0], "tokens_b": counts[1], "share_a": ratio}
