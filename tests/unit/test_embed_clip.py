import io

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel

from mindgap.data.pairs import write_pairs
from mindgap.data.sets import build_pairs
from mindgap.embed import clip
from mindgap.embed.encode import embed_pairs
from mindgap.embed.encoders.base import vectors
from mindgap.embed.encoders.drawn import RandomClip
from mindgap.embed.extract import Work, choose_captions
from mindgap.gap.cosines import mean_cosine, unit_rows
from mindgap.gap.measures import modality_gap
from mindgap.runtime.errors import UserError
from tests.bounds import EPS, NETWORK

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def vit_b_32():
    return clip.random_clip("vit-b-32", 0)


def test_size_is_that_of_openai(vit_b_32):
    assert sum(p.numel() for p in vit_b_32.parameters()) == 151_277_313
    assert vit_b_32.config.text_config.hidden_act == "quick_gelu"
    assert not vit_b_32.training


def test_every_parameter_is_drawn_as_openai_draws_it(vit_b_32):
    """Standard deviations of every kind of parameter; a uniform in +-b has b / sqrt(3)."""
    uniform = 3**-0.5
    text, vision = 512, 768
    expected = {
        "text_model.embeddings.token_embedding.weight": 0.02,
        "text_model.embeddings.position_embedding.weight": 0.01,
        "text_model.encoder.layers.5.self_attn.q_proj.weight": text**-0.5,
        "text_model.encoder.layers.5.self_attn.out_proj.weight": text**-0.5 * 24**-0.5,
        "text_model.encoder.layers.5.mlp.fc1.weight": 1024**-0.5,
        "text_model.encoder.layers.5.mlp.fc2.weight": text**-0.5 * 24**-0.5,
        "text_model.encoder.layers.5.mlp.fc1.bias": uniform * text**-0.5,
        "text_model.encoder.layers.5.mlp.fc2.bias": uniform * 2048**-0.5,
        "text_projection.weight": text**-0.5,
        "vision_model.embeddings.class_embedding": vision**-0.5,
        "vision_model.embeddings.position_embedding.weight": vision**-0.5,
        "vision_model.embeddings.patch_embedding.weight": uniform * (3 * 32 * 32) ** -0.5,
        "vision_model.encoder.layers.5.self_attn.k_proj.weight": (2 / (4 * vision)) ** 0.5,
        "vision_model.encoder.layers.5.self_attn.out_proj.weight": uniform * vision**-0.5,
        "vision_model.encoder.layers.5.mlp.fc1.weight": uniform * vision**-0.5,
        "vision_model.encoder.layers.5.mlp.fc2.weight": uniform * 3072**-0.5,
        "visual_projection.weight": vision**-0.5,
    }
    parameters = dict(vit_b_32.named_parameters())
    for name, std in expected.items():
        tensor = parameters[name]
        assert tensor.std().item() == pytest.approx(std, rel=4 / np.sqrt(2 * tensor.numel())), name
    for name, tensor in parameters.items():
        assert torch.isfinite(tensor).all(), name
        if "self_attn" in name and name.endswith("bias"):
            assert not tensor.any(), name
        if "norm" in name:
            assert (tensor == (1 if name.endswith("weight") else 0)).all(), name
    assert parameters["logit_scale"].item() == pytest.approx(np.log(1 / 0.07))


def test_cones_and_gap_on_noise_lie_in_the_published_band(vit_b_32):
    """One seed of the digest's noise protocol; single seeds scatter around 0.933, 0.42, 1.15."""
    generator = torch.Generator().manual_seed(42)
    pixels = torch.randn(24, 3, 224, 224, generator=generator)
    tokens = torch.randint(0, 49408, (24, 77), generator=generator)
    with torch.inference_mode():
        image = vit_b_32.get_image_features(pixel_values=pixels)
        text = vit_b_32.get_text_features(input_ids=tokens)
    image, text = (unit_rows(vectors(v).numpy()) for v in (image, text))
    assert 0.92 < mean_cosine(image) < 0.95
    assert 0.35 < mean_cosine(text) < 0.50
    assert 1.10 < modality_gap(image, text) < 1.25


def test_seeds_repeat_and_differ():
    first, again, other = (clip.random_clip("tiny", seed) for seed in (3, 3, 4))
    for a, b, c in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        if a.numel() > 1 and a.std() > 0:
            assert not torch.equal(a, c)


