"""Captions and thumbnails that the explorer shows beside the rows."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

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
    pairs: str | Path, items: np.ndarray
) -> tuple[list[str] | None, list[str | None] | None]:
    """First caption and small picture of some items of a pairs table, None where it has none.

    A clip is shown by its first frame.
    """
    from mindgap.data.pairs import open_pairs, read_pairs
    from mindgap.embed.decode import decode_frames

    names = open_pairs(pairs).schema_arrow.names
    seen = next((name for name in ("image", "video") if name in names), None)
    columns = [name for name in ("text", seen) if name in names]
    captions, pictures, start = {}, {}, 0
    for rows in read_pairs(pairs, columns, rows=256) if columns else ():
        for item in items[(items >= start) & (items < start + len(rows))]:
            one = {name: rows[name][int(item) - start].as_py() for name in columns}
            captions[item] = shorten((one.get("text") or [""])[0])
            if one.get(seen):
                pictures[item] = _shrink(decode_frames(one[seen], 1)[0])
        start += len(rows)
    return (
        [captions[item] for item in items] if "text" in columns else None,
        [pictures.get(item) for item in items] if seen else None,
    )


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


def _shrink(picture: Image) -> str:
    """A picture as the data URI of a small one; the page behind it is white."""
    from PIL import Image, ImageOps

    small = ImageOps.exif_transpose(picture).convert("RGBA")
    small.thumbnail((SIDE, SIDE))
    flat = Image.new("RGB", small.size, "white")
    flat.paste(small, mask=small.getchannel("A"))
    stream = io.BytesIO()
    flat.save(stream, "WEBP", quality=QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
