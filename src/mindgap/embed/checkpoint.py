"""Checkpoint folders: which files they need, what is recorded of them, and the check before use."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mindgap.runtime.errors import UserError
from mindgap.runtime.files import sha256

MANIFEST = "manifest.json"
_CONFIGS = (".json", ".txt", ".model", ".jinja")
_WEIGHTS = (".safetensors", ".bin")


def choose_files(names: list[str]) -> list[str]:
    """Files of a repository that are needed: configurations, tokenizer, one set of weights.

    Weights as safetensors where there are any, so that nothing pickled is read; other frameworks'
    weights and files in folders are left out.
    """
    top = [name for name in names if "/" not in name]
    weights = [n for n in top if n.startswith(("model", "pytorch_model")) and n.endswith(_WEIGHTS)]
    safe = [name for name in weights if name.endswith(".safetensors")]
    return sorted([n for n in top if n.endswith(_CONFIGS) and n != MANIFEST] + (safe or weights))


def check_parts(folder: str | Path, modalities: Iterable[str], weights: str = "trained") -> None:
    """Refuse a checkpoint folder that lacks a part, all that it lacks in one sentence.

    The library would invent some parts: without its files a tokenizer knows no word, and all texts
    become one vector.
    """
    names = [path.name for path in Path(folder).iterdir()]
    modalities, lacking = set(modalities), []
    words = {"tokenizer.json", "vocab.json", "vocab.txt"}
    if "text" in modalities and not any(n in words or n.endswith(".model") for n in names):
        lacking.append("the files of its tokenizer (such as tokenizer.json)")
    if modalities - {"text"} and not {"preprocessor_config.json", "processor_config.json"} & {
        *names
    }:
        lacking.append("the settings of its processor (preprocessor_config.json)")
    if weights == "trained" and not any(n.endswith(_WEIGHTS) for n in choose_files(names)):
        lacking.append("weights (model.safetensors)")
    if lacking:
        raise UserError(
            f"{folder} lacks {' and '.join(lacking)}; copy them from where the model was published"
        )


def describe_folder(folder: str | Path) -> dict[str, dict[str, Any]]:
    """Size and checksum of every file of a folder that belongs to its checkpoint."""
    names = choose_files([path.name for path in Path(folder).iterdir() if path.is_file()])
    return {
        name: {
            "bytes": (Path(folder) / name).stat().st_size,
            "sha256": sha256(Path(folder) / name),
        }
        for name in names
    }


def check_checkpoint(manifest: str | Path) -> dict[str, Any]:
    """Verify every file of a fetched checkpoint and return the manifest."""
    manifest = Path(manifest)
    said = json.loads(manifest.read_text(encoding="utf-8"))
    for name, expected in said["files"].items():
        path = manifest.parent / name
        if not path.exists():
            raise UserError(f"{path} is missing; delete {manifest} and run again")
        if (found := sha256(path)) != expected["sha256"]:
            raise UserError(
                f"{path} is not the file of {manifest} any more: expected sha256 "
                f"{expected['sha256']}, got {found}; delete {manifest} and run again"
            )
    return said
