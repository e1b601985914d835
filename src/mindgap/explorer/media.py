"""Captions and thumbnails that the explorer shows beside the rows."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mindgap.data.tables import read_records, read_rows, read_text
from mindgap.runtime.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

#: Longest side of a thumbnail in pixels, and the quality of its encoding.
SIDE, QUALITY = 48, 75
#: Pixels of a picture that is read at most.
MOST_PIXELS = 200_000_000
LONGEST = 300  # characters of a caption that are shown
FRAMES = 4  # frames of a clip that are shown
#: Samples per second of a sound, its seconds at most, and bytes of all sounds of a page.
RATE, SECONDS, SOUND_BYTES = 8000, 5, 6_000_000


def read_captions(address: str) -> list[str]:
    """Captions of a text file, one line each, or of a column of a table: `file.csv#column`."""
    path, _, column = address.partition("#")
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file")
    if Path(path).suffix != ".csv":
        return read_text(path).splitlines()
    header = next(read_rows(path), (0, [""]))[1]
    column = column or (header[0] if len(header) == 1 else "")
    if column not in header:
        asked = f"no column {column!r}" if column else f"{len(header)} columns"
        known = ", ".join(header)
        raise UserError(f"{path} has {asked} (it has: {known}); name one: {path}#column")
    return [row[column] for row in read_records(path, (column,))]


def shorten(caption: object) -> str:
    """A caption of a line that is not too long."""
    text = " ".join(str(caption).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def find_pictures(folder: str | Path, n: int) -> dict[int, Path]:
    """Row -> picture of a folder: files named by row number, or as many as rows, sorted by name.

    Names that are numbers are sorted as numbers. Hidden files are passed over.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    files = [path for path in folder.iterdir() if path.is_file() and path.name[0] != "."]
    stems = [path.stem for path in files]
    numbered = all(stem.isdecimal() for stem in stems)
    if numbered and len({int(stem) for stem in stems}) < len(stems):
        raise UserError(f"{folder}: two pictures have the same number")
    if files and numbered and max(map(int, stems)) < n:
        return {int(path.stem): path for path in files}
    if len(files) != n:
        raise UserError(
            f"{folder} has {len(files):,} files for {n:,} rows; give one for each row, or name "
            "them by row number, from 0"
        )
    files.sort(key=lambda path: int(path.stem) if numbered else path.name)
    return dict(enumerate(files))


def draw_thumbnails(pictures: dict[int, Path], rows: Iterable[int]) -> list[str | None]:
    """A small picture of each row as a data URI, or None where it has none."""
    return [_read_thumbnail(pictures[row]) if row in pictures else None for row in rows]


def read_media(
    pairs: str | Path, items: np.ndarray, modalities: Collection[str] = ()
) -> dict[str, list[Any] | None]:
    """Captions, small pictures and sounds of some items of a pairs table, for `page_facts`.

    The first caption; the picture or the clip, whichever is among the `modalities` of a model; the
    sound, if a model hears it. None stands for what the table or an item does not have.
    """
    from mindgap.data.pairs import open_pairs, read_items
    from mindgap.embed.decode import decode_frames

    names = open_pairs(pairs).schema_arrow.names
    visual = [m for m in (*modalities, "image", "video") if m in ("image", "video")]
    seen = next((name for name in visual if name in names), None)
    heard = "audio" if "audio" in names and "audio" in modalities else None
    columns = [name for name in ("text", seen, heard) if name in names]
    captions, pictures, sounds = {}, {}, Sounds()
    for item, value in read_items(pairs, columns, items) if columns else ():
        captions[item] = shorten((value.get("text") or [""])[0])
        if value.get(seen):
            pictures[item] = _shrink(*decode_frames(value[seen], 1 if seen == "image" else FRAMES))
        if value.get(heard):
            sounds.add(item, value[heard])
    return {
        "captions": [captions[item] for item in items] if "text" in columns else None,
        "thumbnails": [pictures.get(item) for item in items] if seen else None,
        "sounds": [sounds.found.get(item) for item in items] if heard else None,
    }


class Sounds:
    """Sounds of a page as data URIs, as many as there is room for."""

    def __init__(self) -> None:
        self.found: dict[int, str] = {}
        self.room = SOUND_BYTES

    def add(self, item: int, data: bytes) -> None:
        """Take the first seconds of an encoded sound, if it fits."""
        from mindgap.embed.decode import decode_sound

        if self.room > 0:
            sound = sound_uri(decode_sound(data, RATE)[: RATE * SECONDS], RATE)
            self.room -= len(sound)
            if self.room >= 0:
                self.found[item] = sound


def sound_uri(samples: np.ndarray, rate: int) -> str:
    """Samples in [-1, 1] as a data URI of 16-bit PCM."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", "not compressed"))
        file.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _read_thumbnail(path: Path) -> str:
    from mindgap.data.media import open_picture

    try:
        with open_picture(path.read_bytes()) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise UserError(f"{path} has more than {MOST_PIXELS:,} pixels; make it smaller")
            picture.draft("RGB", (SIDE, SIDE))
            return _shrink(picture)
    except UserError:
        raise
    except Exception as error:  # each format fails in its own way
        raise UserError(f"{path} is not a readable picture; take it out of the folder") from error


def _shrink(*frames: Image) -> str:
    """A picture as the data URI of a small one, or a clip; the page behind it is white."""
    first, *others = map(_flat, frames)
    stream = io.BytesIO()
    moving = {"save_all": True, "append_images": others, "duration": 250, "loop": 0}
    first.save(stream, "WEBP", quality=QUALITY, method=4, **(moving if others else {}))
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _flat(picture: Image) -> Image:
    from PIL import Image, ImageOps

    small = ImageOps.exif_transpose(picture).convert("RGBA")
    small.thumbnail((SIDE, SIDE))
    flat = Image.new("RGB", small.size, "white")
    flat.paste(small, mask=small.getchannel("A"))
    return flat