def test_built_without_the_librarys_own_initialiser(monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("initialised twice")

    monkeypatch.setattr(CLIPModel, "_init_weights", forbidden)
    clip.random_clip("tiny", 0)


def test_tokens():
    tokens = clip.tokenise(["A red circle, 12!", "red"])
    assert tokens.shape == (2, 9)  # start, a, red, circle, comma, 1, 2, exclamation mark, end
    assert (tokens[:, 0] == clip.START).all()
    assert tokens[1, 1] == tokens[0, 2], "a word has one id everywhere"
    assert tokens[1, 2] == clip.END
    assert not tokens[1, 3:].any()
    long = clip.tokenise(["word " * 200])
    assert long.shape == (1, 77)
    assert long[0, -1] == clip.END


def test_shorter_padding_changes_nothing():
    encoder = RandomClip("tiny", 0)

    @torch.inference_mode()
    def embed(*texts):
        return encoder.encode("text", encoder.collate("text", list(texts))).numpy()

    alone = embed("a red circle")
    beside = embed("a red circle", "a very long caption " * 12)
    np.testing.assert_allclose(alone[0], beside[0], atol=NETWORK)
    full = np.zeros((1, 77), np.int64)
    tokens = clip.tokenise(["a red circle"])
    full[0, : tokens.shape[1]] = tokens
    with torch.inference_mode():
        padded = encoder.encode("text", {"input_ids": torch.from_numpy(full)}).numpy()
    np.testing.assert_allclose(alone, padded, atol=NETWORK)


@pytest.mark.parametrize("shape", [(224, 224), (64, 64), (300, 100), (8, 8), (1, 50)])
def test_preprocessing_has_one_shape(shape):
    out = clip.preprocess(Image.new("L", shape, 128), 224)
    assert out.shape == (3, 224, 224)
    expected = (128 / 255 - clip.MEAN) / clip.STD
    np.testing.assert_allclose(out[:, 100, 100], expected, rtol=1e-5)


def test_preprocessing_agrees_with_the_library():
    from transformers.models.clip import CLIPImageProcessorPil

    rng = np.random.default_rng(0)
    for side in [(240, 320), (500, 333), (64, 64)]:
        picture = Image.fromarray(rng.integers(0, 255, (*side, 3), dtype=np.uint8))
        processor = CLIPImageProcessorPil()
        theirs = np.asarray(processor(picture, return_tensors="np")["pixel_values"][0])
        ours = clip.preprocess(picture, 224)
        assert theirs.shape == ours.shape
        # Four roundings of numbers up to 2, over a standard deviation of 0.26.
        np.testing.assert_allclose(ours, theirs, atol=4 * 2 * EPS / 0.26)


def test_batch_size_and_caption_choice(tmp_path):
    pairs = tmp_path / "pairs.parquet"
    build_pairs(pairs, {"kind": "shapes", "items": 13, "size": 32, "frames": 2, "seed": 0})

    def embed(captions, size):
        return embed_pairs(RandomClip("tiny", 0), pairs, Work(captions, size), CPU)

    one, many = (embed("first", size) for size in (1, 64))
    for modality in ("image", "text"):
        np.testing.assert_allclose(one.rows[modality], many.rows[modality], atol=NETWORK)
        assert many.rows[modality].shape == (13, 64)
    every = embed("all", 5)
    assert every.rows["text"].shape == (26, 64)
    np.testing.assert_array_equal(every.items["text"], np.repeat(np.arange(13), 2))
    np.testing.assert_allclose(every.first("text"), many.rows["text"], atol=NETWORK)
    last = embed("last", 5)
    np.testing.assert_allclose(last.rows["text"], every.rows["text"][1::2], atol=NETWORK)


def test_captions():
    assert choose_captions(["a", "b"], "first") == ["a"]
    assert choose_captions(["a", "b"], "last") == ["b"]
    assert choose_captions(["a", "b"], "all") == ["a", "b"]


def test_an_item_without_a_caption_is_refused(tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (9, 9)).save(stream, "PNG")
    picture = stream.getvalue()
    write_pairs(
        tmp_path / "p.parquet", [{"id": ["a", "b"], "image": [picture] * 2, "text": [["x"], []]}]
    )
    with pytest.raises(UserError, match="no caption"):
        embed_pairs(RandomClip("tiny", 0), tmp_path / "p.parquet", Work("first", 2), CPU)
