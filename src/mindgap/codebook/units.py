"""Measures of units: codes against labels, against words in time, and against boxes in pictures.

Pure functions of counts and arrays. Every measure that grows with the number of codes has to be
read beside its null, the same measure after `shuffle_codes`.
"""

from __future__ import annotations

import numpy as np

HIGH_F1 = 0.5  # a word is detected by a code from this F1 on (Harwath et al. 2020)


def shuffle_codes(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Codes (n, L) dealt out anew over all tokens; padding, which is -1, stays where it is."""
    valid = codes >= 0
    mixed = codes.copy()
    mixed[valid] = rng.permutation(codes[valid])
    return mixed


def joint_counts(labels: np.ndarray, codes: np.ndarray, kinds: int, size: int) -> np.ndarray:
    """Tokens with each label and code: int64 (kinds, size); negative ones are left out."""
    some = (labels >= 0) & (codes >= 0)
    flat = np.bincount(labels[some].astype(np.int64) * size + codes[some], minlength=kinds * size)
    return flat.reshape(kinds, size)


def entropy(shares: np.ndarray) -> float:
    """H(p) = -sum p log p in nats, with 0 log 0 = 0."""
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


def label_purity(counts: np.ndarray) -> float:
    """sum_v max_c p(c, v): accuracy of naming each code by its most frequent label.

    "Phone purity" of Hsu et al. 2021 (HuBERT, sec. IV-D; `measure_teacher_quality.py`), for
    `counts` (C, V) of label c and code v.
    """
    return float(counts.max(0).sum() / counts.sum())


def cluster_purity(counts: np.ndarray) -> float:
    """sum_c max_v p(c, v): accuracy of giving each label its most frequent code (HuBERT, ibid.)."""
    return float(counts.max(1).sum() / counts.sum())


def mutual_information(counts: np.ndarray) -> float:
    """I = H(label) + H(code) - H(label, code) in nats, for counts (C, V)."""
    p = counts / counts.sum()
    return max(0.0, entropy(p.sum(1)) + entropy(p.sum(0)) - entropy(p))


def pnmi(counts: np.ndarray) -> float:
    """I(label; code) / H(label): the share of the labels' uncertainty that codes remove.

    Phone-normalised mutual information of HuBERT (`MI/H(ref)` of `measure_teacher_quality.py`,
    there with 1e-8 inside each logarithm). NaN where all tokens have one label.
    """
    h = entropy(counts.sum(1) / counts.sum())
    return mutual_information(counts) / h if h > 0 else float("nan")


def v_measure(counts: np.ndarray) -> float:
    """2 h c / (h + c) with h = I / H(label) and c = I / H(code) (Rosenberg and Hirschberg 2007).

    As there, h is 1 where H(label) is 0, and c where H(code) is 0.
    """
    shared, p = mutual_information(counts), counts / counts.sum()
    sides = [entropy(p.sum(axis)) for axis in (1, 0)]
    h, c = (shared / side if side > 0 else 1.0 for side in sides)
    return 2 * h * c / (h + c) if h + c > 0 else 0.0


def label_shares(counts: np.ndarray) -> np.ndarray:
    """P(label | code) for counts (C, V): float64 (C, V), NaN in the columns of unused codes."""
    total = counts.sum(0)
    out = np.full(counts.shape, np.nan)
    return np.divide(counts, total, out=out, where=total > 0)


def detection(
    codes: np.ndarray,
    near: np.ndarray,
    spans: np.ndarray,
    item: np.ndarray,
    label: np.ndarray,
    size: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each code as a detector of each word: float64 (V, C) each.

    As `unit_analysis.py` of ResDAVEnet-VQ (Harwath et al. 2020) has it: precision is the share of
    a code's tokens that are near the word, recall the share of the word's occurrences in which the
    code is among the tokens, and F1 = 2 P R / (P + R). Zero for a code that never fires.

    Parameters
    ----------
    codes
        int (n, L), -1 for padding.
    near
        Whether a token is near an occurrence of a word, with the tolerance: bool (n, L, C).
    spans
        Which tokens of its item each of W occurrences has, without tolerance: bool (W, L).
    item, label
        Item and word of each occurrence, int (W,).
    """
    at, place = np.nonzero(codes >= 0)
    own = codes[at, place]
    hits = np.zeros((size, near.shape[2]))
    np.add.at(hits, own, near[at, place])
    precision = hits / np.maximum(np.bincount(own, minlength=size), 1)[:, None]
    which, place = np.nonzero(spans & (codes[item] >= 0))
    fired = np.zeros((len(item), size), bool)
    fired[which, codes[item[which], place]] = True
    found = np.zeros((near.shape[2], size))
    np.add.at(found, label, fired)
    occurrences = np.bincount(label, minlength=near.shape[2])
    recall = (found / np.maximum(occurrences, 1)[:, None]).T
    return precision, recall, f_measure(precision, recall)


def f_measure(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """2 P R / (P + R), zero where both are."""
    total = np.asarray(precision + recall, np.float64)
    return np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)


def count_words(f1: np.ndarray, least: float = HIGH_F1) -> int:
    """Words that some code detects with this F1 at least (`count_high_f1_words`, ibid.): (V, C)."""
    return int((f1.max(0) >= least).sum())


def match_boundaries(found: np.ndarray, true: np.ndarray, tolerance: float) -> int:
    """Largest number of pairs of a found and a true boundary no farther apart than `tolerance`.

    Each boundary is in one pair at most; both arrays ascend.
    """
    i = j = hits = 0
    while i < len(found) and j < len(true):
        # Boundaries lie on grids: half a nanosecond keeps rounding from deciding.
        if abs(found[i] - true[j]) <= tolerance + 5e-10:
            hits, i, j = hits + 1, i + 1, j + 1
        elif found[i] < true[j]:
            i += 1
        else:
            j += 1
    return hits


def boundary_scores(hits: int, found: int, true: int) -> dict[str, float]:
    """Boundary precision, recall, F1 and R-value from counts (Räsänen et al. 2009).

    OS = R / P - 1 = found / true - 1; R-value = 1 - (|r1| + |r2|) / 2 with
    r1 = sqrt((1 - R)^2 + OS^2) and r2 = (-OS + R - 1) / sqrt(2). It is 1 for perfect boundaries
    and falls without bound as more and more are found.
    """
    precision, recall = hits / found if found else 0.0, hits / true
    over = found / true - 1
    r1, r2 = np.hypot(1 - recall, over), (-over + recall - 1) / np.sqrt(2)
    return {
        "boundary_precision": precision,
        "boundary_recall": recall,
        "boundary_f1": float(f_measure(np.array(precision), np.array(recall))),
        "r_value": float(1 - (abs(r1) + abs(r2)) / 2),
    }


def change_times(codes: np.ndarray, token_s: float) -> np.ndarray:
    """Times at which the code of a sound changes: (L,) with -1 for padding to ascending seconds."""
    own = codes[codes >= 0]
    return (np.flatnonzero(own[1:] != own[:-1]) + 1) * token_s


def measure_boundaries(
    codes: np.ndarray, true: list[np.ndarray], token_s: float, tolerance: float
) -> dict[str, float]:
    """`boundary_scores` of code changes against word boundaries, counted over all sounds.

    Parameters
    ----------
    codes
        int (n, L), -1 for padding.
    true
        Ascending times of the boundaries of each sound in seconds.
    """
    changes = [change_times(own, token_s) for own in codes]
    hits = sum(map(match_boundaries, changes, true, [tolerance] * len(true)))
    return boundary_scores(hits, sum(map(len, changes)), sum(map(len, true)))


def pointing_game(
    fires: np.ndarray, touched: np.ndarray, valid: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits of a code's tokens, their chance, and IoU with those of an object: float64 (W,) each.

    The pointing game (Zhang et al. 2018) asks whether the strongest place is on the object. Codes
    have no strength, so the hit is its expectation for one token of the code drawn at random,
    |fires & touched| / |fires|, NaN where the code does not fire; the chance is that of any token,
    |touched| / |valid|. IoU = |fires & touched| / |fires | touched|.

    Parameters
    ----------
    fires
        Tokens where the code of the object's word fires, bool (W, L).
    touched
        Tokens that the object has, bool (W, L).
    valid
        Tokens that are no padding, bool (W, L).
    """
    both, own = (fires & touched).sum(1), fires.sum(1)
    hits = np.divide(both, own, out=np.full(len(own), np.nan), where=own > 0)
    either = np.maximum((fires | touched).sum(1), 1)
    return hits, touched.sum(1) / valid.sum(1), both / either


def query_places(
    words: np.ndarray, cells: np.ndarray, cover: np.ndarray, boxes: np.ndarray
) -> dict[str, np.ndarray]:
    """Where a picture answers to a spoken word, through codes alone: float64 (W,) each.

    A cell l of the picture has the mass m_l = q(code of l), with q the distribution of the codes
    over the word's frames. `inside` = sum m_l c_l / sum m_l, with c_l the share of the cell that
    the right box covers; `area`, its chance, is the same for equal masses, the box's share of the
    picture. `among` is the part of the mass inside any box that is inside the right one, and
    `among_area` the same for equal masses. A word whose codes the picture does not have says
    nothing about the place: there `inside` is `area` and `among` is `among_area`, and `answered` 0.

    Parameters
    ----------
    words
        q of each word, float64 (W, V).
    cells
        Codes of the picture that belongs to each word, int (W, L), without padding.
    cover, boxes
        Share of each cell covered by the right box, and by all boxes: float64 (W, L).
    """
    mass = np.take_along_axis(words, cells.astype(np.int64), 1)
    total, boxed = mass.sum(1), (mass * boxes).sum(1)
    right = (mass * cover).sum(1)
    area, among_area = cover.mean(1), cover.sum(1) / boxes.sum(1)
    return {
        "inside": np.divide(right, total, out=area.copy(), where=total > 0),
        "area": area,
        "among": np.divide(right, boxed, out=among_area.copy(), where=boxed > 0),
        "among_area": among_area,
        "answered": (total > 0).astype(np.float64),
    }
