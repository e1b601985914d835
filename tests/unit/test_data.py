import io
import wave

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mindgap.data import shapes
from mindgap.data.digits import WORDS
from mindgap.data.pairs import count_rows, read_pairs, write_pairs
from mindgap.data.sets import build_pairs
from mindgap.runtime.errors import UserError

SHAPES = {"kind": "shapes", "items": 300, "size": 64, "frames": 5, "seed": 7}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "shapes.parquet"
    assert build_pairs(path, SHAPES) == {"items_in": 300, "items_out": 300}
    return pq.read_table(path).to_pylist()


def picture(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), float)


def clip(data):
    film = Image.open(io.BytesIO(data))
    frames = []
    for i in range(film.n_frames):
        film.seek(i)
        frames.append(np.asarray(film.convert("RGB"), float))
    return frames


def sound(data):
    with wave.open(io.BytesIO(data)) as file:
        assert file.getframerate() == shapes.SAMPLE_RATE
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767


def centre_of(frame, colour):
    """Centre of the pixels of one colour, as shares of the side: x, y."""
    near = np.abs(frame - np.array(shapes.COLOURS[colour])).max(axis=2) < 12
    assert near.any()
    y, x = np.nonzero(near)
    return (x.mean() + 0.5) / frame.shape[1], (y.mean() + 0.5) / frame.shape[0]


def alone(scenes):
    return [s for s in scenes if len(s["objects"]) == 1]


def test_picture_shows_the_object_where_the_truth_says(scenes):
    for scene in alone(scenes):
        (thing,) = scene["objects"]
        x, y = centre_of(picture(scene["image"]), thing["colour"])
        assert abs(x - thing["x"]) < 0.025
        assert abs(y - thing["y"]) < 0.04  # a triangle's pixels lie low in its box
        place = shapes.PLACES[thing["place"]]
        assert np.abs(np.subtract(place, (thing["x"], thing["y"]))).max() <= shapes.JITTER + 1e-6


def test_size_and_background_are_those_of_the_truth(scenes):
    count = {"small": [], "large": []}
    for scene in alone(scenes):
        (thing,) = scene["objects"]
        frame = picture(scene["image"])
        near = np.abs(frame - np.array(shapes.COLOURS[thing["colour"]])).max(axis=2) < 12
        count[thing["size"]].append((thing["shape"], near.sum()))
        np.testing.assert_allclose(
            frame[0, 0], shapes._background(scene["background"], 64)[0, 0], atol=1
        )
    for shape in shapes.SHAPES:
        small, large = ([n for s, n in count[size] if s == shape] for size in ("small", "large"))
        assert max(small) < min(large), shape


def test_clip_moves_as_the_truth_says(scenes):
    for scene in alone(scenes):
        (thing,) = scene["objects"]
        frames = clip(scene["video"])
        assert len(frames) == SHAPES["frames"]
        first, last = (np.array(centre_of(f, thing["colour"])) for f in (frames[0], frames[-1]))
        expected = 2 * shapes.STEP * np.array(shapes.MOTIONS[thing["motion"]])
        assert np.abs(last - first - expected).max() < 0.03, thing


def test_pitch_loudness_and_glide_are_those_of_the_truth(scenes):
    rate, span = shapes.SAMPLE_RATE, int(shapes.TONE_S * shapes.SAMPLE_RATE)
    loud = {"small": [], "large": []}
    for scene in scenes:
        wave_ = sound(scene["audio"])
        assert len(wave_) == shapes.SLOTS * span
        for slot, thing in enumerate(scene["objects"]):
            tone = wave_[slot * span : (slot + 1) * span]
            if thing["motion"] == "standing still":
                loud[thing["size"]].append(np.abs(tone).max())
                peak = np.abs(np.fft.rfft(tone)).argmax() * rate / span
                pitch = 220 * 2 ** (list(shapes.COLOURS).index(thing["colour"]) / 4)
                assert abs(peak - pitch) < 4
            half = span // 2
            head, tail = tone[:half], tone[half:]
            if thing["motion"] in ("moving left", "moving right"):
                louder = np.square(tail).sum() > np.square(head).sum()
                assert louder == (thing["motion"] == "moving right")
            if thing["motion"] in ("moving up", "moving down") and thing["shape"] == "circle":
                early, late = (np.abs(np.fft.rfft(part)).argmax() for part in (head, tail))
                assert (late > early) == (thing["motion"] == "moving up")
        if len(scene["objects"]) == 1:
            assert np.abs(wave_[span:]).max() < 0.03, "the second slot is silent"
    assert max(loud["small"]) < min(loud["large"])


