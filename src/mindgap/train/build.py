"""A small untrained CLIP: its vocabulary, its sizes, its first weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from mindgap.config.train import SmallClip
from mindgap.embed.clip import MEAN, STD, initialise
from mindgap.train.words import WORD, count_words

PAD, START, END, UNKNOWN = "<pad>", "<start>", "<end>", "<unknown>"


def build_tokenizer(words: list[str], context: int) -> Any:
    """Tokenizer of whole words, lower-cased, between START and END."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: i for i, token in enumerate([PAD, UNKNOWN, START, END, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(WORD.pattern), behavior="removed", invert=True
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        special_tokens=[(START, vocabulary[START]), (END, vocabulary[END])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        unk_token=UNKNOWN,
        model_max_length=context,
    )


def write_small_clip(folder: str | Path, texts: Iterable[str], seed: int, sizes: SmallClip) -> None:
    """Write an untrained CLIP, with a tokenizer of the words of `texts`, as a checkpoint folder."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    tokenizer = build_tokenizer(count_words(texts, sizes.words), sizes.context)
    tower = {
        "hidden_size": sizes.width,
        "intermediate_size": 4 * sizes.width,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
    }
    text = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": sizes.context,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        # Not 2: the library takes that id for OpenAI's old checkpoints and pools at the largest id.
        "eos_token_id": tokenizer.eos_token_id,
    }
    vision = {"image_size": sizes.image_size, "patch_size": sizes.patch_size}
    config = CLIPConfig(
        text_config=tower | text, vision_config=tower | vision, projection_dim=sizes.dimension
    )
    model = CLIPModel(config)
    initialise(model, torch.Generator().manual_seed(seed))
    side = sizes.image_size
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=MEAN.tolist(),
        image_std=STD.tolist(),
    )
    for part in (model, tokenizer, processor):
        part.save_pretrained(folder)
