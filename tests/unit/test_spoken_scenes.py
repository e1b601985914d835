"""The set `spoken_scenes`: boxes that do not overlap, splits that share nothing, onsets that are heard."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from mindgap.data.digits import WORDS
from mindgap.data.medium import BadItem
from mindgap.data.shapes import SAMPLE_RATE
from mindgap.data.spoken_scenes import trim
from mindgap.embed.decode import decode_sound
from mindgap.runtime.errors import UserError
from tests.samples import build, sound
from tests.unit.test_data_sets import idx, pack_zip

SPEAKERS = ("george", "jackson", "lucas", "theo")
COMMON = {
    "kind": "spoken_scenes",
    "scene_seed": 3,
    "validation_speaker": "lucas",
    "test_speaker": "theo",
}


def recording(digit, seed):
    """A tone of the digit's own pitch and length between two quiet ends."""
    rng = np.random.default_rng(seed)
    tone = np.sin(np.arange(1200 + 160 * digit) * (0.2 + 0.06 * digit)) * 9000
    ends = [rng.integers(-2, 3, size) for size in (800, 560)]
    return sound(np.concatenate([ends[0], tone, ends[1]]).astype("<i2").tobytes())


def digit_files(folder):
    """Stand-ins of MNIST's test files with 400 pictures, and of three recordings of each speaker."""
    rng = np.random.default_rng(0)
    pictures = np.zeros((400, 28, 28), np.uint8)
    for row, picture in enumerate(pictures):
        height, width = rng.integers(8, 21), rng.integers(4, 21)
        picture[4 : 4 + height, 4 : 4 + width] = 100 + row % 150
    labels = (np.arange(400) % 10).astype(np.uint8)
    found = {}
    for name, array in (("images-idx3", pictures), ("labels-idx1", labels)):
        (folder / name).write_bytes(idx(array))
        found[f"t10k-{name}-ubyte.gz"] = str(folder / name)
    wavs = {
        f"recordings/{digit}_{who}_{i}.wav": recording(digit, i)
        for digit, who, i in itertools.product(range(10), SPEAKERS, range(3))
    }
    return found | {"v1.0.10.zip": pack_zip(folder / "fsdd.zip", wavs)}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return digit_files(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def made(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    return {
        split: build(folder, {**COMMON, "files": files, "split": split, "scenes": 60}, name=split)[
            0
        ]
        for split in ("train", "validation", "test")
    }


def test_boxes_hold_the_ink_and_do_not_overlap(made):
    for row in made["train"].values():
        pixels = np.asarray(Image.open(io.BytesIO(row["image"])))
        assert pixels.shape == (48, 48)
        assert 2 <= len(row["places"]) <= 4
        seen = np.zeros((48, 48), int)
        for box in row["places"]:
            part = slice(box["top"], box["bottom"]), slice(box["left"], box["right"])
            assert 12 <= max(box["bottom"] - box["top"], box["right"] - box["left"]) <= 18
            assert pixels[part].max() > 40
            # One pixel around a box belongs to no other.
            seen[
                max(0, box["top"] - 1) : box["bottom"], max(0, box["left"] - 1) : box["right"]
            ] += 1
        assert seen.max() == 1
        for box in row["places"]:
            pixels = pixels.copy()
            pixels[box["top"] : box["bottom"], box["left"] : box["right"]] = 0
        assert not pixels.any()


def test_splits_share_no_picture_recording_or_speaker(made):
    drawn = {}
    for split, rows in made.items():
        pictures = {box["picture"] for row in rows.values() for box in row["places"]}
        heard = {word["recording"] for row in rows.values() for word in row["words"]}
        drawn[split] = pictures, heard, {row["group"] for row in rows.values()}
        for row in rows.values():
            assert {word["recording"].split("_")[1] for word in row["words"]} == {row["group"]}
            for word in row["words"]:
                assert word["recording"].startswith(f"{WORDS.index(word['word'])}_")
            for box in row["places"]:
                assert box["picture"] % 10 == WORDS.index(box["word"])
    for one, other in itertools.combinations(drawn.values(), 2):
        assert not any(x & y for x, y in zip(one, other, strict=True))
    assert drawn["train"][2] == {"george", "jackson"}
    assert (drawn["validation"][2], drawn["test"][2]) == ({"lucas"}, {"theo"})


def test_onsets_point_at_sound(made):
    """Within a word it is 10 dB louder than in the pauses, and the word has its length."""
    for row in made["test"].values():
        samples = decode_sound(row["audio"], SAMPLE_RATE).astype(float)
        assert {w["word"] for w in row["words"]} == {box["word"] for box in row["places"]}
        assert row["text"] == [" ".join(w["word"] for w in row["words"])]
        assert row["label"].split() == sorted((w["word"] for w in row["words"]), key=WORDS.index)
        speech, end = np.zeros(len(samples), bool), 0.0
        for word in row["words"]:
            assert 0.049 <= word["start"] - end <= 0.301
            end = word["end"]
            tone = 1200 + 160 * WORDS.index(word["word"])
            # The tone with the frames of 10 ms that it begins and ends in.
            assert 0 <= round((end - word["start"]) * SAMPLE_RATE) - tone <= 160
            speech[round(word["start"] * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = True
        assert 0.049 <= len(samples) / SAMPLE_RATE - end <= 0.301
        loud, quiet = (np.square(samples[part]).mean() for part in (speech, ~speech))
        assert loud > 10 * quiet > 0


def test_trimming_keeps_what_is_within_30_db():
    loud = np.sin(np.arange(800) / 3)
    ends = loud[:400] * 10 ** (-32 / 20)
    sounds = np.concatenate([ends, loud, ends])
    np.testing.assert_array_equal(trim(sounds), loud)
    kept = np.concatenate([loud[:400] * 10 ** (-28 / 20), loud])
    assert len(trim(kept)) == len(kept)
    assert len(trim(loud[:775])) == 775
    with pytest.raises(BadItem, match="no signal"):
        trim(np.zeros(300))


def test_a_scene_depends_on_seed_split_and_number_alone(files, made, tmp_path):
    options = {**COMMON, "files": files, "split": "train"}
    first, _, _ = build(tmp_path, {**options, "scenes": 60}, name="one")
    again = (tmp_path / "one.parquet").read_bytes()
    build(tmp_path, {**options, "scenes": 60}, name="one", threads=2)
    assert (tmp_path / "one.parquet").read_bytes() == again
    assert first == made["train"]
    few, _, _ = build(tmp_path, {**options, "scenes": 7}, name="few")
    assert list(few.values()) == list(first.values())[:7]
    other, _, _ = build(tmp_path, {**options, "scenes": 7, "scene_seed": 4}, name="other")
    assert [row["places"] for row in few.values()] != [row["places"] for row in other.values()]


def test_controls(files, made, tmp_path):
    plain = list(made["train"].values())
    options = {**COMMON, "files": files, "split": "train", "scenes": 60}
    silent, shuffled = (
        list(build(tmp_path, {**options, "control": kind}, name=kind)[0].values())
        for kind in ("silent", "shuffled")
    )
    for one, other in zip(plain, silent, strict=True):
        assert (one["image"], one["words"]) == (other["image"], other["words"])
        assert len(one["audio"]) == len(other["audio"])
        samples = decode_sound(other["audio"], SAMPLE_RATE).astype(float)
        halves = [np.square(part).mean() for part in np.array_split(samples, 2)]
        assert 0.8 < halves[0] / halves[1] < 1.25  # noise alone
    for i, row in enumerate(shuffled):
        partner = plain[(i + 1) % 60]
        assert (row["image"], row["places"]) == (plain[i]["image"], plain[i]["places"])
        assert (row["audio"], row["words"]) == (partner["audio"], partner["words"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"test_speaker": "nobody"}, "there is no recording of nobody"),
        ({"test_speaker": "lucas"}, "validation_speaker and test_speaker are the same"),
    ],
)
def test_speakers_that_cannot_be_are_refused(files, tmp_path, change, words):
    with pytest.raises(UserError, match=words):
        build(tmp_path, {**COMMON, "files": files, "split": "test", "scenes": 5, **change})
