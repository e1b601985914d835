"""Every family: our embeddings are those of the model's own feature functions."""

import io
import wave

import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image

from mindgap.data.pairs import write_pairs
from mindgap.embed.encode import embed_pairs
from mindgap.embed.encoders.load import load_encoder
from mindgap.embed.extract import Work
from mindgap.rehearsal.checkpoints import CHECKPOINTS
from mindgap.rehearsal.checkpoints import make_checkpoint as make_checkpoint_as_published
from tests.bounds import NETWORK
from tests.checkpoints import FAMILIES, SENTENCES, make_checkpoint

CPU = torch.device("cpu")
ITEMS = 66
RATE = 16_000


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    made = {}

    def get(family):
        if family not in made:
            made[family] = make_checkpoint(family, tmp_path_factory.mktemp(family))
        return made[family]

    return get


def encoded(picture, **more):
    stream = io.BytesIO()
    picture.save(stream, "PNG", **more)
    return stream.getvalue()


def sound(rng):
    samples = (rng.standard_normal(int(rng.integers(RATE // 4, RATE))) * 3000).astype("<i2")
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return stream.getvalue(), samples.astype(np.float32) / 2**15


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Pairs with a picture, a clip, a sound and a caption each, raw and as a pairs file."""
    rng = np.random.default_rng(0)

    def picture(*shape):
        return Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))

    raw = {"image": [], "video": [], "audio": [], "text": []}
    batch = {"id": [], "image": [], "video": [], "audio": [], "text": []}
    for i in range(ITEMS):
        image = picture(int(rng.integers(20, 90)), int(rng.integers(20, 90)))
        frames = [picture(40, 48) for _ in range(7)]
        wav, samples = sound(rng)
        caption = " ".join(SENTENCES[i % 6].split()[: 1 + i % 9]) + f" {i % 10}"
        raw["image"].append(image)
        raw["video"].append([frames[k] for k in (0, 2, 4, 6)])  # 4 of 7, evenly spaced
        raw["audio"].append(samples)
        raw["text"].append(caption)
        batch["id"].append(str(i))
        batch["image"].append(encoded(image))
        batch["video"].append(encoded(frames[0], save_all=True, append_images=frames[1:]))
        batch["audio"].append(wav)
        batch["text"].append([caption])
    path = tmp_path_factory.mktemp("world") / "pairs.parquet"
    write_pairs(path, [batch])
    return path, raw


@torch.inference_mode()
def direct(family, folder, raw):
    """The model called as its documentation says, one item at a time."""
    model = tf.AutoModel.from_pretrained(folder).eval()
    out = {}
    if "text" in FAMILIES[family]:
        tokenizer = tf.AutoTokenizer.from_pretrained(folder)
    if {"image", "video"} & set(FAMILIES[family]):
        processor = tf.AutoImageProcessor.from_pretrained(folder)
    for modality in FAMILIES[family]:
        rows = []
        for item in raw[modality]:
            if modality == "text":
                long = {"padding": "max_length", "max_length": 16} if "siglip" in family else {}
                given = tokenizer([item], return_tensors="pt", truncation=True, **long)
                if "siglip" in family:
                    given = {"input_ids": given["input_ids"]}
                if family == "bert":
                    rows.append(model(**given).pooler_output)
                    continue
                if family in ("clip", "altclip", "clap", "xclip"):
                    given = {k: v for k, v in given.items() if k != "token_type_ids"}
                found = model.get_text_features(**given).pooler_output
            elif modality == "audio":
                extractor = tf.AutoFeatureExtractor.from_pretrained(folder)
                given = extractor(item, sampling_rate=RATE, return_tensors="pt")
                found = model.get_audio_features(given["input_features"].float()).pooler_output
            else:
                given = processor(images=item, return_tensors="pt")
                if family in ("resnet", "vit"):
                    rows.append(model(**given).pooler_output.flatten(1))
                    continue
                if modality == "video":
                    found = model.get_video_features(given["pixel_values"][None]).pooler_output
                else:
                    found = model.get_image_features(**given).pooler_output
            rows.append(found[:, 0] if family == "flava" else found)
        out[modality] = torch.cat(rows).numpy()
    return out


@pytest.mark.parametrize("family", FAMILIES)
def test_embeddings_are_those_of_the_models_own_feature_functions(family, checkpoints, world):
    pairs, raw = world
    folder = checkpoints(family)
    expected = direct(family, folder, raw)
    encoder = load_encoder(folder, modalities=FAMILIES[family])
    works = [Work(batch_size=size) for size in (1, 7, 64)] + [Work(batch_size=7, part_items=25)]
    for work in works:
        found = embed_pairs(encoder, pairs, work, CPU)
        assert tuple(found.rows) == FAMILIES[family]
        assert not found.items
        for modality, rows in found.rows.items():
            assert rows.dtype == np.float32
            assert rows.shape == (ITEMS, encoder.dimension)
            np.testing.assert_allclose(rows, expected[modality], atol=NETWORK, err_msg=modality)
    # The comparison means something: items differ by far more than the tolerance.
    assert all(np.ptp(rows, axis=0).max() > 1e-3 for rows in expected.values())


def test_siglip_sees_lower_case_whatever_its_tokenizer_keeps(tmp_path):
    """SigLIP 2 comes with Gemma's tokenizer, which keeps capitals; it was trained without any."""
    make_checkpoint_as_published(CHECKPOINTS["google/siglip2-base-patch16-256"], tmp_path)
    encoder = load_encoder(tmp_path, expect={"lowercase": True, "padding": "max_length"})
    assert encoder.tokenizer("A Cat")["input_ids"] != encoder.tokenizer("a cat")["input_ids"]
    capital, lower = (encoder.collate("text", [text]) for text in ("A Cat", "a cat"))
    assert set(capital) == {"input_ids"}
    assert torch.equal(capital["input_ids"], lower["input_ids"])
    assert capital["input_ids"][0, -1] == encoder.tokenizer.pad_token_id, "padded on the right"


def cosines(a, b):
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    return (a * b).sum(axis=1)


def test_half_precision_gives_float32_vectors_of_the_same_direction(checkpoints, world):
    pairs, _ = world
    exact, half = (
        embed_pairs(load_encoder(checkpoints("clip")), pairs, Work(precision=precision), CPU)
        for precision in ("float32", "bfloat16")
    )
    for modality, rows in exact.rows.items():
        assert half.rows[modality].dtype == np.float32
        assert not np.array_equal(half.rows[modality], rows)
        assert cosines(half.rows[modality], rows).min() > 0.999


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("family", FAMILIES)
def test_on_a_gpu(family, checkpoints, world):
    pairs, _ = world
    encoder = load_encoder(checkpoints(family))
    exact = embed_pairs(encoder, pairs, Work(), CPU)
    for precision, least in (("float32", 1 - 1e-5), ("auto", 0.99)):
        found = embed_pairs(encoder, pairs, Work(precision=precision), torch.device("cuda"))
        for modality, rows in exact.rows.items():
            assert cosines(found.rows[modality], rows).min() > least
