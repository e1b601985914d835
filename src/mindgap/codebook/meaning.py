"""What codes mean: concepts of held-out items and the codes that fire in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mindgap.codebook.usage import count_codes
from mindgap.data.pairs import read_pairs
from mindgap.runtime.errors import UserError

FAMILIES = ("shape", "colour", "size", "motion", "place")
LEAST_ITEMS = 10  # items that a concept needs in each half
_WORD = re.compile(r"[a-z]+|\d")


def present(codes: np.ndarray, size: int) -> np.ndarray:
    """Which codes fire anywhere in an item: bool (n, V) from (n, L) with -1 for padding."""
    found = np.zeros((len(codes), size), bool)
    item, place = np.nonzero(codes >= 0)
    found[item, codes[item, place]] = True
    return found


def histograms(codes: np.ndarray, size: int) -> np.ndarray:
    """Share of each item's tokens that a code has: float64 (n, V)."""
    item, place = np.nonzero(codes >= 0)
    flat = np.bincount(item * size + codes[item, place], minlength=len(codes) * size)
    counts = flat.reshape(len(codes), size).astype(np.float64)
    return counts / counts.sum(1, keepdims=True)


def read_concepts(pairs: str | Path, columns: list[str], modalities: list[str]) -> pd.DataFrame:
    """Concepts of each item: bool, one row per item and one column per concept, `family: value`.

    `objects` gives shape, colour, size and motion (and place, where no sound is among the
    modalities); `words` the words that are spoken; `label` the class; `text` the words of all
    captions.
    """
    found: list[set[str]] = []
    families = FAMILIES if "audio" not in modalities else FAMILIES[:-1]
    if "video" not in modalities and "audio" not in modalities:
        families = tuple(f for f in families if f != "motion")
    for rows in read_pairs(pairs, columns):
        for row in rows.to_pylist():
            own: set[str] = set()
            for thing in row.get("objects") or ():
                own |= {f"{family}: {thing[family]}" for family in families}
            own |= {f"word: {one['word']}" for one in row.get("words") or ()}
            if row.get("label") and "objects" not in row:
                own.add(f"class: {row['label']}")
            if not {"objects", "words", "label"} & set(row):
                words = {w for text in row.get("text") or () for w in _WORD.findall(text.lower())}
                own |= {f"word: {word}" for word in words}
            found.append(own)
    names = sorted(set().union(*found))
    return pd.DataFrame({name: [name in own for own in found] for name in names})


def concept_columns(names: list[str]) -> list[str]:
    """Columns of a pairs table to read the concepts from: truth, else labels, else captions."""
    for column in ("objects", "words", "label"):
        if column in names:
            return [column]
    return ["text"]


