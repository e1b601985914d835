"""The `shapes` world: scenes whose picture, clip, sound and captions tell the same truth.

A scene has one or two objects (shape, colour, size, place, motion) on a background.

* The picture shows every object at its place; the clip moves it through that place.
* The sound plays the objects one after the other: the shape is the timbre, the colour the pitch,
  the size the loudness; moving up or down glides the pitch, moving right or left swells or fades.
  Place and background are not audible.
* The first caption says what the still picture can tell, the second names the motion too.

A scene depends on the seed and its own number alone: the first 40 of 500 scenes are the 40 scenes
of a smaller set.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from PIL import Image

SHAPES = ("circle", "square", "triangle", "diamond", "cross", "ring")
COLOURS = {
    "red": (225, 45, 45),
    "green": (50, 190, 70),
    "blue": (70, 110, 255),
    "yellow": (245, 220, 50),
    "purple": (170, 70, 215),
    "cyan": (60, 215, 225),
    "orange": (250, 145, 30),
    "white": (245, 245, 245),
}
SIZES = {"small": 0.075, "large": 0.125}  # radius as a share of the side
PLACES = {
    "at the top left": (0.25, 0.25),
    "at the top": (0.5, 0.25),
    "at the top right": (0.75, 0.25),
    "on the left": (0.25, 0.5),
    "in the centre": (0.5, 0.5),
    "on the right": (0.75, 0.5),
    "at the bottom left": (0.25, 0.75),
    "at the bottom": (0.5, 0.75),
    "at the bottom right": (0.75, 0.75),
}
MOTIONS = {
    "standing still": (0, 0),
    "moving left": (-1, 0),
    "moving right": (1, 0),
    "moving up": (0, -1),
    "moving down": (0, 1),
}
BACKGROUNDS = ("black", "grey", "navy", "striped", "checked")

SAMPLE_RATE = 8000  # Hz
TONE_S = 0.4  # seconds an object sounds
SLOTS = 2  # objects at most
STEP = 0.08  # how far an object moves to either side of its place, as a share of the side
JITTER = 0.03  # how far a place varies, as a share of the side
CLIP_S = 1.0  # length of the clip in seconds
BLOCK = 256  # scenes drawn from one generator

#: Types of the columns that hold the truth.
TRUTH = {
    "objects": pa.list_(
        pa.struct(
            [(name, pa.string()) for name in ("shape", "colour", "size", "place", "motion")]
            + [(name, pa.float32()) for name in ("x", "y")]
        )
    ),
    "background": pa.string(),
}


@dataclass(frozen=True)
class Thing:
    """One object of a scene; `x` and `y` are its centre as a share of the side."""

    shape: str
    colour: str
    size: str
    place: str
    motion: str
    x: float
    y: float


@dataclass(frozen=True)
class Scene:
    """Objects, first in front of the microphone, and the background behind them."""

    things: tuple[Thing, ...]
    background: str


def draw_scenes(
    items: int, seed: int, objects: int = SLOTS
) -> Iterator[tuple[Scene, np.random.Generator]]:
    """Yield `items` scenes, each with the generator that its sound's noise comes from.

    Of a scene with more than `objects` objects the first ones are kept.
    """
    for start in range(0, items, BLOCK):
        rng = np.random.default_rng([seed, start // BLOCK])
        count = rng.integers(1, SLOTS + 1, BLOCK)
        shape, colour = (rng.integers(len(kind), size=(BLOCK, SLOTS)) for kind in (SHAPES, COLOURS))
        size, motion = (rng.integers(len(kind), size=(BLOCK, SLOTS)) for kind in (SIZES, MOTIONS))
        place = rng.random((BLOCK, len(PLACES))).argsort(axis=1)[:, :SLOTS]  # no two in one place
        shift = rng.uniform(-JITTER, JITTER, (BLOCK, SLOTS, 2))
        behind = rng.integers(len(BACKGROUNDS), size=BLOCK)
        names = [tuple(kind) for kind in (SHAPES, COLOURS, SIZES, PLACES, MOTIONS)]
        for i in range(min(BLOCK, items - start)):
            things = []
            for j in range(min(count[i], objects)):
                drawn = (shape[i, j], colour[i, j], size[i, j], place[i, j], motion[i, j])
                words = [kind[k] for kind, k in zip(names, drawn, strict=True)]
                x, y = np.add(PLACES[words[3]], shift[i, j])
                things.append(Thing(*words, float(np.float32(x)), float(np.float32(y))))
            yield Scene(tuple(things), BACKGROUNDS[behind[i]]), rng


def captions(scene: Scene, detail: str = "all") -> list[str]:
    """Return what the picture tells, and what the clip tells.

    With `half` the captions name colour and shape alone, with `one` the colour: the picture then
    tells more than its text does.
    """
    if detail != "all":
        names = [
            t.colour + (f" {t.shape}" if detail == "half" else " object") for t in scene.things
        ]
        return [" and ".join(f"a {name}" for name in names)]
    still = [f"a {t.size} {t.colour} {t.shape} {t.place}" for t in scene.things]
    moving = [f"a {t.size} {t.colour} {t.shape} {t.motion} {t.place}" for t in scene.things]
    behind = f" on a {scene.background} background"
    return [" and ".join(still) + behind, " and ".join(moving) + behind]


def render(scene: Scene, size: int, frames: int) -> np.ndarray:
    """Render a scene to uint8 of shape (1 + frames, size, size, 3): the picture, then the clip.

    The clip runs every object from one step before its place to one step behind it; later objects
    cover earlier ones.
    """
    margin = 2  # an object may lean over the edge by its anti-aliased rim
    behind = np.pad(_background(scene.background, size), [(margin, margin)] * 2 + [(0, 0)])
    canvas = np.repeat(behind[None], 1 + frames, axis=0)
    times = np.concatenate([[0.0], np.linspace(-1.0, 1.0, frames)])
    for thing in scene.things:
        mask = _mask(thing.shape, thing.size, size)
        colour = np.array(COLOURS[thing.colour], np.float32)
        dx, dy = MOTIONS[thing.motion]
        half = mask.shape[0] // 2
        for frame, time in zip(canvas, times, strict=True):
            left = round((thing.x + dx * STEP * time) * size) - half + margin
            top = round((thing.y + dy * STEP * time) * size) - half + margin
            window = frame[top : top + mask.shape[0], left : left + mask.shape[1]]
            window += mask[..., None] * (colour - window)
    return np.rint(canvas[:, margin:-margin, margin:-margin]).astype(np.uint8)


def sound(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Return the scene's sound: float32 in [-1, 1], `SLOTS * TONE_S` seconds at `SAMPLE_RATE`."""
    tones = [_tone(t.shape, t.colour, t.size, t.motion) for t in scene.things]
    silence = np.zeros_like(tones[0])
    wave_ = np.concatenate(tones + [silence] * (SLOTS - len(tones)))
    return wave_ + 0.003 * rng.standard_normal(wave_.size, dtype=np.float32)


