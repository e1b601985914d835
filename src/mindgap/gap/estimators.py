"""Measures of two clouds of unit rows as plain functions of arrays, float64."""

from __future__ import annotations

import numpy as np


def modality_gap(x: np.ndarray, y: np.ndarray) -> float:
    """Euclidean distance of the means of unit rows (Liang et al. 2022, section 4.1)."""
    return float(np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)))


def relative_gap(matched: float, within_a: float, within_b: float) -> float:
    """Relative modality gap (Schrodi et al., ICLR 2025), from mean cosines.

    With d = (1 - cos)/2: matched / (matched + (within_a + within_b)/2). 0 means that partners
    coincide, 1 that each modality is a point.
    """
    matched, within_a, within_b = ((1 - cosine) / 2 for cosine in (matched, within_a, within_b))
    total = matched + (within_a + within_b) / 2
    return float(matched / total) if total > 0 else float("nan")


def effective_rank(spectrum: np.ndarray, n: int) -> float:
    """Exponential of the entropy of the normalised eigenvalues of a scatter matrix of n rows.

    Roy and Vetterli, EUSIPCO 2007, on the spectrum of the covariance; between 1 and min(n - 1, d),
    so it depends on n. NaN where all rows are equal.
    """
    values = spectrum.clip(min=0)
    if values.sum() <= 1e-12 * n:  # rounding, where unit rows are all equal
        return float("nan")
    share = values / values.sum()
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy, Gaussian kernel of median width.

    Gretton et al., JMLR 2012, equation 4: k = exp(-|a - b|^2 / (2 s^2)), s the median distance of
    all pairs of the pooled rows. It sums over i != j everywhere: a matched pair is not two
    independent draws. Can be negative. Holds a (2n, 2n) matrix.
    """
    n = len(x)
    pooled = np.concatenate([x, y])
    squares = np.maximum(0.0, 2.0 - 2.0 * (pooled @ pooled.T))
    width = np.median(squares[np.triu_indices(2 * n, 1)])
    if width <= 0:
        return 0.0
    kernel = np.exp(squares / (-2.0 * width), out=squares)
    np.fill_diagonal(kernel, 0.0)
    within = kernel[:n, :n].sum() + kernel[n:, n:].sum()
    across = kernel[:n, n:].sum() - np.trace(kernel[:n, n:])
    return float((within - 2.0 * across) / (n * (n - 1)))


def mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Maximum mean discrepancy: the root of `squared_mmd`, zero where that is negative."""
    return float(np.sqrt(max(0.0, squared_mmd(x, y))))


def separability(x: np.ndarray, y: np.ndarray, folds: int, seed: int) -> float:
    """Held-out accuracy of a linear classifier that tells the modalities apart.

    Logistic regression on standardised coordinates, `folds`-fold; both rows of a pair are in the
    same fold. 0.5 is chance, 1 complete linear separation.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = min(folds, len(x))
    right = 0
    for train, test in KFold(folds, shuffle=True, random_state=seed).split(x):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(np.concatenate([x[train], y[train]]), np.repeat([0, 1], len(train)))
        guess = model.predict(np.concatenate([x[test], y[test]]))
        right += (guess == np.repeat([0, 1], len(test))).sum()
    return float(right / (2 * len(x)))
