"""Load an encoder from a checkpoint folder, or draw its weights from a seed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch

from mindgap.embed.checkpoint import check_parts
from mindgap.embed.clip import initialise
from mindgap.embed.encoders.base import LOCAL, Adapter, Encoder
from mindgap.embed.encoders.dual import Align, AltClip, ChineseClip, Clip, Flava, Siglip, Siglip2
from mindgap.embed.encoders.moving import Clap, Xclip
from mindgap.embed.encoders.towers import Bert, ResNet, Vit
from mindgap.runtime.errors import UserError

#: `model_type` of a checkpoint's config.json -> adapter. A new family is one line and one class.
ADAPTERS: dict[str, type[Adapter]] = {
    "clip": Clip,
    "siglip": Siglip,
    "siglip2": Siglip2,
    "align": Align,
    "altclip": AltClip,
    "chinese_clip": ChineseClip,
    "clap": Clap,
    "xclip": Xclip,
    "flava": Flava,
    "resnet": ResNet,
    "vit": Vit,
    "bert": Bert,
}


def load_encoder(
    folder: str | Path,
    weights: str = "trained",
    seed: int | None = None,
    modalities: tuple[str, ...] | None = None,
    expect: dict[str, Any] | None = None,
) -> Encoder:
    """Load the encoder of a checkpoint folder in float32 and eval mode, on the CPU.

    Parameters
    ----------
    folder
        What `save_pretrained` or a download leaves: config.json, weights, processor, tokenizer.
    weights
        `trained` reads the weights and refuses a checkpoint that lacks some that the features
        use; `random` needs none and draws them from `seed`: by the library's initialiser of the
        family, for CLIP by OpenAI's, for ALIGN's picture tower by EfficientNet's.
    modalities
        The modalities that the configuration declares; others are refused.
    expect
        Facts that must be as stated, for example `{activation_text: quick_gelu}`.
    """
    folder = Path(folder)
    kind = _model_type(folder)
    adapter = ADAPTERS[kind]
    if modalities is not None and tuple(modalities) != adapter.modalities:
        raise UserError(
            f"{folder} is a {kind} model and embeds {' and '.join(adapter.modalities)}; the "
            f"configuration says {' and '.join(modalities)}: set modalities: "
            f"[{', '.join(adapter.modalities)}]"
        )
    check_parts(folder, adapter.modalities, weights)
    model = _random(folder, seed) if weights == "random" else _trained(folder, adapter)
    try:
        encoder = adapter(model.eval().requires_grad_(False), folder)
    except UserError:
        raise
    except Exception as error:  # damaged files fail in as many ways as there are classes
        raise UserError(
            f"{folder}: its tokenizer or processor cannot be read ({_line(error)}); "
            "copy both again from where the model was published"
        ) from error
    encoder.facts["initialiser"] = (
        _INITIALISERS.get(kind, "the library's") if weights == "random" else None
    )
    for key, value in (expect or {}).items():
        if key not in encoder.facts or encoder.facts[key] != value:
            raise UserError(
                f"{folder}: {key} is {encoder.facts.get(key)!r}, not {value!r} as the "
                "configuration expects; this is another checkpoint, or a wrongly converted one"
            )
    return encoder


def _model_type(folder: Path) -> str:
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{folder} is not a checkpoint folder: it has no config.json with a model_type; give "
            "the folder that save_pretrained wrote, or one in the format of transformers"
        ) from error
    if kind not in ADAPTERS:
        raise UserError(
            f"{folder}: no encoder for the model type {kind!r} (known: {', '.join(ADAPTERS)})"
        )
    return kind


def _trained(folder: Path, adapter: type[Adapter]) -> torch.nn.Module:
    from transformers import AutoModel

    try:
        model, report = AutoModel.from_pretrained(
            folder,
            dtype=torch.float32,
            **LOCAL,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    except Exception as error:  # damaged weights fail in as many ways as there are formats
        pickled = isinstance(error, pickle.UnpicklingError) or "Weights only load" in str(error)
        why = "they are a pickle that could run code" if pickled else _line(error)
        raise UserError(
            f"{folder}: its weights cannot be read ({why}); save them as model.safetensors"
        ) from error
    shapes = {key: sizes for key, *sizes in report["mismatched_keys"]}
    lost = [*report["missing_keys"], *shapes]
    if needed := sorted(key for key in lost if not key.startswith(adapter.unused)):
        saved, wanted = shapes.get(needed[0], (None, None))
        other = f" (saved as {tuple(saved)}, config.json says {tuple(wanted)})" if saved else ""
        raise UserError(
            f"{folder}: {len(needed)} weights are missing or of another shape, the first is "
            f"{needed[0]}{other}; the library would draw them at random, so nothing is embedded"
        )
    if any(key.startswith("pooler.") for key in lost):
        model.pooler = None
    return model


def _random(folder: Path, seed: int | None) -> torch.nn.Module:
    from transformers import AutoConfig, AutoModel

    if seed is None:
        raise UserError(f"{folder}: random weights need a seed")
    config = AutoConfig.from_pretrained(folder, **LOCAL)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModel.from_config(config, dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    if config.model_type == "clip":
        initialise(model, generator)
    elif config.model_type == "align":
        initialise_convolutions(model.vision_model, generator)
    return model


@torch.no_grad()
def initialise_convolutions(model: torch.nn.Module, generator: torch.Generator) -> None:
    """Draw convolutions as EfficientNet's authors do: std sqrt(2 / fan_out), groups apart.

    With the library's fixed std of 0.02 the signal shrinks layer by layer, down to vectors of
    1e-30 that say nothing.
    """
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            fan_out = layer.weight[0, 0].numel() * layer.out_channels / layer.groups
            layer.weight.normal_(0.0, (2 / fan_out) ** 0.5, generator=generator)


_INITIALISERS = {"clip": "OpenAI's model definition", "align": "EfficientNet's for convolutions"}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
