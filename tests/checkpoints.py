"""Tiny randomly initialised checkpoints of every family: config, weights, tokenizer, processor."""

import json
from pathlib import Path

import torch
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from mindgap.embed.encoders.load import initialise_convolutions

SENTENCES = [
    "a red circle on a white ground, moving to the left",
    "two large squares, one blue and one green",
    "the sound of a dog that barks in the rain",
    "A Child Plays With A Ball!",
    "handwritten digit number seven 0123456789",
    "children run over a green field in spring",
]
SIDE = 32
#: Family -> what it embeds.
FAMILIES = {
    "clip": ("image", "text"),
    "siglip": ("image", "text"),
    "siglip2": ("image", "text"),
    "align": ("image", "text"),
    "altclip": ("image", "text"),
    "chinese_clip": ("image", "text"),
    "clap": ("audio", "text"),
    "xclip": ("video", "text"),
    "flava": ("image", "text"),
    "resnet": ("image",),
    "vit": ("image",),
    "bert": ("text",),
}
TOWER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
EYE = {**TOWER, "image_size": SIDE, "patch_size": 8}


def _byte_pairs(special):
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        end_of_word_suffix="</w>" if "<|endoftext|>" in special else "",
    )
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.train_from_iterator([s.lower() for s in SENTENCES] * 3, trainer)
    model = json.loads(trained.to_str())["model"]
    return model["vocab"], [tuple(m) for m in model["merges"]]


def clip_tokenizer():
    vocab, merges = _byte_pairs(["<|startoftext|>", "<|endoftext|>"])
    # CLIP's end token is the largest id, as in OpenAI's vocabulary.
    end = max(vocab.values()) + 1
    vocab = {k: v for k, v in vocab.items() if k != "<|endoftext|>"} | {"<|endoftext|>": end}
    return tf.CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=20)


def roberta_tokenizer():
    vocab, merges = _byte_pairs(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    return tf.RobertaTokenizer(vocab=vocab, merges=merges, model_max_length=24)


def bert_tokenizer():
    words = sorted({w.strip(",!") for s in SENTENCES for w in s.lower().split()})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ",", "!", *words]
    return tf.BertTokenizer(vocab={w: i for i, w in enumerate(pieces)}, model_max_length=24)


def xlm_tokenizer():
    words = sorted({w for s in SENTENCES for w in s.split()} | set("abcdefghijklmnopqrstuvwxyz"))
    head = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    body = [("▁" + w, -3.0 - 0.01 * i) for i, w in enumerate(words)]
    letters = [(c, -9.0) for c in "▁abcdefghijklmnopqrstuvwxyz,!0123456789"]
    return tf.XLMRobertaTokenizer(
        vocab=[*head, *body, *letters, ("<mask>", 0.0)], model_max_length=24
    )


def siglip_tokenizer(folder):
    import sentencepiece

    (folder / "corpus.txt").write_text("\n".join(SENTENCES * 20).lower())
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "corpus.txt"),
        model_prefix=str(folder / "spiece"),
        vocab_size=64,
        pad_id=2,
        eos_id=1,
        unk_id=0,
        bos_id=-1,
        minloglevel=2,
    )
    (folder / "corpus.txt").unlink()
    return tf.SiglipTokenizer(vocab_file=str(folder / "spiece.model"), model_max_length=16)


def siglip2_tokenizer():
    letters = "▁abcdefghijklmnopqrstuvwxyz,!0123456789"
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *letters]
    return tf.Siglip2Tokenizer(vocab={w: i for i, w in enumerate(pieces)}, merges=[])


def _clip_processor(**more):
    sides = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    return tf.CLIPImageProcessorPil(**{**sides, **more})


def _square(name, **more):
    return getattr(tf, name)(size={"height": SIDE, "width": SIDE}, **more)


