"""The decision about a gap in sentences: how large it is, what it costs, what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mindgap.downstream.scores import APPLIED

if TYPE_CHECKING:
    from mindgap.api.fixes import Fixes

#: Gaps of trained models, for comparison: of the features published with Mind the Gap (Liang et
#: al. 2022), as `measure` gives them.
KNOWN_GAPS = {
    "CLIP ViT-B/16 on MSCOCO": 0.851,
    "VideoCLIP on MSR-VTT": 1.067,
    "CLASP on UniProt": 1.045,
}
#: A fix was learnt by heart where the rows it was fit on do better than held-out ones by so much.
BY_HEART = 0.05


def sentences(fixes: Fixes, files: dict[str, str] | None) -> Iterator[str]:
    """Yield the decision line by line, see `Fixes.decide`."""
    a, b = fixes.modalities
    files = files or {name: f"{name}.npy" for name in fixes.modalities}
    gap, low, high = (fixes.gap[name] for name in ("gap", "gap_low", "gap_high"))
    yield f"gap {a} - {b}: {gap:.3f} [{low:.3f}, {high:.3f}], {fixes.gap['pairs']:,} pairs"
    yield "  known: " + ", ".join(f"{name} {value:.3f}" for name, value in KNOWN_GAPS.items())
    for use in fixes.uses:
        row, plain = fixes.best(use), fixes.find("none", use)
        yield f"{_title(fixes, use)}: {row['measure']} {plain['estimate']:.3f} as it is"
        yield from _by_query(fixes, plain)
        if row["sure"] <= 0:
            yield "  no fix is surely better"
            continue
        yield from _advise(fixes, row, files)
        if row["changes"] == "scores" and fixes.best(use, "rows")["sure"] > 0:
            yield from _advise(fixes, fixes.best(use, "rows"), files)


def _title(fixes: Fixes, use: str) -> str:
    a, b = fixes.modalities
    if use == "mixed corpus":
        return f"mixed corpus, {fixes.text_share:.0%} {b}"
    return use.replace("a to b", f"{a} to {b}").replace("b to a", f"{b} to {a}")


def _by_query(fixes: Fixes, row: dict[str, Any]) -> Iterator[str]:
    """What queries of each modality find in the mixed corpus."""
    for one in fixes.mixed if row["use"] == "mixed corpus" else ():
        if _same(one, row):
            yield (
                f"    {one['query']} queries: {one['estimate']:.3f}; of their first ten "
                f"{one['share']:.0%} are {fixes.modalities[1]}"
            )


def _advise(fixes: Fixes, row: dict[str, Any], files: dict[str, str]) -> Iterator[str]:
    """What one fix brings, what it costs, and how to apply it."""
    interval = f"[{row['low']:.3f}, {row['high']:.3f}]"
    yield f"  {row['estimate']:.3f} {interval} with {name_of(row)} ({row['changes']})"
    yield from _by_query(fixes, row)
    if not row["use"].startswith("retrieval"):
        yield from _price(fixes, row)
    if row["fitted"] - row["estimate"] > BY_HEART and row["fitted"] > row["high"]:
        yield (
            f"    learnt by heart: {row['fitted']:.3f} on the items that it was fit on; "
            "more pairs would help"
        )
    if row["changes"] == "rows":
        given = " ".join(shlex.quote(f"{name}={file}") for name, file in files.items())
        again = "" if row["renormalised"] else " --no-renormalise"
        yield f"    mindgap fit {row['method']} {given}{again}"
    else:
        yield f"    {APPLIED[row['method']]}"


def _price(fixes: Fixes, row: dict[str, Any]) -> Iterator[str]:
    """What a fix costs in retrieval across modalities."""
    found = [r for r in fixes.rows if r["use"].startswith("retrieval") and _same(r, row)]
    if not any(r[end] for r in found for end in ("low_difference", "high_difference")):
        yield "    price: none in R@1"
        return
    for other in found:
        interval = f"[{other['low_difference']:+.3f}, {other['high_difference']:+.3f}]"
        way = _title(fixes, other["use"]).removeprefix("retrieval ")
        word = "price" if other["difference"] < 0 else "gain"
        yield f"    {word}: R@1 {way} {other['difference']:+.3f} {interval}"


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two rows are of one method and variant."""
    return all(one[key] == other[key] for key in ("method", "changes", "renormalised"))


def name_of(row: dict[str, Any]) -> str:
    """Name of a method and its variant."""
    return row["method"] if row["renormalised"] else f"{row['method']}, not normalised again"
