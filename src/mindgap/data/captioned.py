"""Readers of pictures and clips with captions: MSCOCO, Flickr8k, Flickr30k, MSR-VTT, memes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgap.config.datasets import Mscoco, MsrVtt, Published
from mindgap.data.items import Item
from mindgap.data.medium import BadItem, Limits
from mindgap.data.store import MediaStore
from mindgap.data.tables import read_records
from mindgap.data.tars import open_tar, tar_medium
from mindgap.runtime.errors import UserError

_TABLE = Limits(max_bytes=1024**3)  # a table of captions may be larger than a picture


def read_member(path: str, member: str) -> bytes:
    """Bytes of one file of a folder, zip or tar, or of `path` itself where it is that file."""
    if Path(path).is_file() and Path(path).name == member.rpartition("/")[2]:
        return Path(path).read_bytes()
    store = MediaStore(path, _TABLE)
    try:
        if not store.packed:
            return store.medium(member).read()
        for stream, info in open_tar(path):
            if info.name == member or info.name.endswith(f"/{member}"):
                return tar_medium(path, stream, info, _TABLE, False).read()
        raise BadItem("no such file")
    except BadItem as failure:
        raise UserError(f"{path}: {member}: {failure}; is this the published archive?") from failure


def read_json(path: str, member: str) -> Any:
    """Parse a JSON file of an archive."""
    try:
        return json.loads(read_member(path, member))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: {member} is not valid JSON ({error})") from error


def mscoco(
    options: Mscoco, files: dict[str, str], limits: Limits, prompts: None = None
) -> tuple[int, Iterator[Item]]:
    """MSCOCO 2017, all captions of a picture in the order of the annotation file.

    The order of the pictures is that of their ids, as torchvision's reader has it, or with
    `order: annotations` that in which the annotation file first names them, as in the published
    code of Fig. 1 and Table 1.
    """
    split = options.split
    notes = read_json(files["captions"], f"captions_{split}2017.json")
    try:
        names = {image["id"]: image["file_name"] for image in notes["images"]}
        captions: dict[int, list[str]] = {}
        for note in notes["annotations"]:
            captions.setdefault(note["image_id"], []).append((note["caption"] or "").strip())
    except (KeyError, TypeError, AttributeError) as error:
        raise _strange(files["captions"], "images and annotations", error) from error
    order = sorted(names) if options.order == "id" else list(captions)
    store = MediaStore(files["pictures"], limits)
    wanted = {names.get(number, f"{number:012d}.jpg"): number for number in order}

    def items() -> Iterator[Item]:
        for name, medium in store.stream(wanted):
            yield Item(name, {"image": medium}, captions.get(wanted[name], []))

    return len(wanted), items()


def flickr8k(
    options: Published, files: dict[str, str], limits: Limits, prompts: None = None
) -> tuple[int, Iterator[Item]]:
    """Flickr8k (Hodosh et al. 2013): five captions a picture, and its own three splits."""
    captions = _tokens(files["captions"], "Flickr8k.token.txt")
    if options.split != "all":
        name = {"train": "train", "val": "dev", "test": "test"}[options.split]
        text = _decode(files["captions"], f"Flickr_8k.{name}Images.txt")
        captions = {line: captions.get(line, []) for line in text.split()}
    return _captioned(files["pictures"], limits, captions)


def flickr30k(
    options: Published, files: dict[str, str], limits: Limits, prompts: None = None
) -> tuple[int, Iterator[Item]]:
    """Flickr30k (Young et al. 2014): five captions a picture, Karpathy's splits."""
    captions = _tokens(files["captions"], "results_20130124.token")
    if options.split != "all":
        splits = read_json(files["splits"], "dataset_flickr30k.json")["images"]
        names = [image["filename"] for image in splits if image["split"] == options.split]
        captions = {name: captions.get(name, []) for name in names}
    return _captioned(files["pictures"], limits, captions)


