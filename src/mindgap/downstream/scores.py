"""Ways of changing scores and not rows, each fit on calibration queries.

A method takes the cosines of calibration queries and of new queries with the same documents, and
returns scores by which the documents of a new query are ranked. Scores of different queries need
not compare.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp

#: Inverse temperature of the softmax over queries: 20, as in the code published with QB-Norm.
INVERSE_TEMPERATURE = 20.0

Scoring = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def standardise_scores(bank: np.ndarray, scores: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Standardise the scores of each kind of document (Yamashita et al., arXiv 2511.22141).

    (s - m_k) / s_k with the mean and standard deviation, over calibration queries, of the highest
    score of a query among the documents of kind k (its pseudo-positive).

    Parameters
    ----------
    bank, scores
        Cosines of the b calibration queries (b, n) and of the new queries (q, n) with the
        documents.
    kinds
        Kind of each document, int of shape (n,).
    """
    found = np.array(scores, np.float64)
    for kind in np.unique(kinds):
        these = kinds == kind
        best = bank[:, these].max(axis=1)
        found[:, these] = (scores[:, these] - best.mean()) / max(best.std(), 1e-12)
    return found


def invert_softmax(bank: np.ndarray, scores: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Divide by how much the calibration queries like a document (Smith et al., ICLR 2017).

    exp(b s) / sum over calibration queries of exp(b s), given as its logarithm.
    """
    scaled = INVERSE_TEMPERATURE * scores
    return scaled - logsumexp(INVERSE_TEMPERATURE * bank, axis=0)


def normalise_by_querybank(bank: np.ndarray, scores: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Inverted softmax where the best document is a hub (QB-Norm, Bogolin et al., CVPR 2022).

    Only queries whose best document is the best one of some calibration query are changed.
    """
    hubs = np.unique(bank.argmax(axis=1))
    changed = np.isin(scores.argmax(axis=1), hubs)
    return np.where(changed[:, None], invert_softmax(bank, scores, kinds), scores)


SCORINGS: dict[str, Scoring] = {
    "standardised_scores": standardise_scores,
    "inverted_softmax": invert_softmax,
    "qb_norm": normalise_by_querybank,
}

#: How to apply a way of scoring in an index of one's own, in a sentence.
APPLIED = {
    "standardised_scores": (
        "apply: from each score subtract the mean, and divide by the standard deviation, of the "
        "best scores that calibration queries get from documents of its kind"
    ),
    "inverted_softmax": (
        f"apply: rank by {INVERSE_TEMPERATURE:g} s less the log of the sum, over calibration "
        f"queries, of exp({INVERSE_TEMPERATURE:g} s) for the same document"
    ),
    "qb_norm": (
        "apply: inverted softmax for queries whose best document is the best of some calibration "
        "query, plain scores for the others"
    ),
}