def test_captions_name_the_truth(scenes):
    for scene in scenes:
        still, moving = scene["text"]
        for thing in scene["objects"]:
            words = f"{thing['size']} {thing['colour']} {thing['shape']}"
            assert f"a {words} {thing['place']}" in still
            assert f"a {words} {thing['motion']} {thing['place']}" in moving
        assert "moving" not in still
        assert still.endswith(f"on a {scene['background']} background")
        first = scene["objects"][0]
        assert scene["label"] == f"{first['colour']} {first['shape']}"
        assert scene["group"] == scene["background"]
        places = [thing["place"] for thing in scene["objects"]]
        assert len(set(places)) == len(places)


def test_every_word_of_the_world_occurs(scenes):
    things = [thing for scene in scenes for thing in scene["objects"]]
    for key, words in {
        "shape": shapes.SHAPES,
        "colour": shapes.COLOURS,
        "size": shapes.SIZES,
        "place": shapes.PLACES,
        "motion": shapes.MOTIONS,
    }.items():
        assert {thing[key] for thing in things} == set(words)
    assert {s["background"] for s in scenes} == set(shapes.BACKGROUNDS)
    assert 0.35 < len(alone(scenes)) / len(scenes) < 0.65


def test_same_seed_same_bytes_and_a_smaller_set_is_a_prefix(scenes, tmp_path):
    build_pairs(tmp_path / "a.parquet", SHAPES)
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == scenes
    build_pairs(tmp_path / "b.parquet", {**SHAPES, "items": 290})
    assert pq.read_table(tmp_path / "b.parquet").to_pylist() == scenes[:290]
    build_pairs(tmp_path / "c.parquet", {**SHAPES, "items": 5, "seed": 8})
    assert pq.read_table(tmp_path / "c.parquet").to_pylist() != scenes[:5]


def test_smallest_picture(tmp_path):
    build_pairs(tmp_path / "a.parquet", {**SHAPES, "items": 200, "size": 16, "frames": 2})
    first = next(iter(read_pairs(tmp_path / "a.parquet", ["image"])))
    assert picture(first["image"][0].as_py()).shape == (16, 16, 3)


def test_digits_are_the_real_ones(tmp_path):
    from sklearn.datasets import load_digits

    path = tmp_path / "digits.parquet"
    assert build_pairs(path, {"kind": "digits", "items": 1797, "seed": 1})["items_out"] == 1797
    rows = pq.read_table(path).to_pylist()
    bunch = load_digits()
    assert sorted(int(r["id"]) for r in rows) == list(range(1797))
    for row in rows[:100]:
        number = int(row["id"])
        grey = np.asarray(Image.open(io.BytesIO(row["image"])))
        assert grey.shape == (8, 8)
        np.testing.assert_allclose(grey, bunch.images[number] * 255 / 16, atol=0.5)
        assert row["label"] == WORDS[bunch.target[number]]
        assert all(row["label"] in caption for caption in row["text"])
        assert len(set(row["text"])) == 4
    assert len({row["text"][0] for row in rows}) == 40


def test_an_empty_set_and_a_missing_column_are_refused(tmp_path):
    with pytest.raises(UserError, match="no items"):
        write_pairs(tmp_path / "x.parquet", [])
    assert not list(tmp_path.iterdir())
    write_pairs(tmp_path / "x.parquet", [{"id": ["a"], "text": [["b", "c"]]}])
    assert count_rows(tmp_path / "x.parquet") == 1
    with pytest.raises(UserError, match="has no column 'image'"):
        read_pairs(tmp_path / "x.parquet", ["image"])