def shapes_batches(
    items: int, size: int, frames: int, seed: int, objects: int, detail: str
) -> Iterator[dict[str, list]]:
    """Yield the columns of the pairs table, `BLOCK` scenes at a time."""
    scenes = draw_scenes(items, seed, objects)
    for start in range(0, items, BLOCK):
        rows = []
        for i, (scene, rng) in zip(range(start, min(start + BLOCK, items)), scenes, strict=False):
            pictures = [Image.fromarray(frame) for frame in render(scene, size, frames)]
            first = scene.things[0]
            rows.append(
                {
                    "id": f"{i:06d}",
                    "image": _png(pictures[:1]),
                    "text": captions(scene, detail),
                    "audio": encode_wave(sound(scene, rng)),
                    "video": _png(pictures[1:]),
                    "label": f"{first.colour} {first.shape}",
                    "group": scene.background,
                    "objects": [vars(thing) for thing in scene.things],
                    "background": scene.background,
                }
            )
        yield {name: [row[name] for row in rows] for name in rows[0]}


@lru_cache(maxsize=64)
def _background(name: str, size: int) -> np.ndarray:
    plain = {"black": (8, 8, 8), "grey": (88, 88, 88), "navy": (22, 26, 86)}
    canvas = np.empty((size, size, 3), np.float32)
    if name in plain:
        canvas[:] = plain[name]
        return canvas
    row, column = np.indices((size, size)) * 8 // size
    even = (row if name == "striped" else row + column) % 2 == 0
    canvas[even], canvas[~even] = (20, 60, 40), (60, 30, 20)
    return canvas


