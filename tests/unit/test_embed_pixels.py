"""Pictures, frames and sound: decoded as the processors and the encoders expect."""

import io
import wave

import av
import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image

from mindgap.data.medium import BadItem
from mindgap.embed.decode import decode_frames, decode_picture, decode_sound
from mindgap.embed.pixels import Pixels
from tests.bounds import EPS

SQUARE = {"height": 48, "width": 48}
PIXEL = 4 * 6 * EPS / 0.26  # four roundings of numbers up to 6, over the least standard deviation
SHAPES = [(48, 48), (333, 501), (500, 375), (47, 61), (30, 20), (48, 300)]


def pictures():
    rng = np.random.default_rng(1)
    return [Image.fromarray(rng.integers(0, 256, (*s, 3), dtype=np.uint8)) for s in SHAPES]


@pytest.mark.parametrize(
    "processor",
    [
        tf.CLIPImageProcessorPil(size={"shortest_edge": 48}, crop_size=SQUARE),
        tf.CLIPImageProcessorPil(size={"shortest_edge": 60}, crop_size=SQUARE),
        tf.SiglipImageProcessorPil(size=SQUARE),
        tf.ViTImageProcessorPil(size=SQUARE, resample=Image.Resampling.BILINEAR),
        tf.ConvNextImageProcessorPil(size={"shortest_edge": 48}, crop_pct=0.875),
        tf.EfficientNetImageProcessorPil(size=SQUARE, include_top=True, rescale_offset=True),
        tf.FlavaImageProcessorPil(size=SQUARE, crop_size=SQUARE),
        tf.ChineseCLIPImageProcessorPil(size=SQUARE, do_center_crop=False),
    ],
    ids=lambda p: type(p).__name__,
)
def test_the_fast_way_gives_the_processors_own_pixels(processor):
    pixels = Pixels(processor)
    assert pixels.exact
    assert pixels.side == (48, 48)
    for picture in pictures():
        theirs = processor(images=[picture], return_tensors="np")["pixel_values"][0]
        ours = pixels.to_tensor(torch.from_numpy(pixels(picture).copy())[None])[0]
        np.testing.assert_allclose(ours.numpy(), theirs, atol=PIXEL)


def test_a_processor_that_does_something_else_is_called_itself():
    class Odd(tf.CLIPImageProcessorPil):
        def _preprocess(self, images, **kwargs):
            return super()._preprocess([image[:, ::-1] for image in images], **kwargs)

    processor = Odd(size={"shortest_edge": 48}, crop_size=SQUARE)
    pixels = Pixels(processor)
    assert not pixels.exact
    assert pixels.facts["fast"] is False
    picture = pictures()[1]
    theirs = processor(images=[picture], return_tensors="np")["pixel_values"][0]
    ours = pixels.to_tensor(torch.from_numpy(pixels(picture))[None])[0]
    np.testing.assert_array_equal(ours.numpy(), theirs)


def test_other_modes_become_rgb_as_the_processor_makes_them():
    processor = tf.CLIPImageProcessorPil(size={"shortest_edge": 48}, crop_size=SQUARE)
    pixels = Pixels(processor)
    for picture in (
        Image.new("RGBA", (50, 60), (200, 10, 10, 90)),
        Image.new("L", (50, 60), 77),
        Image.new("P", (50, 60), 3),
        Image.new("CMYK", (50, 60), (1, 2, 3, 4)),
    ):
        theirs = processor(images=[picture], return_tensors="np")["pixel_values"][0]
        ours = pixels.to_tensor(torch.from_numpy(pixels(picture).copy())[None])[0]
        np.testing.assert_allclose(ours.numpy(), theirs, atol=PIXEL)


def clip_of(n, kind):
    frames = [Image.new("RGB", (32, 32), (10 * i, 0, 0)) for i in range(n)]
    stream = io.BytesIO()
    if kind == "png":
        frames[0].save(stream, "PNG", save_all=True, append_images=frames[1:])
    else:
        with av.open(stream, "w", format="mp4") as film:
            track = film.add_stream("mpeg4", rate=10)
            track.width = track.height = 32
            for frame in frames:
                film.mux(track.encode(av.VideoFrame.from_image(frame)))
            film.mux(track.encode(None))
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["png", "mp4"])
@pytest.mark.parametrize(("n", "count", "chosen"), [(9, 3, [0, 4, 8]), (2, 4, [0, 0, 1, 1])])
def test_frames_are_evenly_spaced(kind, n, count, chosen):
    found = [np.asarray(f)[..., 0].mean() for f in decode_frames(clip_of(n, kind), count)]
    # Frames are 10 apart; what a lossy codec leaves of a frame is nearer to it than to the next.
    np.testing.assert_array_equal(np.rint(np.array(found) / 10), chosen)


def wav(samples, rate=8000, width=2, channels=1):
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples)
    return stream.getvalue()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_sound_of_every_width(width):
    values = np.array([0, 0.5, -0.5, -1])
    raw = (values * 2 ** (8 * width - 1)).astype(np.int64) + (128 if width == 1 else 0)
    data = b"".join(int(v).to_bytes(width, "little", signed=width > 1) for v in raw)
    np.testing.assert_allclose(decode_sound(wav(data, width=width), 8000), values, atol=1e-6)


def test_channels_are_averaged_and_the_rate_is_the_encoders():
    t = np.arange(8000) / 8000
    tone = np.sin(2 * np.pi * 440 * t)
    stereo = np.stack([tone, np.zeros_like(tone)], axis=1)
    data = wav((stereo * 32767).astype("<i2").tobytes(), channels=2)
    sound = decode_sound(data, 48000)
    assert sound.shape == (48000,)
    assert sound.dtype == np.float32
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    np.testing.assert_allclose(sound[2000:-2000], expected[2000:-2000], atol=2e-3)


@pytest.mark.parametrize("data", [b"", b"no medium", b"RIFF\x00\x00\x00\x00WAVE"])
def test_what_cannot_be_decoded_says_so(data):
    for decode in (decode_picture, lambda d: decode_frames(d, 2), lambda d: decode_sound(d, 8000)):
        with pytest.raises(BadItem):
            decode(data)
    with pytest.raises(BadItem, match="not a readable picture"):
        decode_picture(clip_of(1, "png")[:60])
