"""Readers of labelled pictures: CIFAR, SVHN, MNIST, EuroSAT, ImageNet, FairFace.

The text of an item is the published prompt of its class, so that every measure of pairs applies;
retrieval then says little, because many items share a text.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
from PIL import Image

from mindgap.config.datasets import Fairface, Labelled
from mindgap.data.captioned import read_member
from mindgap.data.items import Item
from mindgap.data.medium import Limits, Medium, held, hidden
from mindgap.data.prompts import fill
from mindgap.data.store import MediaStore
from mindgap.data.tables import gunzip, read_records
from mindgap.data.tars import open_tar
from mindgap.runtime.errors import UserError

Read = tuple[int, Iterator[Item]]


def encode_png(picture: np.ndarray) -> bytes:
    """Encode a uint8 array of shape (h, w) or (h, w, 3) without loss."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def _labelled(
    name: str, medium: Medium, label: int, prompts: dict[str, Any], **more: str | None
) -> Item:
    """An item of a class by its number, or a failed one where that class does not exist."""
    classes = prompts["classes"]
    if not 0 <= label < len(classes):
        return Item(name, problem=f"label {label} is none of the {len(classes)} classes")
    return _named(name, medium, classes[label], prompts, **more)


def _named(
    name: str, medium: Medium, label: str, prompts: dict[str, Any], **more: str | None
) -> Item:
    caption = fill(prompts["template"], label)
    return Item(name, {"image": medium}, [caption], {"label": label, **more})


def cifar10(options: Labelled, files: dict, limits: Limits, prompts: dict) -> Read:
    """CIFAR-10, binary version: records of one label byte and 3 x 32 x 32 pixels."""
    return _cifar(options, files, prompts, 1, 0, {"train": "data_batch_", "test": "test_batch"})


def cifar100(options: Labelled, files: dict, limits: Limits, prompts: dict) -> Read:
    """CIFAR-100, binary version: records of a coarse and a fine label byte and the pixels."""
    return _cifar(options, files, prompts, 2, 1, {"train": "train.bin", "test": "test.bin"})