@lru_cache(maxsize=256)
def _mask(shape: str, size: str, side: int) -> np.ndarray:
    """Opacity of an object on its own little canvas, anti-aliased by 8 x 8 sub-pixels."""
    radius = SIZES[size] * side
    half = int(np.ceil(radius)) + 1
    fine = (np.arange((2 * half + 1) * 8) + 0.5) / 8 - half - 0.5
    x, y = np.meshgrid(fine / radius, fine / radius)
    distance = np.hypot(x, y)
    inside = {
        "circle": distance <= 1,
        "square": np.maximum(abs(x), abs(y)) <= 0.85,
        "triangle": (y <= 0.75) & (y >= 2 * abs(x) - 1),
        "diamond": abs(x) + abs(y) <= 1.1,
        "cross": (np.minimum(abs(x), abs(y)) <= 0.3) & (np.maximum(abs(x), abs(y)) <= 1),
        "ring": (distance <= 1) & (distance >= 0.6),
    }[shape]
    cells = 2 * half + 1
    return inside.reshape(cells, 8, cells, 8).mean(axis=(1, 3)).astype(np.float32)


#: Strength of the harmonics 1, 2, 3, ... that make the timbre of a shape. The first is always the
#: strongest, so that the pitch, and with it the colour, is heard whatever the shape.
_TIMBRES = {
    "circle": (1.0,),
    "square": (1.0, 0, 1 / 3, 0, 1 / 5),
    "triangle": (1.0, 0.7),
    "diamond": (1.0, 0.5, 0.5, 0.5),
    "cross": (1.0, 0, 0, 0.6),
    "ring": (1.0, 0, 0, 0, 0.6),
}


@lru_cache(maxsize=1024)
def _tone(shape: str, colour: str, size: str, motion: str) -> np.ndarray:
    time = np.arange(int(TONE_S * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 220.0 * 2 ** (list(COLOURS).index(colour) / 4)  # a quarter of an octave a colour
    share = time / TONE_S
    dx, dy = MOTIONS[motion]
    glide = 2.0 ** (-dy * 0.2 * share)  # moving up raises the pitch by a fifth of an octave
    phase = 2 * np.pi * np.cumsum(pitch * glide) / SAMPLE_RATE
    strength = _TIMBRES[shape]
    tone = sum(a * np.sin((k + 1) * phase) for k, a in enumerate(strength))
    tone /= np.sqrt(sum(a * a for a in strength))
    swell = 1.0 if dx == 0 else 0.2 + 0.8 * (share if dx > 0 else 1 - share)
    edge = np.clip(np.minimum(share, 1 - share) / 0.05, 0, 1)  # no clicks
    loudness = {"small": 0.15, "large": 0.45}[size]
    return (loudness * swell * edge * tone).astype(np.float32)


def _png(frames: list[Image.Image]) -> bytes:
    stream = io.BytesIO()
    clip = {}
    if len(frames) > 1:
        # Equal frames are merged where they also blend alike, and a clip of a scene that stands
        # still would lose its length; on opaque frames the two ways of blending are the same.
        blend = [i % 2 for i in range(len(frames))]
        duration = 1000 * CLIP_S / len(frames)
        clip = {"append_images": frames[1:], "loop": 0, "duration": duration, "blend": blend}
    frames[0].save(stream, "PNG", compress_level=1, save_all=len(frames) > 1, **clip)
    return stream.getvalue()


def encode_wave(samples: np.ndarray) -> bytes:
    """Encode samples in [-1, 1] as 16-bit mono."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", "not compressed"))
        file.writeframes(np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return stream.getvalue()