def _tokens(path: str, member: str) -> dict[str, list[str]]:
    """Read lines `picture.jpg#0<tab>caption` into picture -> captions."""
    captions: dict[str, list[str]] = {}
    # Not splitlines(), which also parts at characters that a caption may hold.
    for number, line in enumerate(_decode(path, member).split("\n"), 1):
        if not line.strip():
            continue
        name, tab, caption = line.partition("\t")
        if not tab or "#" not in name:
            raise UserError(f"{path}: {member}, line {number}: not `picture#number<tab>caption`")
        # Flickr8k's file names one picture as x.jpg.1#0, which is no file of that name.
        captions.setdefault(name.partition("#")[0], []).append(caption.strip())
    return captions


def _decode(path: str, member: str) -> str:
    try:
        return read_member(path, member).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: {member} is not UTF-8 (byte {error.start})") from error


def _captioned(
    pictures: str, limits: Limits, captions: dict[str, list[str]]
) -> tuple[int, Iterator[Item]]:
    store = MediaStore(pictures, limits)

    def items() -> Iterator[Item]:
        for name, medium in store.stream(captions):
            yield Item(name, {"image": medium}, captions[name])

    return len(captions), items()


def msr_vtt(
    options: MsrVtt, files: dict[str, str], limits: Limits, prompts: None = None
) -> tuple[int, Iterator[Item]]:
    """MSR-VTT (Xu et al. 2016): clips with twenty captions.

    `test_1ka` is the test split of 1,000 clips with one caption each that retrieval is usually
    measured on. With `joined`, the captions of a clip become one text, put together with ". ", as
    in the published code of Fig. 1.
    """
    split = options.split
    if split == "test_1ka":
        text = _decode(files["captions"], "MSRVTT_JSFUSION_test.csv")
        rows = read_records(files["captions"], ("video_id", "sentence"), text)
        captions = {row["video_id"]: [row["sentence"].strip()] for row in rows}
    else:
        data = read_json(files["captions"], "MSRVTT_data.json")
        try:
            chosen = [v["video_id"] for v in data["videos"] if split in ("all", v["split"])]
            captions = {name: [] for name in chosen}
            for sentence in data["sentences"]:
                if sentence["video_id"] in captions:
                    captions[sentence["video_id"]].append((sentence["caption"] or "").strip())
        except (KeyError, TypeError) as error:
            raise _strange(files["captions"], "videos and sentences", error) from error
    if options.joined:
        captions = {name: [". ".join(texts)] for name, texts in captions.items()}
    store = MediaStore(files["clips"], limits)

    def items() -> Iterator[Item]:
        for name, medium in store.stream(f"{name}.mp4" for name in captions):
            video = name.removesuffix(".mp4")
            yield Item(video, {"video": medium}, captions[video])

    return len(captions), items()


def hateful_memes(
    options: Published, files: dict[str, str], limits: Limits, prompts: dict[str, Any]
) -> tuple[int, Iterator[Item]]:
    """Hateful Memes (Kiela et al. 2020): the text on a meme is its caption."""
    classes = list(prompts["classes"])
    text = _decode(files["archive"], f"{options.split}.jsonl")
    try:
        lines = [json.loads(line) for line in text.split("\n") if line.strip()]
        rows = {row["img"]: row for row in lines}
    except (ValueError, KeyError, TypeError) as error:
        raise _strange(files["archive"], "id, img, label and text", error) from error
    store = MediaStore(files["archive"], limits)

    def items() -> Iterator[Item]:
        for name, medium in store.stream(rows):
            row = rows[name]
            label = row.get("label")  # the test split of the challenge has none
            known = isinstance(label, int) and 0 <= label < len(classes)
            yield Item(
                name,
                {"image": medium},
                [(row.get("text") or "").strip()],
                {"label": classes[label] if known else None},
                None if known else f"label {label!r} is not among the classes",
            )

    return len(rows), items()


def _strange(path: str, wanted: str, error: Exception) -> UserError:
    return UserError(
        f"{path} does not hold {wanted} as published ({type(error).__name__}: {error})"
    )
