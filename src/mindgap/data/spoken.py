"""Readers of sounds: spoken digits, spoken captions of pictures and of clips."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from mindgap.config.datasets import Labelled, MnistFsdd, Published
from mindgap.data.captioned import read_json
from mindgap.data.items import Item
from mindgap.data.labelled import encode_png, mnist_arrays
from mindgap.data.medium import Limits, held, missing
from mindgap.data.prompts import fill
from mindgap.data.store import MediaStore
from mindgap.data.tables import read_records
from mindgap.runtime.errors import UserError

_RECORDING = re.compile(r"(\d)_([A-Za-z]+)_(\d+)\.wav$")


def recordings(store: MediaStore) -> list[tuple[str, int, str, int]]:
    """(name, digit, speaker, number) of each recording `{digit}_{speaker}_{number}.wav`."""
    found = []
    for name in store.names():
        match = _RECORDING.fullmatch(PurePosixPath(name).name)
        if match:
            found.append((name, int(match[1]), match[2], int(match[3])))
    if not found:
        raise UserError(f"{store.path} has no recording with a name like 7_jackson_32.wav")
    return found


def fsdd(
    options: Labelled, files: dict[str, str], limits: Limits, prompts: dict[str, Any]
) -> tuple[int, Iterator[Item]]:
    """Free Spoken Digit Dataset; by its own rule the recordings 0 to 4 are the test set."""
    store = MediaStore(files["sounds"], limits)
    split = options.split
    chosen = {
        name: (digit, speaker)
        for name, digit, speaker, number in recordings(store)
        if split == "all" or (number < 5) == (split == "test")
    }

    def items() -> Iterator[Item]:
        for name, medium in store.stream(chosen):
            digit, speaker = chosen[name]
            word = prompts["classes"][digit]
            text = fill(prompts["template"], word)
            more = {"label": word, "group": speaker}
            yield Item(PurePosixPath(name).name, {"audio": medium}, [text], more)

    return len(chosen), items()


def mnist_fsdd(
    options: MnistFsdd, files: dict[str, str], limits: Limits, prompts: dict[str, Any]
) -> tuple[int, Iterator[Item]]:
    """Handwritten digits, each with a spoken one of its class; no speaker is in both splits.

    The recordings of a class are dealt out in a shuffled order, and again when they run out, so
    that all are used about as often. `rows` takes a part of the pictures, for whoever has one
    file of them only.
    """
    pictures, labels = mnist_arrays(files)
    start, stop = options.rows or (0, len(labels))
    if not 0 <= start < stop <= len(labels):
        raise UserError(
            f"rows: [{start}, {stop}] goes beyond the {len(labels)} pictures; take smaller ones"
        )
    store = MediaStore(files["sounds"], limits)
    known = recordings(store)
    speakers, testers = {row[2] for row in known}, set(options.test_speakers)
    if strange := sorted(testers - speakers):
        raise UserError(f"test_speakers: there is no recording of {', '.join(strange)}")
    spoken = testers if options.split == "test" else speakers - testers
    if not spoken:
        raise UserError(
            "test_speakers names all speakers, so none is left for training; name fewer"
        )
    rng = np.random.default_rng(options.pairing_seed)
    decks = [
        rng.permutation([name for name, digit, who, _ in known if digit == k and who in spoken])
        for k in range(10)
    ]
    dealt = np.zeros(10, int)
    if store.packed:
        raise UserError(f"{store.path} is read in random order; give a zip or a folder")

    def items() -> Iterator[Item]:
        for row in range(start, stop):
            digit = int(labels[row])
            name = f"{options.pictures or options.split}/{row:05d}"
            if digit > 9 or not len(decks[digit]):
                yield Item(name, problem=f"no recording of the label {digit}")
                continue
            sound = str(decks[digit][dealt[digit] % len(decks[digit])])
            dealt[digit] += 1
            word = prompts["classes"][digit]
            media = {"image": held(encode_png(pictures[row])), "audio": store.medium(sound)}
            speaker = _RECORDING.search(sound)[2]
            more = {"label": word, "group": speaker}
            yield Item(name, media, [fill(prompts["template"], word)], more)

    return stop - start, items()


def places_audio(
    options: Published, files: dict[str, str], limits: Limits, prompts: None = None
) -> tuple[int, Iterator[Item]]:
    """Places Audio captions (Harwath et al.): pictures of Places205 with a spoken caption each.

    The text is what a recogniser heard (`asr_text`); group is the speaker.
    """
    notes = read_json(files["sounds"], f"metadata/{options.split}.json")
    pictures, sounds = _open(files["pictures"], limits), _open(files["sounds"], limits)

    def items() -> Iterator[Item]:
        for row in notes["data"]:
            media = {
                "image": pictures.medium(row["image"]),
                "audio": sounds.medium(row["wav"]),
            }
            text = [(row.get("asr_text") or "").strip()]
            yield Item(row["uttid"], media, text, {"group": row.get("speaker")})

    return len(notes["data"]), items()


def smit(
    options: Published, files: dict[str, str], limits: Limits, prompts: None = None
) -> tuple[int, Iterator[Item]]:
    """Spoken Moments in Time (Monfort et al. 2021): clips with a spoken caption and its words.

    The table has the columns video, audio and text, with names below the two folders.
    """
    rows = list(read_records(files["table"], ("video", "audio", "text")))
    clips, sounds = _open(files["clips"], limits), _open(files["sounds"], limits)

    def items() -> Iterator[Item]:
        for row in rows:
            media = {
                "video": clips.medium(row["video"]) if row["video"] else missing(),
                "audio": sounds.medium(row["audio"]) if row["audio"] else missing(),
            }
            yield Item(row["audio"], media, [row["text"].strip()])

    return len(rows), items()


def _open(path: str, limits: Limits) -> MediaStore:
    store = MediaStore(path, limits)
    if store.packed:
        raise UserError(f"{path} must be unpacked, because a pair needs two files at once")
    return store
