"""The page of a codebook: what each code means, and where it fires in both modalities."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from mindgap.config.codebook import Inputs
from mindgap.data.pairs import open_pairs, read_items
from mindgap.embed.decode import decode_sound
from mindgap.explorer.document import fill
from mindgap.explorer.media import shorten, sound_uri

#: Codes that a page shows, those that name a concept best.
MOST = 40
#: Frames of a spectrogram that one token of a sound stands for.
STRIDE = 2


def codes_facts(
    name: str,
    codes: tuple[np.ndarray, np.ndarray],
    about: dict[str, Any],
    chosen: pd.DataFrame,
    concepts: pd.DataFrame,
    meaning: pd.DataFrame,
    found: list[dict[int, list[int]]],
    media: list[dict[int, Any]],
    pairs: str | Path,
    inputs: Inputs,
) -> dict[str, Any]:
    """What the page of a codebook shows.

    Parameters
    ----------
    codes, about
        Codes of held-out pairs and the facts beside them, as `read_codes` gives them.
    chosen
        One row per code, its best concept first, as `choose_codes` gives them.
    concepts, meaning
        Tables of `read_codes`: concepts with the code of each, and what each code means.
    found, media
        For each modality, examples of these codes as `find_examples` gives them, and what the
        model saw of them as `read_media` gives it.
    pairs, inputs
        The table of these pairs, and how media become inputs.
    """
    sides = [
        {
            "modality": modality,
            "items": _show(about, modality, codes[side], media[side], pairs, inputs),
        }
        for side, modality in enumerate(about["modalities"])
    ]
    return {
        "name": name,
        "pairs": len(codes[0]),
        "sides": sides,
        "captions": _captions(pairs, media[0].keys() | media[1].keys()),
        "codes": [_code(int(code), concepts, meaning, codes, found) for code in chosen["code"]],
    }


def render_codes(facts: dict[str, Any]) -> str:
    """The page of `codes_facts`; the same facts give the same page."""
    return fill("codes", facts["name"], facts)


def _code(
    code: int,
    concepts: pd.DataFrame,
    meaning: pd.DataFrame,
    codes: tuple[np.ndarray, np.ndarray],
    found: list[dict[int, list[int]]],
) -> dict[str, Any]:
    """The concepts of a code, what it means in each modality, and where it fires."""
    own = concepts[concepts["code"] == code].sort_values("f1", ascending=False, kind="stable")
    sides = []
    for side, letter in enumerate("ab"):
        rows = meaning[(meaning["code"] == code) & (meaning["modality"] == letter)]
        fires = {i: np.flatnonzero(codes[side][i] == code).tolist() for i in found[side][code]}
        sides.append(
            {
                "items": int(rows["items"].iloc[0]) if len(rows) else 0,
                "meaning": rows[["concept", "precision", "recall"]].to_dict("records"),
                "examples": [{"item": item, "fires": at} for item, at in fires.items()],
            }
        )
    named = own[["concept", "f1", "f1_a", "f1_b", "null", "always"]]
    return {"code": code, "concepts": named.to_dict("records"), "sides": sides}


def _captions(pairs: str | Path, items: set[int]) -> dict[int, str]:
    if "text" not in open_pairs(pairs).schema_arrow.names:
        return {}
    texts = read_items(pairs, ["text"], items)
    return {item: shorten(value["text"][0]) for item, value in texts if value["text"]}


def _show(
    about: dict[str, Any],
    modality: str,
    codes: np.ndarray,
    media: dict[int, Any],
    pairs: str | Path,
    inputs: Inputs,
) -> dict[int, dict[str, Any]]:
    """Item -> its frames with their rows and columns of cells, its sound or its words."""
    kind = about["kinds"][modality]
    if kind in ("image", "video"):
        slices, rows, columns = about["shapes"][modality]
        frames = {item: value[:: len(value) // slices] for item, value in media.items()}
        return {
            item: {"frames": [_picture(one) for one in some], "rows": rows, "columns": columns}
            for item, some in frames.items()
        }
    if kind == "audio":
        sounds = _sounds(pairs, media, inputs)
        length = {item: int((codes[item] >= 0).sum()) for item in media}
        return {
            item: {
                "frames": [_spectrogram(value, length[item])],
                "rows": 1,
                "columns": length[item],
                "sound": sounds[item],
            }
            for item, value in media.items()
        }
    return {item: {"frames": [], "words": value} for item, value in media.items()}


def _picture(pixels: np.ndarray) -> str:
    """Pixels (h, w, 3) as a data URI, without loss."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "WEBP", lossless=True)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _spectrogram(mel: np.ndarray, tokens: int) -> str:
    """Log-mel (T, mels), low tones at the bottom, as wide as its tokens."""
    from matplotlib import colormaps

    mel = np.pad(mel, ((0, max(0, STRIDE * tokens - len(mel))), (0, 0)), mode="edge")
    scaled = (mel.T[::-1] - mel.min()) / max(float(np.ptp(mel)), 1e-9)
    return _picture(np.uint8(255 * colormaps["magma"](scaled)[..., :3]))


def _sounds(pairs: str | Path, items: Iterable[int], inputs: Inputs) -> dict[int, str]:
    """Item -> its sound as the model heard it, as a data URI of 16-bit PCM."""
    most = int(inputs.seconds * inputs.rate)
    return {
        item: sound_uri(decode_sound(value["audio"], inputs.rate)[:most], inputs.rate)
        for item, value in read_items(pairs, ["audio"], items)
    }