def make_checkpoint(family, folder, seed=0):
    """Save a tiny model of a family with its tokenizer and processor; return the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    words = {**TOWER, "max_position_embeddings": 24}
    match family:
        case "clip" | "xclip":
            tokenizer = clip_tokenizer()
            text = {
                **TOWER,
                "max_position_embeddings": 20,
                "vocab_size": tokenizer.eos_token_id + 1,
                "eos_token_id": tokenizer.eos_token_id,
                "bos_token_id": tokenizer.bos_token_id,
                "pad_token_id": tokenizer.pad_token_id,
            }
            if family == "clip":
                config = tf.CLIPConfig(text_config=text, vision_config=EYE, projection_dim=24)
                parts = [tf.CLIPModel(config), tokenizer, _clip_processor()]
            else:
                eye = {**EYE, "num_frames": 4, "mit_hidden_size": 24, "mit_intermediate_size": 32}
                eye |= {"mit_num_hidden_layers": 1, "mit_num_attention_heads": 4}
                config = tf.XCLIPConfig(
                    text_config=text,
                    vision_config=eye,
                    projection_dim=24,
                    prompt_num_attention_heads=4,
                )
                parts = [tf.XCLIPModel(config), tokenizer, _clip_processor()]
        case "siglip":
            tokenizer = siglip_tokenizer(folder)
            text = {**TOWER, "max_position_embeddings": 16, "vocab_size": len(tokenizer)}
            text["projection_size"] = 32
            config = tf.SiglipConfig(text_config=text, vision_config=EYE)
            parts = [tf.SiglipModel(config), tokenizer, _square("SiglipImageProcessorPil")]
        case "siglip2":
            tokenizer = siglip2_tokenizer()
            text = {**TOWER, "max_position_embeddings": 16, "vocab_size": len(tokenizer)}
            text["projection_size"] = 32
            eye = {**TOWER, "patch_size": 8, "num_patches": 16}
            config = tf.Siglip2Config(text_config=text, vision_config=eye)
            processor = tf.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)
            parts = [tf.Siglip2Model(config), tokenizer, processor]
        case "align":
            tokenizer = bert_tokenizer()
            text = {**words, "vocab_size": len(tokenizer)}
            eye = {
                "image_size": SIDE,
                "hidden_dim": 40,
                "width_coefficient": 0.1,
                "depth_coefficient": 0.2,
                "depth_divisor": 8,
            }
            config = tf.AlignConfig(text_config=text, vision_config=eye, projection_dim=32)
            processor = _square("EfficientNetImageProcessorPil", include_top=False)
            model = tf.AlignModel(config)
            initialise_convolutions(model.vision_model, torch.Generator().manual_seed(seed))
            for layer in model.vision_model.modules():  # vectors of a size that a test can compare
                if isinstance(layer, torch.nn.Conv2d):
                    layer.weight.data *= 1.4
            parts = [model, tokenizer, processor]
        case "altclip":
            tokenizer = xlm_tokenizer()
            text = {
                **TOWER,
                "max_position_embeddings": 26,
                "vocab_size": len(tokenizer),
                "project_dim": 32,
                "pad_token_id": 1,
            }
            config = tf.AltCLIPConfig(text_config=text, vision_config=EYE, projection_dim=24)
            parts = [tf.AltCLIPModel(config), tokenizer, _clip_processor()]
        case "chinese_clip":
            tokenizer = bert_tokenizer()
            text = {**words, "vocab_size": len(tokenizer)}
            config = tf.ChineseCLIPConfig(text_config=text, vision_config=EYE, projection_dim=24)
            processor = _square("ChineseCLIPImageProcessorPil", do_center_crop=False)
            parts = [tf.ChineseCLIPModel(config), tokenizer, processor]
        case "clap":
            tokenizer = roberta_tokenizer()
            text = {
                **TOWER,
                "max_position_embeddings": 26,
                "vocab_size": len(tokenizer),
                "pad_token_id": tokenizer.pad_token_id,
            }
            ear = {
                "spec_size": 64,
                "num_mel_bins": 16,
                "window_size": 4,
                "patch_embeds_hidden_size": 8,
                "hidden_size": 16,
                "depths": [1, 1],
                "num_attention_heads": [2, 2],
                "patch_size": 4,
                "patch_stride": [4, 4],
            }
            config = tf.ClapConfig(text_config=text, audio_config=ear, projection_dim=24)
            extractor = tf.ClapFeatureExtractor(
                feature_size=16,
                sampling_rate=16000,
                max_length_s=1,
                truncation="rand_trunc",
                hop_length=160,
            )
            parts = [tf.ClapModel(config), tokenizer, extractor]
        case "flava":
            tokenizer = bert_tokenizer()
            text = {**words, "vocab_size": len(tokenizer)}
            config = tf.FlavaConfig(
                text_config=text,
                image_config=EYE,
                multimodal_config={**TOWER},
                hidden_size=32,
                projection_dim=24,
            )
            processor = _square("FlavaImageProcessorPil", crop_size={"height": SIDE, "width": SIDE})
            parts = [tf.FlavaModel(config), tokenizer, processor]
        case "resnet":
            config = tf.ResNetConfig(
                embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"
            )
            processor = tf.ConvNextImageProcessorPil(size={"shortest_edge": SIDE})
            parts = [tf.ResNetModel(config), processor]
        case "vit":
            parts = [tf.ViTModel(tf.ViTConfig(**EYE)), _square("ViTImageProcessorPil")]
        case "bert":
            tokenizer = bert_tokenizer()
            parts = [tf.BertModel(tf.BertConfig(**words, vocab_size=len(tokenizer))), tokenizer]
        case _:
            raise ValueError(family)
    for part in parts:
        part.save_pretrained(folder)
    return folder
