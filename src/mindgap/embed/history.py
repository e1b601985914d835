"""What the header of an embeddings file says, and the key by which a restart knows its parts."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path
from typing import Any

import torch
import transformers

from mindgap import __version__
from mindgap.embed.checkpoint import check_checkpoint, describe_folder
from mindgap.embed.encoders.base import Encoder
from mindgap.embed.run import choose_precision
from mindgap.runtime.files import sha256


def find_checkpoint(
    options: dict[str, Any], manifest: str | Path | None
) -> tuple[Path | None, dict[str, Any]]:
    """Folder of a model's checkpoint, and its files as verified or found; nothing for `clip`."""
    if manifest:
        return Path(manifest).parent, check_checkpoint(manifest)
    if "folder" in options:
        return Path(options["folder"]), {"files": describe_folder(options["folder"])}
    return None, {}


def history(
    encoder: Encoder,
    *,
    model: str,
    dataset: str,
    pairs: str | Path,
    rows: tuple[int, int],
    options: dict[str, Any],
    checkpoint: dict[str, Any],
    device: torch.device,
    precision: str,
) -> dict[str, Any]:
    """Header of the embeddings of some rows of a pairs file by one encoder."""
    return {
        "model": model,
        "dataset": dataset,
        "dataset_sha256": sha256(pairs),
        "rows": list(rows),
        "modalities": list(encoder.modalities),
        "options": dict(options),
        "encoder": encoder.facts,
        "checkpoint": checkpoint,
        "device": str(device),
        "precision": choose_precision(precision, device),
        "versions": {
            "mindgap": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }


def digest(*settled: Any) -> str:
    """Hexadecimal SHA-256 of anything that JSON can say."""
    return hashlib.sha256(json.dumps(settled, sort_keys=True).encode()).hexdigest()