def _cifar(
    options: Labelled, files: dict, prompts: dict, labels: int, place: int, names: dict[str, str]
) -> Read:
    size = labels + 3072
    split = options.split
    wanted = list(names.values()) if split == "all" else [names[split]]
    total = sum(length // size for _, length, _ in _records(files["archive"], wanted))

    def items() -> Iterator[Item]:
        for member, _, stream in _records(files["archive"], wanted):
            row = 0
            while record := stream.read(size):
                name = f"{member.removesuffix('.bin')}/{row:05d}"
                row += 1
                if len(record) < size:
                    yield Item(name, problem=f"a record of {len(record)} bytes, not {size}")
                    continue
                pixels = np.frombuffer(record, np.uint8, 3072, labels).reshape(3, 32, 32)
                medium = held(encode_png(np.ascontiguousarray(pixels.transpose(1, 2, 0))))
                yield _labelled(name, medium, record[place], prompts)

    if not total:
        raise UserError(
            f"{files['archive']} holds no {' or '.join(wanted)}; give the binary version, "
            "because the Python version is pickled"
        )
    return total, items()


def _records(path: str, wanted: list[str]) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Name, length and stream of each wanted .bin file of a tar or of its unpacked folder."""

    def fits(name: str) -> bool:
        return name.endswith(".bin") and name.startswith(tuple(wanted))

    if Path(path).is_dir():
        for file in sorted(p for p in Path(path).rglob("*.bin") if fits(p.name)):
            with open(file, "rb") as stream:
                yield file.name, file.stat().st_size, stream
        return
    for archive, info in open_tar(path):
        if fits(PurePosixPath(info.name).name) and info.isreg():
            yield PurePosixPath(info.name).name, info.size, archive.extractfile(info)


def svhn(options: Labelled, files: dict, limits: Limits, prompts: dict) -> Read:
    """SVHN, cropped digits: a MATLAB file of X (32, 32, 3, n) and y (n, 1), where 10 is a zero.

    The array is held as a whole, as MATLAB's format has it: 80 MB for `test`, 1.6 GB for `extra`.
    """
    table = _matlab(files["table"], files["table"], "X", "y")
    pictures, labels = table["X"], table["y"].ravel()
    if pictures.ndim != 4 or pictures.shape[2] != 3 or pictures.shape[3] != len(labels):
        raise UserError(
            f"{files['table']}: X has the shape {pictures.shape} and y {len(labels)} rows; "
            "expected (32, 32, 3, n) and n"
        )

    def items() -> Iterator[Item]:
        for row, label in enumerate(labels):
            medium = held(encode_png(np.ascontiguousarray(pictures[..., row])))
            number = 0 if label == 10 else int(label)
            yield _labelled(f"{options.split}/{row:06d}", medium, number, prompts)

    return len(labels), items()


def _matlab(file: str | io.BytesIO, path: str, *names: str) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        table = loadmat(file, variable_names=names, squeeze_me=names == ("synsets",))
    except Exception as error:  # each version of the format fails in its own way
        raise UserError(f"{path} is not a MATLAB file as published ({error})") from error
    if absent := [name for name in names if name not in table]:
        raise UserError(f"{path} is a MATLAB file without {' and '.join(absent)}")
    return table


def read_idx(path: str) -> np.ndarray:
    """Read an idx file (gzipped or not) of unsigned bytes: (n,) or (n, h, w)."""
    try:
        data = gunzip(Path(path).read_bytes())
        zero, kind, axes = struct.unpack(">HBB", data[:4])
        shape = struct.unpack(f">{axes}I", data[4 : 4 + 4 * axes])
        if zero or kind != 8:
            raise ValueError("not unsigned bytes")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise UserError(f"{path} is not an idx file of bytes as published ({error})") from error


def mnist_arrays(files: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (n, 28, 28) and labels uint8 (n,) of one part of MNIST."""
    pictures, labels = read_idx(files["pictures"]), read_idx(files["labels"])
    if pictures.ndim != 3 or labels.ndim != 1 or len(pictures) != len(labels):
        raise UserError(
            f"{files['pictures']} and {files['labels']} do not fit together: "
            f"shapes {pictures.shape} and {labels.shape}"
        )
    return pictures, labels


def mnist(options: Labelled, files: dict, limits: Limits, prompts: dict) -> Read:
    """MNIST: idx files of 28 x 28 grey pictures and their digits."""
    pictures, labels = mnist_arrays(files)

    def items() -> Iterator[Item]:
        for row, label in enumerate(labels):
            medium = held(encode_png(pictures[row]))
            yield _labelled(f"{options.split}/{row:05d}", medium, int(label), prompts)

    return len(labels), items()


def eurosat(options: Labelled, files: dict, limits: Limits, prompts: dict) -> Read:
    """EuroSAT, RGB: one folder a class, for example 2750/AnnualCrop/AnnualCrop_1.jpg."""
    return _by_folder(files["pictures"], limits, prompts, lambda name: (name, None))


def _by_folder(
    path: str, limits: Limits, prompts: dict, describe: Callable[[str], tuple[str, str | None]]
) -> Read:
    store = MediaStore(path, limits)
    folders = prompts["folders"]
    names = [
        name
        for name in store.names()
        if not hidden(name) and name.lower().endswith((".jpg", ".jpeg", ".png", ".tif"))
    ]

    def items() -> Iterator[Item]:
        for name, medium in store.stream(names):
            folder = PurePosixPath(name).parent.name
            if folder not in folders:
                yield Item(name, problem=f"{folder!r} is none of the {len(folders)} classes")
            else:
                yield _named(name, medium, folders[folder], prompts)

    return len(names), items()


def imagenet(options: Labelled, files: dict, limits: Limits, prompts: dict) -> Read:
    """ImageNet 2012 validation: one tar of pictures, and the development kit with their classes.

    A class is called by the first word of its synset; another name (CLIP's authors mended many)
    comes from `names` in workflow/prompts.yaml, by WordNet id. Where two classes still share a
    name, their ids tell them apart.
    """
    meta = read_member(files["devkit"], "data/meta.mat")
    truth = read_member(files["devkit"], "data/ILSVRC2012_validation_ground_truth.txt")
    synsets = _matlab(io.BytesIO(meta), f"{files['devkit']}: meta.mat", "synsets")["synsets"]
    own = prompts.get("names", {})
    rows = [row for row in np.atleast_1d(synsets) if int(row["num_children"]) == 0]
    names = [own.get(str(row["WNID"]), str(row["words"]).partition(",")[0]) for row in rows]
    leaves = {
        int(row["ILSVRC2012_ID"]): name if names.count(name) == 1 else f"{name} ({row['WNID']})"
        for row, name in zip(rows, names, strict=True)
    }
    numbers = [int(line) for line in truth.split()]
    wanted = {f"ILSVRC2012_val_{i:08d}.JPEG": n for i, n in enumerate(numbers, 1)}
    store = MediaStore(files["pictures"], limits)

    def items() -> Iterator[Item]:
        for name, medium in store.stream(wanted):
            if wanted[name] not in leaves:
                yield Item(name, problem=f"label {wanted[name]} is none of {len(leaves)} classes")
            else:
                yield _named(name, medium, leaves[wanted[name]], prompts)

    return len(wanted), items()


def fairface(options: Fairface, files: dict, limits: Limits, prompts: dict) -> Read:
    """FairFace (Karkkainen and Joo 2021): label = race and gender, group = race."""
    table = read_records(files["labels"], ("file", "race", "gender"))
    rows = {row["file"]: row for row in table}
    store = MediaStore(files["pictures"], limits)
    races, genders = prompts["races"], prompts["genders"]

    def items() -> Iterator[Item]:
        for name, medium in store.stream(rows):
            race, gender = rows[name]["race"], rows[name]["gender"]
            if race not in races or gender not in genders:
                yield Item(name, problem=f"{race}, {gender}: none of the classes")
            else:
                label = f"{races[race]} {genders[gender]}"
                yield _named(name, medium, label, prompts, group=races[race])

    return len(rows), items()