def detection(fires: np.ndarray, has: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each code as a detector of each concept: (V, C) each.

    precision = P(concept | code), recall = P(code | concept), over items: a code fires in an item
    if any of its tokens has it. Zero where a code never fires.
    """
    both = fires.T.astype(np.float64) @ has.astype(np.float64)
    precision = both / np.maximum(fires.sum(0)[:, None], 1)
    recall = both / np.maximum(has.sum(0)[None, :], 1)
    total = precision + recall
    return (
        precision,
        recall,
        np.divide(2 * precision * recall, total, out=total * 0, where=total > 0),
    )


def name_codes(
    fires: tuple[np.ndarray, np.ndarray], concepts: pd.DataFrame, seed: int
) -> pd.DataFrame:
    """For each concept the code that names it best in both modalities.

    The code is chosen on one half of the items, by the lower of its two F1, and measured on the
    other, so that choosing among many codes gives no advantage. `always` is the F1 of a code that
    fires in every item, 2p/(1 + p); `null` the F1 of the same choice for shuffled concepts.
    `f1_chosen` and `always_chosen` come from the half on which the code was chosen; use these to
    pick one concept of many.
    """
    n = len(concepts)
    order = np.random.default_rng([seed, 4]).permutation(n)
    choose, test = order[: n // 2], order[n // 2 :]
    has = concepts.to_numpy()
    shuffled = has[np.random.default_rng([seed, 5]).permutation(n)]
    kept = np.flatnonzero((has[choose].sum(0) >= LEAST_ITEMS) & (has[test].sum(0) >= LEAST_ITEMS))
    # A concept that every item has cannot be told apart from nothing.
    kept = kept[~has[:, kept].all(0)]
    if not len(kept):
        raise UserError(
            f"no concept is in {LEAST_ITEMS} items of each half of the {n} held-out items, and "
            "outside one; measure on more items"
        )
    code, best, measured = _choose(fires, has, choose, test, kept)
    _, _, null = _choose(fires, shuffled, choose, test, kept)
    rows = []
    for i, c in enumerate(kept):
        share, chosen = has[test, c].mean(), has[choose, c].mean()
        row = {"concept": concepts.columns[c], "code": int(code[i]), "items": int(has[:, c].sum())}
        for side, (precision, recall, f1) in zip("ab", measured, strict=True):
            row |= {
                f"precision_{side}": precision[i],
                f"recall_{side}": recall[i],
                f"f1_{side}": f1[i],
            }
        row["f1"] = min(row["f1_a"], row["f1_b"])
        row["always"] = 2 * share / (1 + share)
        row["null"] = min(null[0][2][i], null[1][2][i])
        row["f1_chosen"], row["always_chosen"] = best[i], 2 * chosen / (1 + chosen)
        rows.append(row)
    return pd.DataFrame(rows).sort_values("f1", ascending=False, kind="stable")


def _choose(fires, has, choose, test, kept):
    """Code of each kept concept, its lower F1 there, and what it gets on the test half.

    The last is (precision, recall, f1) by modality.
    """
    lower = np.minimum(*(detection(side[choose], has[choose][:, kept])[2] for side in fires))
    code, place = lower.argmax(0), np.arange(len(kept))
    measured = [
        [z[code, place] for z in detection(side[test], has[test][:, kept])] for side in fires
    ]
    return code, lower[code, place], measured


def describe_codes(
    codes: tuple[np.ndarray, np.ndarray], concepts: pd.DataFrame, size: int, top: int
) -> pd.DataFrame:
    """Per code, modality and rank: concept, P(concept | code), P(code | concept), F1, lift.

    The `top` concepts of a code are those with the highest F1 above always firing; a code has no
    row for a modality that never uses it.
    """
    has, rows = concepts.to_numpy(), []
    share = has.mean(0)
    for side, own in zip("ab", codes, strict=True):
        fires, tokens = present(own, size), count_codes(own, size)
        precision, recall, f1 = detection(fires, has)
        better = f1 - 2 * share / (1 + share)
        for code in np.flatnonzero(tokens):
            best = better[code].argsort()[::-1][:top]
            rows += [
                {
                    "code": int(code),
                    "modality": side,
                    "rank": rank,
                    "tokens": int(tokens[code]),
                    "items": int(fires[:, code].sum()),
                    "concept": concepts.columns[c],
                    "precision": precision[code, c],
                    "recall": recall[code, c],
                    "f1": f1[code, c],
                    "lift": precision[code, c] / share[c],
                }
                for rank, c in enumerate(best, 1)
            ]
    return pd.DataFrame(rows)


def agreement(codes: tuple[np.ndarray, np.ndarray], size: int, seed: int) -> dict[str, float]:
    """How often the most frequent code of an item agrees across modalities, paired and shuffled."""
    modes = [histograms(side, size).argmax(1) for side in codes]
    mixed = np.random.default_rng([seed, 6]).permutation(len(modes[0]))
    return {
        "agreement": float((modes[0] == modes[1]).mean()),
        "agreement_shuffled": float((modes[0] == modes[1][mixed]).mean()),
    }


def generalise(
    codes: tuple[np.ndarray, np.ndarray], classes: dict[str, np.ndarray], size: int, seed: int
) -> list[dict[str, Any]]:
    """Accuracy of a classifier of one modality's codes on either modality.

    Logistic regression on the share of each code among an item's tokens, fitted on one half of the
    items and tested on the other, as in Xia et al. 2023 (cross-modal generalisation).

    Parameters
    ----------
    classes
        Family -> class of each item, an empty string where it has none or several.
    """
    from sklearn.linear_model import LogisticRegression

    rows, shares = [], [np.sqrt(histograms(side, size)) for side in codes]
    for family, values in classes.items():
        some = np.flatnonzero(values != "")
        some = np.random.default_rng([seed, 7]).permutation(some)
        train, test = some[: len(some) // 2], some[len(some) // 2 :]
        if len(np.unique(values[train])) < 2 or not len(test):
            continue
        counts = np.unique(values[test], return_counts=True)[1]
        for one in (0, 1):
            model = LogisticRegression(C=10.0, max_iter=500).fit(shares[one][train], values[train])
            for other in (0, 1):
                right = model.score(shares[other][test], values[test])
                rows.append(
                    {
                        "family": family,
                        "trained_on": "ab"[one],
                        "tested_on": "ab"[other],
                        "accuracy": float(right),
                        "chance": float(counts.max() / counts.sum()),
                        "items": len(test),
                    }
                )
    return rows


def single_classes(pairs: str | Path, columns: list[str]) -> dict[str, np.ndarray]:
    """Classes to generalise over: the properties of single objects, or labels."""
    found: dict[str, list[str]] = {}
    for rows in read_pairs(pairs, columns):
        for row in rows.to_pylist():
            if "objects" in row:
                one = row["objects"][0] if len(row["objects"]) == 1 else {}
                for family in FAMILIES[:-1]:
                    found.setdefault(family, []).append(one.get(family, ""))
            elif "label" in row:
                found.setdefault("class", []).append(row["label"] or "")
    return {family: np.array(values) for family, values in found.items()}
