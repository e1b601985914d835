"""CLIP architectures with OpenAI's own random initialiser, without any download.

Architecture: Radford et al., ICML 2021, as implemented by `transformers`. The initialiser is the
one of OpenAI's released model definition, which differs from the library's: the text blocks get
scaled normals, while the vision blocks and the patch convolution keep PyTorch's layer defaults.
"""

from __future__ import annotations

import math
import re
import zlib

import numpy as np
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPModel

MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
START, END = 49406, 49407
_WORD = re.compile(r"[a-z]+|\d|[^\sa-z\d]")

#: What differs from ViT-B/32.
ARCHITECTURES: dict[str, dict[str, dict[str, int]]] = {
    "vit-b-32": {},
    "vit-b-16": {"vision_config": {"patch_size": 16}},
    "tiny": {
        "vision_config": {
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 32,
            "patch_size": 8,
        },
        "text_config": {
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
        },
    },
}


def random_clip(architecture: str, seed: int) -> CLIPModel:
    """Build a CLIP model with OpenAI's random initialiser, in eval mode on the CPU.

    The modules are made without storage, so that each parameter is drawn once. Everything comes
    from one generator seeded with `seed`.
    """
    sizes = ARCHITECTURES[architecture]
    # With eos_token_id 2 the text tower pools at the largest token id, as OpenAI's code does.
    text = {**sizes.get("text_config", {}), "eos_token_id": 2}
    vision = sizes.get("vision_config", {})
    dimension = 64 if architecture == "tiny" else 512
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=dimension)
    with torch.device("meta"):
        model = CLIPModel(config)
    model.to_empty(device="cpu")
    for part in (model.text_model, model.vision_model):
        ids = part.embeddings.position_ids
        ids.copy_(torch.arange(ids.shape[1])[None])
    initialise(model, torch.Generator().manual_seed(seed))
    return model.eval()


@torch.no_grad()
def initialise(model: CLIPModel, generator: torch.Generator) -> None:
    """Draw every parameter of a CLIP model as OpenAI's model definition does.

    Text tower of width w and L layers: token embedding N(0, 0.02^2), positions N(0, 0.01^2),
    attention in-projection std w^-1/2, attention and MLP out-projections std w^-1/2 (2L)^-1/2, MLP
    in-projection std (2w)^-1/2, text projection std w^-1/2. Vision tower of width w: class token,
    positions and projection std w^-1/2; its blocks and the patch convolution at PyTorch's
    defaults: attention in-projection Xavier-uniform over the joint (3w, w) matrix, linear and
    convolution weights uniform in +-fan_in^-1/2. Attention biases 0, MLP biases uniform in
    +-fan_in^-1/2 in both towers, layer norms 1 and 0, logit scale ln(1/0.07).
    """

    def normal(tensor: torch.Tensor, std: float) -> None:
        tensor.normal_(0.0, std, generator=generator)

    def uniform(tensor: torch.Tensor, bound: float) -> None:
        tensor.uniform_(-bound, bound, generator=generator)

    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.weight.fill_(1.0)
            module.bias.zero_()
    text, vision = model.text_model, model.vision_model
    width = text.embeddings.token_embedding.weight.shape[1]
    normal(text.embeddings.token_embedding.weight, 0.02)
    normal(text.embeddings.position_embedding.weight, 0.01)
    deep = width**-0.5 * (2 * len(text.encoder.layers)) ** -0.5
    for block in text.encoder.layers:
        for name in ("q_proj", "k_proj", "v_proj"):
            normal(getattr(block.self_attn, name).weight, width**-0.5)
        normal(block.self_attn.out_proj.weight, deep)
        normal(block.mlp.fc1.weight, (2 * width) ** -0.5)
        normal(block.mlp.fc2.weight, deep)
    normal(model.text_projection.weight, width**-0.5)

    width = vision.embeddings.class_embedding.shape[0]
    normal(vision.embeddings.class_embedding, width**-0.5)
    normal(vision.embeddings.position_embedding.weight, width**-0.5)
    patch = vision.embeddings.patch_embedding.weight
    uniform(patch, patch[0].numel() ** -0.5)
    for block in vision.encoder.layers:
        for name in ("q_proj", "k_proj", "v_proj"):
            uniform(getattr(block.self_attn, name).weight, math.sqrt(6 / (4 * width)))
        for layer in (block.self_attn.out_proj, block.mlp.fc1, block.mlp.fc2):
            uniform(layer.weight, layer.in_features**-0.5)
    normal(model.visual_projection.weight, width**-0.5)

    for block in [*text.encoder.layers, *vision.encoder.layers]:
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            getattr(block.self_attn, name).bias.zero_()
        for layer in (block.mlp.fc1, block.mlp.fc2):
            uniform(layer.bias, layer.in_features**-0.5)
    model.logit_scale.fill_(math.log(1 / 0.07))


def preprocess(picture: Image.Image, size: int) -> np.ndarray:
    """CLIP's own preprocessing: float32 of shape (3, size, size).

    RGB, shortest side to `size` (bicubic), centre crop, scaled to [0, 1], standardised with CLIP's
    mean and standard deviation.
    """
    picture = picture.convert("RGB")
    scale = size / min(picture.size)
    # Truncated sides and a rounded offset, as the transforms that OpenAI's code is built from.
    width, height = (
        size if side == min(picture.size) else int(side * scale) for side in picture.size
    )
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - size) / 2), round((height - size) / 2)
    picture = picture.crop((left, top, left + size, top + size))
    return ((np.asarray(picture, np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)


def tokenise(texts: list[str], context: int = 77) -> np.ndarray:
    """Map words to token ids: int64 of shape (n, longest text), between START and END.

    A random token embedding knows nothing of its vocabulary: any injective map of words to rows
    has the same distribution, so the id is a checksum of the word and no vocabulary is needed. Not
    for trained weights. Texts are cut to `context` tokens; after END follow zeros, which a causal
    tower that pools at END never reads.
    """
    rows = []
    for text in texts:
        ids = [zlib.crc32(word.encode()) % START for word in _WORD.findall(text.lower())]
        rows.append([START, *ids[: context - 2], END])
    tokens = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for row, ids in zip(tokens, rows, strict=True):
        row[: len(ids)] = ids
    return tokens
