"""Small random models of every family, for pictures of 32 pixels and texts of single characters.

What a published checkpoint decides beyond its sizes is in `mindgap.rehearsal.checkpoints`.
"""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import torch
import transformers as tf

SIDE = 32
TOWER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
EYE = {**TOWER, "image_size": SIDE, "patch_size": 8}
_MARKS = "!\"#$%&'()*+,-./:;<=>?@[]_"
_LETTERS = string.ascii_lowercase + string.digits + _MARKS

Parts = list[Any]


def clip_tokenizer(context: int) -> Any:
    """Byte pairs without merges; the end of a text is the largest id, as in OpenAI's vocabulary."""
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: i for i, word in enumerate(words)}
    return tf.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=context)


def roberta_tokenizer(context: int) -> Any:
    """Byte pairs without merges, between RoBERTa's tokens."""
    from tokenizers.pre_tokenizers import ByteLevel

    words = ["<s>", "<pad>", "</s>", "<unk>", *sorted(ByteLevel.alphabet()), "<mask>"]
    vocabulary = {word: i for i, word in enumerate(words)}
    return tf.RobertaTokenizer(vocab=vocabulary, merges=[], model_max_length=context)


def bert_words() -> list[str]:
    """Pieces of a vocab.txt that spell any word of ASCII letters."""
    heads = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return [*heads, *_LETTERS, *(f"##{c}" for c in _LETTERS)]


def bert_tokenizer(context: int) -> Any:
    """Word pieces that are single letters."""
    vocabulary = {word: i for i, word in enumerate(bert_words())}
    return tf.BertTokenizer(vocab=vocabulary, model_max_length=context)


def xlm_tokenizer(context: int) -> Any:
    """Sentence pieces that are single letters, of both cases."""
    letters = [(c, -9.0) for c in dict.fromkeys("▁" + _LETTERS + string.ascii_uppercase)]
    head = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces = [*head, *letters, ("<mask>", 0.0)]
    return tf.XLMRobertaTokenizer(vocab=pieces, model_max_length=context)


def siglip_tokenizer(folder: Path, context: int) -> Any:
    """A sentencepiece model of single characters, as a file `spiece.model`."""
    import sentencepiece

    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(" ".join(_LETTERS[i:]) for i in range(len(_LETTERS))) * 3)
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(folder / "spiece"),
        model_type="char",
        vocab_size=len(_LETTERS) + 4,
        hard_vocab_limit=False,
        pad_id=2,
        eos_id=1,
        unk_id=0,
        bos_id=-1,
        minloglevel=2,
    )
    corpus.unlink()
    (folder / "spiece.vocab").unlink(missing_ok=True)
    return tf.SiglipTokenizer(vocab_file=str(folder / "spiece.model"), model_max_length=context)


def gemma_tokenizer(kind: str) -> Any:
    """Gemma's tokenizer with single characters, under the name of SigLIP 2's or its own.

    As published with SigLIP 2, it pads on the right, ends a text and gives no attention mask.
    """
    letters = "▁" + _LETTERS + string.ascii_uppercase
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *dict.fromkeys(letters)]
    return getattr(tf, kind)(
        vocab={w: i for i, w in enumerate(pieces)},
        merges=[],
        padding_side="right",
        add_bos_token=False,
        add_eos_token=True,
        model_input_names=["input_ids"],
    )


def _words(tokenizer: Any, positions: int, act: str | None = None) -> dict[str, Any]:
    text = {**TOWER, "max_position_embeddings": positions, "vocab_size": len(tokenizer)}
    return text if act is None else {**text, "hidden_act": act}


def _square(name: str, **more: Any) -> Any:
    return getattr(tf, name)(size={"height": SIDE, "width": SIDE}, **more)


def _crop(name: str = "CLIPImageProcessorPil", **more: Any) -> Any:
    sides = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    return getattr(tf, name)(**{**sides, **more})


def clip(folder: Path, act: str, context: int) -> Parts:
    """CLIP; the id 2 for the end of a text, as published, means that the largest id is pooled."""
    tokenizer = clip_tokenizer(context)
    old = {"eos_token_id": 2, "bos_token_id": 0, "pad_token_id": 1}
    text = {**_words(tokenizer, context, act), **old}
    eye = {**EYE, "hidden_act": act}
    config = tf.CLIPConfig(text_config=text, vision_config=eye, projection_dim=24)
    return [tf.CLIPModel(config), tokenizer, _crop()]


def xclip(folder: Path, act: str, context: int) -> Parts:
    """X-CLIP with eight frames."""
    tokenizer = clip_tokenizer(context)
    old = {"eos_token_id": 2, "bos_token_id": 0, "pad_token_id": 1}
    text = {**_words(tokenizer, context, act), **old}
    eye = {**EYE, "hidden_act": act, "num_frames": 8, "mit_hidden_size": 24}
    eye |= {"mit_intermediate_size": 32, "mit_num_hidden_layers": 1, "mit_num_attention_heads": 4}
    heads = {"projection_dim": 24, "prompt_num_attention_heads": 4}
    config = tf.XCLIPConfig(text_config=text, vision_config=eye, **heads)
    return [tf.XCLIPModel(config), tokenizer, _crop("VideoMAEImageProcessorPil")]


def siglip(folder: Path, act: str, context: int) -> Parts:
    """SigLIP with its own tokenizer."""
    tokenizer = siglip_tokenizer(folder, context)
    return [_siglip(tokenizer, act, context), tokenizer, _square("SiglipImageProcessorPil")]


