"""What the units of one codebook are worth: tables of measures with their nulls, and a summary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mindgap.codebook.alignment import (
    TOLERANCE_S,
    Aligned,
    Detection,
    align_picture,
    align_sound,
    align_text,
)
from mindgap.codebook.units import (
    HIGH_F1,
    cluster_purity,
    count_words,
    label_purity,
    measure_boundaries,
    pnmi,
    pointing_game,
    query_places,
    v_measure,
)
from mindgap.data.digits import WORDS

NONE = "none"  # label of a token that no word or digit has
Pair = tuple[Aligned, Aligned]


def align(
    codes: np.ndarray,
    size: int,
    kind: str,
    truth: dict[str, list[list[dict[str, Any]]]],
    about: dict[str, float],
) -> Aligned:
    """One modality beside its truth.

    Parameters
    ----------
    kind
        audio, image or text.
    truth
        `words` and `places` of each item, as `mindgap.data.spoken_scenes` has them.
    about
        `token_s` of a sound; of a picture `side`, cells in a row, and `pixels`, those of the boxes.
    """
    if kind == "audio":
        return align_sound(codes, size, truth["words"], about["token_s"])
    if kind == "image":
        return align_picture(codes, size, truth["places"], about["side"], about["pixels"])
    return align_text(codes, size, truth["words"])


def halves(items: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Items that codes are chosen on, and the others, that they are measured on."""
    order = np.random.default_rng([seed, 8]).permutation(items)
    return np.sort(order[: items // 2]), np.sort(order[items // 2 :])


def mixed(pair: Pair, seed: int) -> Pair:
    """The null of every measure: the codes of each modality dealt out anew over its tokens."""
    rng = np.random.default_rng([seed, 9])
    return tuple(side.shuffled(rng) for side in pair)


def measure_units(
    side: Aligned, kind: str, words: list[list[dict[str, Any]]], token_s: float, seed: int
) -> dict[str, float]:
    """Measures of one modality's units.

    Purities, PNMI and V-measure are those of all tokens, with one label more for tokens of no word;
    those that end in `_inside` leave these tokens out. `words` is the number of words that some
    code detects with an F1 of 0.5, `f1` the mean over words of the best F1. `pointing`, `chance`
    and `iou` are those of the code with the best F1, chosen on one half of the items and measured
    on the other. Sounds have boundary scores too.
    """
    row: dict[str, float] = {"tokens": float((side.codes >= 0).sum())}
    for end, counts in (("", side.counts()), ("_inside", side.counts(inside=True))):
        for measure in (label_purity, cluster_purity, pnmi, v_measure):
            row[f"{measure.__name__}{end}"] = measure(counts)
    f1 = side.detect()[2]
    row |= {"words": float(count_words(f1)), "f1": float(f1.max(0).mean())}
    choose, test = (side.take(items) for items in halves(len(side.codes), seed))
    fires = test.fires(choose.detect()[2].argmax(0))
    hits, chance, iou = pointing_game(fires, test.spans, test.codes[test.item] >= 0)
    fired = ~np.isnan(hits)
    row["pointing"] = float(hits[fired].mean()) if fired.any() else float("nan")
    row["chance"] = float(chance[fired].mean()) if fired.any() else float("nan")
    row |= {"answered": float(fired.mean()), "iou": float(iou.mean())}
    if kind == "audio":
        true = [
            np.unique([t for one in some for t in (one["start"], one["end"])]) for some in words
        ]
        row |= measure_boundaries(side.codes, true, token_s, TOLERANCE_S)
    return row


def units_table(
    pair: Pair,
    kinds: tuple[str, str],
    words: list[list[dict[str, Any]]],
    token_s: float,
    seed: int,
) -> pd.DataFrame:
    """One row per modality: `measure_units`, and the same of shuffled codes as `{measure}_null`."""
    rows = []
    for name, kind, own, null in zip("ab", kinds, pair, mixed(pair, seed), strict=True):
        row = measure_units(own, kind, words, token_s, seed)
        nulls = measure_units(null, kind, words, token_s, seed)
        nulls = {f"{key}_null": value for key, value in nulls.items() if key != "tokens"}
        rate = {"codes_per_second": 1 / token_s} if kind == "audio" else {}
        rows.append({"modality": name, "kind": kind, **rate, **row, **nulls})
    return pd.DataFrame(rows)


def crossings_table(pair: Pair, seed: int) -> pd.DataFrame:
    """What a code that names a word in one modality does in the other; one row per word and choice.

    `chosen_on` a or b: the code has the best F1 for the word in that modality; both: the best of
    the lower F1. It is chosen on one half of the items, and the numbers are those of the other.
    `precision` is P(near the word | code), `chance` the share of all tokens that are near the word,
    `top` the word of which the code's precision is the highest. `own`: the code has an F1 of 0.5 at
    least and the word as its `top`, both in both modalities. The nulls are those of shuffled codes.
    """
    table, null = _crossings(pair, seed), _crossings(mixed(pair, seed), seed)
    for name in ("precision_a", "precision_b", "f1_a", "f1_b", "own"):
        table[f"{name}_null"] = null[name]
    return table


def _crossings(pair: Pair, seed: int) -> pd.DataFrame:
    choose, test = halves(len(pair[0].codes), seed)
    before = [side.take(choose).detect() for side in pair]
    after = [side.take(test) for side in pair]
    found = [side.detect() for side in after]
    chances = [side.near[side.codes >= 0].mean(0) for side in after]
    scores = {"a": before[0][2], "b": before[1][2], "both": np.minimum(before[0][2], before[1][2])}
    rows = []
    for chosen, f1 in scores.items():
        for c, code in enumerate(f1.argmax(0)):
            row: dict[str, Any] = {"chosen_on": chosen, "word": WORDS[c], "code": int(code)}
            for name, detected, chance in zip("ab", found, chances, strict=True):
                row |= _as_read(detected, chance, int(code), c, name)
            row["own"] = all(
                row[f"f1_{name}"] >= HIGH_F1 and row[f"top_{name}"] == WORDS[c] for name in "ab"
            )
            rows.append(row)
    return pd.DataFrame(rows)


def _as_read(
    detected: Detection, chance: np.ndarray, code: int, word: int, name: str
) -> dict[str, Any]:
    precision, recall, f1 = (one[code] for one in detected)
    return {
        f"precision_{name}": precision[word],
        f"recall_{name}": recall[word],
        f"f1_{name}": f1[word],
        f"chance_{name}": chance[word],
        f"top_{name}": WORDS[int(precision.argmax())] if precision.any() else NONE,
    }


def queries_table(pair: Pair, kinds: tuple[str, str], seed: int) -> pd.DataFrame:
    """`query_places` of the words of the other modality in pictures, one row per word: means.

    `inside_null` and `among_null` are those of pictures whose codes are shuffled. Empty where no
    modality is a picture.
    """
    columns = ["word", "queries", "inside", "area", "among", "among_area", "answered"]
    columns += ["inside_null", "among_null"]
    if "image" not in kinds:
        return pd.DataFrame(columns=columns)
    seen, asked = pair if kinds[0] == "image" else pair[::-1]
    boxes = np.full((len(seen.codes), len(WORDS)), -1)
    boxes[seen.item, seen.word] = np.arange(len(seen.item))
    box = boxes[asked.item, asked.word]
    there = box >= 0
    item, box, word = asked.item[there], box[there], asked.word[there]
    every = np.zeros(seen.codes.shape)
    np.add.at(every, seen.item, seen.cover)
    words = _code_shares(asked)[there]
    null = seen.shuffled(np.random.default_rng([seed, 10])).codes
    found, nulls = (
        query_places(words, codes[item], seen.cover[box], every[item])
        for codes in (seen.codes, null)
    )
    table = pd.DataFrame(found).assign(
        word=word, inside_null=nulls["inside"], among_null=nulls["among"]
    )
    means = table.groupby("word").mean()
    means.insert(0, "queries", table.groupby("word").size())
    means.insert(0, "word", [WORDS[c] for c in means.index])
    return means.reset_index(drop=True)[columns]


def _code_shares(side: Aligned) -> np.ndarray:
    """Distribution of the codes over each occurrence's tokens, weighted by cover: (W, V)."""
    which, place = np.nonzero((side.cover > 0) & (side.codes[side.item] >= 0))
    found = np.zeros((len(side.item), side.size))
    np.add.at(found, (which, side.codes[side.item[which], place]), side.cover[which, place])
    return found / np.maximum(found.sum(1, keepdims=True), 1e-12)


def labels_table(pair: Pair) -> pd.DataFrame:
    """Tokens of each modality by code and label, without codes that a modality never uses."""
    rows = []
    for name, side in zip("ab", pair, strict=True):
        counts = side.counts()
        for code in np.flatnonzero(counts.sum(0)):
            rows += [
                {"modality": name, "code": int(code), "label": label, "tokens": int(tokens)}
                for label, tokens in zip((*WORDS, NONE), counts[:, code], strict=True)
            ]
    return pd.DataFrame(rows)


def unit_row(units: pd.DataFrame, crossings: pd.DataFrame, queries: pd.DataFrame) -> dict[str, Any]:
    """Summary of one codebook's units.

    What ends in `above` is above the null or chance: PNMI, label purity, boundary F1 and IoU above
    those of shuffled codes, the pointing game above any cell. `crossing_above_ab` is the mean over
    words of P(near the word | code) in b above the share of such tokens, for codes chosen on a;
    `own_codes` the number of words with a code of their own in both modalities; `query_above` the
    share of a picture's code mass in the right box above the box's area, `query_among` the same
    among boxes.
    """
    row: dict[str, Any] = {}
    for one in units.to_dict("records"):
        end = one["modality"]
        row |= {f"{name}_{end}": one[name] for name in ("pnmi", "v_measure", "words")}
        row[f"pnmi_above_{end}"] = one["pnmi"] - one["pnmi_null"]
        row[f"purity_above_{end}"] = one["label_purity"] - one["label_purity_null"]
        row[f"pointing_above_{end}"] = one["pointing"] - one["chance"]
        row[f"iou_above_{end}"] = one["iou"] - one["iou_null"]
        if one["kind"] == "audio":
            row[f"boundary_above_{end}"] = one["boundary_f1"] - one["boundary_f1_null"]
            row[f"r_value_{end}"] = one["r_value"]
    for one, other in ("ab", "ba"):
        some = crossings[crossings["chosen_on"] == one]
        above = some[f"precision_{other}"] - some[f"chance_{other}"]
        row[f"crossing_above_{one}{other}"] = float(above.mean())
    both = crossings["chosen_on"] == "both"
    row["own_codes"] = float(crossings.loc[both, "own"].sum())
    if len(queries):
        weights = queries["queries"]
        for name, found, chance in (("above", "inside", "area"), ("among", "among", "among_area")):
            above = queries[found] - queries[chance]
            row[f"query_{name}"] = float(np.average(above, weights=weights))
    return row
