"""Stand-ins for checkpoints: a small random model in the files and with the switches of the real.

What a published repository says is from memory where nothing of it was at hand: older names of
image processors, sides that are one number, a tokenizer as `vocab.txt` alone, pickled weights,
names of weights that have changed since, heads and buffers that no encoder reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindgap.runtime.errors import UserError

_CLIP = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 32}


@dataclass(frozen=True)
class Published:
    """What a published checkpoint decides beyond its sizes.

    Attributes
    ----------
    family
        Function of `mindgap.rehearsal.families`.
    act
        Activation of its transformers, where the configuration says so.
    context
        Tokens of a text at most.
    pickled
        Whether it offers `pytorch_model.bin` and no safetensors.
    processor
        Keys of preprocessor_config.json in the form in which they were published.
    words
        Whether the tokenizer comes as vocab.txt alone.
    """

    family: str
    act: str = "gelu"
    context: int = 77
    pickled: bool = False
    processor: dict[str, Any] = field(default_factory=dict)
    words: bool = False


_OPENAI = Published("clip", "quick_gelu", pickled=True, processor=_CLIP)
#: Name on the hub -> what it is.
CHECKPOINTS: dict[str, Published] = {
    "openai/clip-vit-base-patch32": _OPENAI,
    "openai/clip-vit-base-patch16": _OPENAI,
    "openai/clip-vit-large-patch14": Published("clip", "quick_gelu", processor=_CLIP),
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": Published("clip"),
    "laion/CLIP-ViT-B-16-laion2B-s34B-b88K": Published("clip"),
    "google/siglip-base-patch16-224": Published("siglip", "gelu_pytorch_tanh", 64),
    "google/siglip2-base-patch16-256": Published("siglip2_fixed", "gelu_pytorch_tanh", 64),
    "google/siglip2-large-patch16-256": Published("siglip2_fixed", "gelu_pytorch_tanh", 64),
    "kakaobrain/align-base": Published("align", context=64, pickled=True),
    "BAAI/AltCLIP": Published("altclip", "quick_gelu", pickled=True, processor=_CLIP),
    "OFA-Sys/chinese-clip-vit-base-patch16": Published(
        "chinese_clip",
        "quick_gelu",
        512,
        pickled=True,
        processor={"feature_extractor_type": "ChineseCLIPFeatureExtractor"},
        words=True,
    ),
    "facebook/flava-full": Published(
        "flava",
        context=512,
        pickled=True,
        processor={"feature_extractor_type": "FlavaFeatureExtractor", "size": 32, "crop_size": 32},
        words=True,
    ),
    "laion/clap-htsat-unfused": Published("clap", context=512),
    "microsoft/xclip-base-patch32": Published(
        "xclip",
        "quick_gelu",
        pickled=True,
        processor={"feature_extractor_type": "VideoMAEFeatureExtractor"},
    ),
    "microsoft/resnet-18": Published(
        "resnet", processor={"feature_extractor_type": "ConvNextFeatureExtractor", "size": 32}
    ),
    "google/vit-base-patch16-224-in21k": Published(
        "vit", processor={"feature_extractor_type": "ViTFeatureExtractor", "size": 32}
    ),
    "google-bert/bert-base-uncased": Published("bert", context=512),
}
#: Modalities of a checkpoint that is not in the list -> the family that stands in for it.
_LIKELY = {
    ("image", "text"): Published("clip"),
    ("audio", "text"): Published("clap", context=512),
    ("video", "text"): Published("xclip", "quick_gelu"),
    ("image",): Published("vit"),
    ("text",): Published("bert", context=512),
}


def find_published(options: dict[str, Any]) -> tuple[Published, bool]:
    """What stands in for a model's checkpoint, and whether that is known rather than guessed."""
    name, expect = options["checkpoint"], options.get("expect") or {}
    if name in CHECKPOINTS:
        return CHECKPOINTS[name], True
    modalities = tuple(options.get("modalities") or ("image", "text"))
    if modalities not in _LIKELY:
        raise UserError(
            f"{name}: no stand-in embeds {' and '.join(modalities)}; add the checkpoint to "
            "mindgap.rehearsal.checkpoints"
        )
    likely = _LIKELY[modalities]
    if "siglip" in name.lower():
        likely = Published("siglip", "gelu_pytorch_tanh", 64)
    act = expect.get("activation_text") or expect.get("activation_image") or likely.act
    context = expect.get("max_length") or likely.context
    return Published(likely.family, act, context), False


def make_checkpoint(published: Published, folder: Path, seed: int = 0) -> None:
    """Write a small random model with tokenizer and processor in the form of a published one."""
    import torch
    from transformers.utils import logging

    from mindgap.rehearsal import families

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        make: Callable[..., list[Any]] = getattr(families, published.family)
        model, *others = make(folder, published.act, published.context)
    for part in (model, *others):
        part.save_pretrained(folder)
    _as_processor(folder, published.processor)
    if published.words:
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.txt").write_text("\n".join(families.bert_words()) + "\n")
        _rewrite(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    _as_weights(folder, published)


def _rewrite(path: Path, keys: dict[str, Any], drop: tuple[str, ...] = ()) -> None:
    said = json.loads(path.read_text(encoding="utf-8"))
    kept = {k: v for k, v in said.items() if k not in drop}
    path.write_text(json.dumps({**kept, **keys}, indent=2, sort_keys=True), encoding="utf-8")


def _as_processor(folder: Path, keys: dict[str, Any]) -> None:
    """Give an image processor the name and the sides that it was published with."""
    path = folder / "preprocessor_config.json"
    if keys:
        _rewrite(path, keys, ("image_processor_type", "processor_class"))
    elif path.exists():
        # The library writes which of its backends saved it; a published file cannot know.
        said = json.loads(path.read_text(encoding="utf-8"))
        if name := said.get("image_processor_type"):
            _rewrite(path, {"image_processor_type": name.removesuffix("Pil")})


def _as_weights(folder: Path, published: Published) -> None:
    """Weights under the names and in the file in which they were published."""
    import torch
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    if published.family == "bert":
        old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        for new, was in old.items():
            weights = {name.replace(new, was): value for name, value in weights.items()}
    if published.family in ("clip", "xclip", "altclip", "chinese_clip"):
        for name in [n for n in weights if n.endswith("position_embedding.weight")]:
            ids = torch.arange(len(weights[name]))[None]
            weights[name.replace("position_embedding.weight", "position_ids")] = ids
    path.unlink()
    if published.pickled:
        torch.save(weights, folder / "pytorch_model.bin")
    else:
        save_file(weights, path, {"format": "pt"})