def siglip2_fixed(folder: Path, act: str, context: int) -> Parts:
    """SigLIP 2 at fixed resolution: SigLIP's architecture, Gemma's tokenizer."""
    tokenizer = gemma_tokenizer("GemmaTokenizer")
    return [_siglip(tokenizer, act, context), tokenizer, _square("SiglipImageProcessorPil")]


def _siglip(tokenizer: Any, act: str, context: int) -> Any:
    text = {**_words(tokenizer, context, act), "projection_size": 32}
    config = tf.SiglipConfig(text_config=text, vision_config={**EYE, "hidden_act": act})
    return tf.SiglipModel(config)


def siglip2(folder: Path, act: str, context: int) -> Parts:
    """SigLIP 2 with native aspect ratios."""
    tokenizer = gemma_tokenizer("Siglip2Tokenizer")
    text = {**_words(tokenizer, context, act), "projection_size": 32}
    eye = {**TOWER, "patch_size": 8, "num_patches": 16}
    config = tf.Siglip2Config(text_config=text, vision_config=eye)
    processor = tf.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)
    return [tf.Siglip2Model(config), tokenizer, processor]


def align(folder: Path, act: str, context: int) -> Parts:
    """ALIGN: an EfficientNet whose pictures are scaled, cropped and shifted by minus one."""
    from mindgap.embed.encoders.load import initialise_convolutions

    tokenizer = bert_tokenizer(context)
    eye = {
        "image_size": SIDE,
        "hidden_dim": 40,
        "width_coefficient": 0.1,
        "depth_coefficient": 0.2,
        "depth_divisor": 8,
        "depthwise_padding": [],
    }
    text = _words(tokenizer, 512, act)
    config = tf.AlignConfig(text_config=text, vision_config=eye, projection_dim=32)
    model = tf.AlignModel(config)
    initialise_convolutions(model.vision_model, torch.Generator().manual_seed(0))
    processor = tf.EfficientNetImageProcessorPil(
        size={"height": 38, "width": 38},
        do_center_crop=True,
        crop_size={"height": SIDE, "width": SIDE},
        rescale_factor=1 / 127.5,
        rescale_offset=True,
        do_normalize=False,
        include_top=False,
        resample=2,
    )
    return [model, tokenizer, processor]


def altclip(folder: Path, act: str, context: int) -> Parts:
    """AltCLIP: XLM-R counts positions from its padding on."""
    tokenizer = xlm_tokenizer(context)
    text = {**_words(tokenizer, 514), "project_dim": 32, "pad_token_id": 1}
    eye = {**EYE, "hidden_act": act}
    config = tf.AltCLIPConfig(text_config=text, vision_config=eye, projection_dim=24)
    return [tf.AltCLIPModel(config), tokenizer, _crop()]


def chinese_clip(folder: Path, act: str, context: int) -> Parts:
    """Chinese-CLIP: a Chinese BERT beside CLIP's pictures, which are not cropped."""
    tokenizer = bert_tokenizer(context)
    eye = {**EYE, "hidden_act": act}
    text = _words(tokenizer, 512)
    config = tf.ChineseCLIPConfig(text_config=text, vision_config=eye, projection_dim=24)
    processor = _square("ChineseCLIPImageProcessorPil", do_center_crop=False)
    return [tf.ChineseCLIPModel(config), tokenizer, processor]


def flava(folder: Path, act: str, context: int) -> Parts:
    """FLAVA with its three towers."""
    tokenizer = bert_tokenizer(context)
    config = tf.FlavaConfig(
        text_config=_words(tokenizer, 512),
        image_config=EYE,
        multimodal_config={**TOWER},
        hidden_size=32,
        projection_dim=24,
    )
    crop = {"height": SIDE, "width": SIDE}
    processor = _square("FlavaImageProcessorPil", crop_size=crop)
    return [tf.FlavaModel(config), tokenizer, processor]


def clap(folder: Path, act: str, context: int) -> Parts:
    """CLAP with the published spectrogram: ten seconds at 48 kHz, a short sound repeated."""
    tokenizer = roberta_tokenizer(context)
    text = {**_words(tokenizer, 514), "pad_token_id": tokenizer.pad_token_id}
    ear = {
        "spec_size": 256,
        "num_mel_bins": 64,
        "patch_embeds_hidden_size": 8,
        "hidden_size": 16,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
    }
    config = tf.ClapConfig(text_config=text, audio_config=ear, projection_dim=24)
    extractor = tf.ClapFeatureExtractor(
        feature_size=64,
        sampling_rate=48000,
        max_length_s=10,
        truncation="rand_trunc",
        padding="repeatpad",
    )
    return [tf.ClapModel(config), tokenizer, extractor]


def resnet(folder: Path, act: str, context: int) -> Parts:
    """ResNet as a classifier, whose head no encoder reads."""
    config = tf.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3
    )
    processor = tf.ConvNextImageProcessorPil(size={"shortest_edge": SIDE}, crop_pct=0.875)
    return [tf.ResNetForImageClassification(config), processor]


def vit(folder: Path, act: str, context: int) -> Parts:
    """Vision transformer with its pooler."""
    return [tf.ViTModel(tf.ViTConfig(**EYE)), _square("ViTImageProcessorPil")]


def bert(folder: Path, act: str, context: int) -> Parts:
    """BERT as it was pretrained, with the heads that no encoder reads."""
    tokenizer = bert_tokenizer(context)
    return [tf.BertForPreTraining(tf.BertConfig(**_words(tokenizer, context))), tokenizer]
