"""What a score means: the probability that the best document of a query is the right one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from mindgap.downstream.significance import rate_interval
from mindgap.gap.bootstrap import resample_weights
from mindgap.gap.retrieval import TIE

RESAMPLES = 1000
BINS = 10
_ENTRIES = 1 << 23  # scores held at a time: 64 MB
_STEPS = 100


@dataclass(frozen=True)
class Logistic:
    """P(match | s) = 1 / (1 + exp(-(slope s + intercept)))."""

    slope: float
    intercept: float

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities of scores, of any shape."""
        return expit(self.slope * np.asarray(scores, np.float64) + self.intercept)


def best_scores(queries: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Score of the best document of each query, and whether it is the right one.

    Parameters
    ----------
    queries, gallery
        (n, d) unit rows; row i of both is the same item.

    Returns
    -------
    (n,) float64, the largest cosine, and (n,) bool: a tie with a wrong document is a miss.
    """
    best, right = np.empty(len(queries)), np.empty(len(queries), bool)
    step = max(1, _ENTRIES // len(gallery))
    for start in range(0, len(queries), step):
        scores = queries[start : start + step] @ gallery.T
        own = np.arange(start, start + len(scores))[:, None]
        match = np.take_along_axis(scores, own, axis=1)[:, 0]
        np.put_along_axis(scores, own, -np.inf, axis=1)
        other = scores.max(axis=1)
        best[start : start + step] = np.maximum(match, other)
        right[start : start + step] = other < match - TIE
    return best, right


def fit_logistic(scores: np.ndarray, right: np.ndarray) -> Logistic:
    """Fit the probability of a match to scores (n,) and outcomes (n,), as Platt (1999).

    Maximum likelihood with the targets (n_+ + 1)/(n_+ + 2) and 1/(n_- + 2) for the n_+ matches and
    the n_- misses, so that scores which separate them completely still give finite numbers.
    """
    slopes, intercepts = _fit_all(scores, right, np.ones((1, len(scores))))
    return Logistic(float(slopes[0]), float(intercepts[0]))


def _fit_all(
    scores: np.ndarray, right: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and intercepts (b,) under weights (b, n), by Newton's method with halved steps."""
    centre, scale = scores.mean(), max(scores.std(), 1e-12)
    z = (scores - centre) / scale
    hits, misses = weights @ right, weights @ ~right
    targets = np.where(right, ((hits + 1) / (hits + 2))[:, None], (1 / (misses + 2))[:, None])

    def loss(slope: np.ndarray, intercept: np.ndarray) -> np.ndarray:
        logits = np.outer(slope, z) + intercept[:, None]
        return (weights * (np.logaddexp(0, logits) - targets * logits)).sum(axis=1)

    slope, intercept = np.zeros(len(weights)), np.zeros(len(weights))
    now = loss(slope, intercept)
    for _ in range(_STEPS):
        p = expit(np.outer(slope, z) + intercept[:, None])
        error, spread = weights * (p - targets), weights * p * (1 - p)
        gradient = error @ z, error.sum(axis=1)
        curvature = spread @ (z * z) + 1e-9, spread @ z, spread.sum(axis=1) + 1e-9
        determinant = curvature[0] * curvature[2] - curvature[1] ** 2
        steps = (
            (curvature[2] * gradient[0] - curvature[1] * gradient[1]) / determinant,
            (curvature[0] * gradient[1] - curvature[1] * gradient[0]) / determinant,
        )
        length = np.ones(len(weights))
        for _ in range(30):
            new = loss(slope - length * steps[0], intercept - length * steps[1])
            worse = new > now + 1e-12
            if not worse.any():
                break
            length[worse] /= 2
        slope, intercept = slope - length * steps[0], intercept - length * steps[1]
        done, now = np.abs(new - now) <= 1e-12 * np.abs(now), new
        if done.all():
            break
    return slope / scale, intercept - slope * centre / scale


def find_threshold(
    scores: np.ndarray, right: np.ndarray, precision: float, confidence: float, seed: int
) -> tuple[float, float, float]:
    """Lowest score from which on a best document is right with a wanted precision.

    The precision at a threshold t is the mean of P(match | s) over the scores s >= t. The interval
    comes from resampled queries, each with a fit of its own.

    Returns
    -------
    Threshold and interval; NaN, or an infinite end, where no score of the queries reaches it.
    """
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], right[order]
    found = _thresholds(scores, right, np.ones((1, len(scores))), precision)[0]
    draws = np.concatenate(
        [
            _thresholds(scores, right, weights * len(scores), precision)
            for weights in resample_weights(len(scores), RESAMPLES, seed)
        ]
    )
    draws = np.where(np.isnan(draws), np.inf, draws)
    ends = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2], method="nearest")
    return float(found), float(ends[0]), float(ends[1])


def _thresholds(
    scores: np.ndarray, right: np.ndarray, weights: np.ndarray, precision: float
) -> np.ndarray:
    """Thresholds (b,) under weights (b, n) of scores in descending order; NaN for none."""
    slopes, intercepts = _fit_all(scores, right, weights)
    p = expit(np.outer(slopes, scores) + intercepts[:, None])
    total = weights.cumsum(axis=1)
    mean = (weights * p).cumsum(axis=1) / np.maximum(total, 1e-300)
    enough = (mean >= precision) & (total > 0)
    last = enough.shape[1] - 1 - enough[:, ::-1].argmax(axis=1)
    return np.where(enough.any(axis=1), scores[last], np.nan)


def reliability(p: np.ndarray, right: np.ndarray, confidence: float) -> list[dict[str, float]]:
    """Predicted probability and share of matches in bins of equal width of the probability.

    Empty bins are left out; `low` and `high` are Wilson's interval of the share.
    """
    place = _bins(p)
    rows = []
    for k in np.unique(place):
        these = place == k
        low, high = rate_interval(right[these].sum(), these.sum(), confidence)
        rows.append(
            {
                "from": k / BINS,
                "to": (k + 1) / BINS,
                "queries": int(these.sum()),
                "predicted": float(p[these].mean()),
                "observed": float(right[these].mean()),
                "low": low,
                "high": high,
            }
        )
    return rows


def calibration_error(p: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error: sum over bins of n_k/n |observed_k - predicted_k|.

    Guo et al., ICML 2017, with bins of equal width.
    """
    return float(np.abs(np.bincount(_bins(p), weights=right - p)).sum() / len(p))


def _bins(p: np.ndarray) -> np.ndarray:
    return np.minimum((p * BINS).astype(int), BINS - 1)


def calibration_error_of_chance(p: np.ndarray, seed: int, draws: int = 200) -> float:
    """Mean calibration error of outcomes drawn from the probabilities themselves.

    A finite sample is never calibrated perfectly; this is what is left if the probabilities are
    right.
    """
    rng = np.random.default_rng(seed)
    return float(np.mean([calibration_error(p, rng.random(len(p)) < p) for _ in range(draws)]))
