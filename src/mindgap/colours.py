"""Colours of modalities, for figures and pages; without any library."""

from __future__ import annotations

#: One colour a modality, the same in every figure; text is the one that all models share.
MODALITY_COLOURS = {
    "image": "#3b6fb6",
    "video": "#2a9d8f",
    "audio": "#8a5fbf",
    "protein": "#5a8f3c",
    "text": "#d9772b",
}
_MORE = ("#b0413e", "#c2a83e", "#d36ba6")


def modality_colours(modalities: list[str]) -> dict[str, str]:
    """Colour of each modality; names without a colour of their own share the spare ones."""
    unknown = [m for m in dict.fromkeys(modalities) if m not in MODALITY_COLOURS]
    spare = {m: _MORE[i % len(_MORE)] for i, m in enumerate(unknown)}
    return {m: MODALITY_COLOURS.get(m) or spare[m] for m in modalities}
