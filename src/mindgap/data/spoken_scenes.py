"""Scenes of real digits: several handwritten ones in a picture, and a voice that names them.

* A picture shows two to four different digits of MNIST on black. Each is cut out along its ink and
  scaled to a longer side of a quarter to three eighths of the picture; brightness varies; boxes lie
  at random places, at least a pixel apart.
* A sound is recordings of the same digits by one speaker of FSDD in random order. Each is trimmed:
  what is left runs from the first to the last frame of 10 ms whose energy is at most 30 dB below
  that of the loudest. Pauses of 50 to 300 ms lie around the words; words differ in level by a
  standard deviation of 2 dB; the speech of a scene has a level of -26 to -16 dB, and white noise
  lies 20 to 35 dB below it.

A scene depends on the seed, the split and its own number alone. The first 70 % of MNIST's test
pictures are for training, the next 15 % for validation and the last for testing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
from PIL import Image

from mindgap.config.datasets import SpokenScenes
from mindgap.data.digits import WORDS
from mindgap.data.items import Item
from mindgap.data.labelled import encode_png, mnist_arrays
from mindgap.data.medium import BadItem, Limits, held
from mindgap.data.shapes import SAMPLE_RATE, encode_wave
from mindgap.data.spoken import recordings
from mindgap.data.store import MediaStore
from mindgap.embed.decode import decode_sound
from mindgap.runtime.errors import UserError

SPLITS = ("train", "validation", "test")
SHARES = (0.7, 0.85)  # of the pictures: where training ends, and where validation does
MOST = 4  # digits of a scene
FLOOR_DB = 30  # below the loudest frame; what is quieter at either end is cut off
FRAME = SAMPLE_RATE // 100
PAUSE_S = (0.05, 0.3)

#: Types of the columns that hold the truth.
TRUTH = {
    "places": pa.list_(
        pa.struct(
            [("word", pa.string()), ("picture", pa.int32())]
            + [(side, pa.int32()) for side in ("left", "top", "right", "bottom")]
        )
    ),
    "words": pa.list_(
        pa.struct(
            [("word", pa.string()), ("recording", pa.string())]
            + [(time, pa.float64()) for time in ("start", "end")]
        )
    ),
}


@dataclass(frozen=True)
class Pool:
    """What one split may draw from: rows of pictures and names of recordings, by digit."""

    pictures: list[np.ndarray]
    sounds: list[list[str]]


def spoken_scenes(
    options: SpokenScenes, files: dict[str, str], limits: Limits, prompts: None = None
) -> tuple[int, Iterator[Item]]:
    """Scenes of one split; label is the digits of the picture in order, group the speaker."""
    pictures, labels = mnist_arrays(files)
    store = MediaStore(files["sounds"], limits)
    if store.packed:
        raise UserError(f"{store.path} is read in random order; give a zip or a folder")
    pool = make_pool(options, labels, recordings(store))

    @cache
    def voice(name: str) -> np.ndarray:
        return trim(decode_sound(store.medium(name).read(), SAMPLE_RATE))

    def items() -> Iterator[Item]:
        for number in range(options.scenes):
            name = f"{options.split}/{number:05d}"
            # In a shuffled set the picture of each scene has the sound of the next one.
            other = (number + 1) % options.scenes if options.control == "shuffled" else number
            try:
                picture, places = draw_picture(options, number, pool, pictures)
                sound, words, speaker = draw_sound(options, other, pool, voice)
            except BadItem as failure:
                yield Item(name, problem=str(failure))
                continue
            media = {"image": held(encode_png(picture)), "audio": held(encode_wave(sound))}
            shown = sorted(WORDS.index(one["word"]) for one in places)
            more = {"label": " ".join(WORDS[k] for k in shown), "group": speaker}
            more |= {"places": places, "words": words}
            yield Item(name, media, [" ".join(word["word"] for word in words)], more)

    return options.scenes, items()


def make_pool(
    options: SpokenScenes, labels: np.ndarray, known: list[tuple[str, int, str, int]]
) -> Pool:
    """What the split of the options draws from; no two splits share a picture or a recording."""
    voices = {"validation": options.validation_speaker, "test": options.test_speaker}
    speakers = {who for _, _, who, _ in known}
    if strange := sorted(set(voices.values()) - speakers):
        raise UserError(f"there is no recording of {', '.join(strange)}; name one who speaks")
    if len(set(voices.values())) < len(voices):
        raise UserError("validation_speaker and test_speaker are the same; name two")
    train = speakers - set(voices.values())
    spoken = train if options.split == "train" else {voices[options.split]}
    if not spoken:
        raise UserError("no speaker is left for training; there must be three at least")
    bounds = [0, *(round(share * len(labels)) for share in SHARES), len(labels)]
    at = SPLITS.index(options.split)
    rows = np.arange(bounds[at], bounds[at + 1])
    pool = Pool(
        [rows[labels[rows] == k] for k in range(10)],
        [
            [name for name, digit, who, _ in known if digit == k and who in spoken]
            for k in range(10)
        ],
    )
    for what, decks in (("picture", pool.pictures), ("recording", pool.sounds)):
        if short := [WORDS[k] for k in range(10) if not len(decks[k])]:
            raise UserError(f"the split {options.split} has no {what} of {', '.join(short)}")
    return pool


def trim(sound: np.ndarray) -> np.ndarray:
    """A recording without its quiet ends, see `FLOOR_DB`; the last frame may be incomplete."""
    padded = np.pad(sound, (0, -len(sound) % FRAME)).astype(np.float64)
    energy = np.square(padded.reshape(-1, FRAME)).mean(1)
    if not energy.max() > 0:
        raise BadItem("no signal")
    loud = np.flatnonzero(energy >= energy.max() * 10 ** (-FLOOR_DB / 10))
    return sound[loud[0] * FRAME : (loud[-1] + 1) * FRAME]


def draw_picture(
    options: SpokenScenes, number: int, pool: Pool, pictures: np.ndarray
) -> tuple[np.ndarray, list[dict]]:
    """Picture of a scene, uint8 (size, size), and the box of each digit, its ends excluded."""
    rng, size = _generator(options, number, 1), options.size
    digits, rows, inks = _digits(options, number), [], []
    for digit in digits:
        rows.append(int(rng.choice(pool.pictures[digit])))
        ink = _cut(pictures[rows[-1]])
        scale = rng.uniform(size / 4, size * 3 / 8) / max(ink.shape)
        shape = [max(2, round(side * scale)) for side in ink.shape[::-1]]
        scaled = np.asarray(Image.fromarray(ink).resize(shape, Image.Resampling.BILINEAR))
        inks.append(scaled * rng.uniform(0.55, 1.0))
    corners = _place([ink.shape for ink in inks], size, rng)
    picture, places = np.zeros((size, size)), []
    for digit, row, ink, (top, left) in zip(digits, rows, inks, corners, strict=True):
        bottom, right = top + ink.shape[0], left + ink.shape[1]
        picture[top:bottom, left:right] = ink
        box = {"left": left, "top": top, "right": right, "bottom": bottom}
        places.append({"word": WORDS[digit], "picture": row, **box})
    return np.rint(picture).astype(np.uint8), places


def draw_sound(
    options: SpokenScenes, number: int, pool: Pool, voice: Callable[[str], np.ndarray]
) -> tuple[np.ndarray, list[dict], str]:
    """Sound of a scene, float64 in [-1, 1], onset and end of each word in seconds, and the speaker.

    `voice` returns the trimmed recording of a name.
    """
    rng = _generator(options, number, 2)
    digits = rng.permutation(_digits(options, number))
    speaker = str(rng.choice(sorted({_speaker(name) for name in pool.sounds[digits[0]]})))
    parts, words, at = [], [], 0
    for digit in digits:
        own = [name for name in pool.sounds[digit] if _speaker(name) == speaker]
        if not own:
            raise BadItem(f"{speaker} has no recording of {WORDS[digit]}")
        name = str(rng.choice(own))
        recording = voice(name)
        level = 10 ** (rng.normal(0, 2) / 20) / np.sqrt(np.square(recording, dtype=float).mean())
        pause = np.zeros(round(rng.uniform(*PAUSE_S) * SAMPLE_RATE))
        parts += [pause, recording * level]
        start, at = at + len(pause), at + len(pause) + len(recording)
        times = {"start": start / SAMPLE_RATE, "end": at / SAMPLE_RATE}
        words.append({"word": WORDS[digit], "recording": name.rpartition("/")[2], **times})
    parts.append(np.zeros(round(rng.uniform(*PAUSE_S) * SAMPLE_RATE)))
    speech = np.concatenate(parts)
    if options.control == "silent":
        speech = np.zeros(len(speech))
    noise = 10 ** (-rng.uniform(20, 35) / 20) * rng.standard_normal(len(speech))
    loudness = 10 ** (rng.uniform(-26, -16) / 20)
    return np.clip(loudness * (speech + noise), -1, 1), words, speaker


def _generator(options: SpokenScenes, number: int, what: int) -> np.random.Generator:
    return np.random.default_rng([options.scene_seed, SPLITS.index(options.split), number, what])


def _digits(options: SpokenScenes, number: int) -> np.ndarray:
    rng = _generator(options, number, 0)
    return rng.permutation(10)[: rng.integers(2, MOST + 1)]


def _cut(picture: np.ndarray) -> np.ndarray:
    """The part of a picture that has ink."""
    rows, columns = (np.flatnonzero(picture.any(axis)) for axis in (1, 0))
    if not len(rows):
        raise BadItem("a picture without ink")
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _place(
    shapes: list[tuple[int, int]], size: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Top and left of each box, at random, all at least a pixel apart."""
    while True:
        found: list[tuple[int, int]] = []
        for height, width in shapes:
            tops = rng.integers(0, size - height + 1, 50)
            lefts = rng.integers(0, size - width + 1, 50)
            free = np.ones(50, bool)
            for (top, left), (tall, wide) in zip(found, shapes, strict=False):
                apart = (tops > top + tall) | (top > tops + height)
                free &= apart | (lefts > left + wide) | (left > lefts + width)
            if not free.any():
                break
            first = int(free.argmax())
            found.append((int(tops[first]), int(lefts[first])))
        if len(found) == len(shapes):
            return found


def _speaker(name: str) -> str:
    return name.rpartition("/")[2].split("_")[1]
