"""Stand-ins for labelled pictures: CIFAR, SVHN, MNIST, EuroSAT, ImageNet, FairFace."""

from __future__ import annotations

import gzip
import io
import struct
from itertools import product
from pathlib import Path

import numpy as np

from mindgap.rehearsal.made import pack_tar, pack_zip, picture, pixels, write

_RACES = (
    *("White", "Black", "Latino_Hispanic", "East Asian", "Southeast Asian"),
    *("Indian", "Middle Eastern"),
)
_LAND = (
    *("AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial", "Pasture"),
    *("PermanentCrop", "Residential", "River", "SeaLake"),
)


def _records(first: int, count: int, heads: list[tuple[int, ...]]) -> bytes:
    rows = []
    for k in range(count):
        planes = np.ascontiguousarray(pixels(first + k, 32).transpose(2, 0, 1))
        rows.append(bytes(heads[k % len(heads)]) + planes.tobytes())
    return b"".join(rows)


def cifar10(folder: Path, names: set[str]) -> None:
    """CIFAR-10, binary version: five batches for training and one for the test."""
    heads = [(k,) for k in range(10)]
    files = {
        f"cifar-10-batches-bin/data_batch_{n}.bin": _records(100 * n, 10, heads)
        for n in range(1, 6)
    }
    files["cifar-10-batches-bin/test_batch.bin"] = _records(0, 40, heads)
    files["cifar-10-batches-bin/batches.meta.txt"] = "airplane\nautomobile\n"
    files["cifar-10-batches-bin/readme.html"] = "stand-in"
    pack_tar(folder / "cifar-10-binary.tar.gz", files)


def cifar100(folder: Path, names: set[str]) -> None:
    """CIFAR-100, binary version: a coarse and a fine label before the pixels."""
    heads = [(k // 5, k) for k in range(100)]
    files = {
        "cifar-100-binary/train.bin": _records(1000, 100, heads),
        "cifar-100-binary/test.bin": _records(2000, 100, heads),
        "cifar-100-binary/fine_label_names.txt": "apple\n",
    }
    pack_tar(folder / "cifar-100-binary.tar.gz", files)


def svhn(folder: Path, names: set[str]) -> None:
    """SVHN, cropped digits: MATLAB files in which the label of a zero is 10."""
    from scipy.io import savemat

    for name in sorted(names):
        pictures = np.stack([pixels(k, 32) for k in range(40)], axis=-1)
        labels = (np.arange(40, dtype=np.uint8) % 10 + 1)[:, None]
        stream = io.BytesIO()
        savemat(stream, {"X": pictures, "y": labels})
        # The first line of the file says when it was written.
        write(folder / name, b"stand-in".ljust(116) + stream.getvalue()[116:])


def mnist(folder: Path, names: set[str]) -> None:
    """MNIST: gzipped idx files of grey pictures and of their digits; all ten in any 15 %."""
    for name in sorted(names):
        labels = np.arange(100, dtype=np.uint8) % 10
        grey = np.stack([pixels(k, 28, 1)[..., 0] for k in range(100)])
        data = labels if "labels" in name else grey
        head = struct.pack(f">HBB{data.ndim}I", 0, 8, data.ndim, *data.shape)
        write(folder / name, gzip.compress(head + data.tobytes(), mtime=0))


def eurosat(folder: Path, names: set[str]) -> None:
    """EuroSAT, RGB: a folder for each class."""
    files = {
        f"2750/{land}/{land}_{k}.jpg": picture(10 * n + k, (64, 64))
        for n, land in enumerate(_LAND)
        for k in range(1, 5)
    }
    pack_zip(folder / "EuroSAT.zip", files)


def imagenet(folder: Path, names: set[str]) -> None:
    """ImageNet 2012: a tar of the validation pictures and the kit with a tree of classes.

    Two of the classes share a first word, and inner nodes stand behind the leaves.
    """
    from scipy.io import savemat

    words = [f"thing {k}, res {k}" for k in range(10)] + ["crane", "crane"]
    wnids = [f"n{1440764 + 113 * k:08d}" for k in range(10)] + ["n02012849", "n03126707"]
    leaves = [
        (k + 1, w, n, "a gloss", 0) for k, (w, n) in enumerate(zip(wnids, words, strict=True))
    ]
    inner = [(1001, "n00001740", "entity", "a gloss", 2), (1002, "n00001930", "matter", "", 5)]
    fields = ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children")
    synsets = np.array([*leaves, *inner], dtype=[(name, "O") for name in fields])
    stream = io.BytesIO()
    savemat(stream, {"synsets": synsets[:, None]})
    meta = b"stand-in".ljust(116) + stream.getvalue()[116:]
    numbers = [k % 12 + 1 for k in range(48)]
    kit = "ILSVRC2012_devkit_t12/data"
    truth = "\n".join(map(str, numbers)) + "\n"
    pack_tar(
        folder / "ILSVRC2012_devkit_t12.tar.gz",
        {f"{kit}/meta.mat": meta, f"{kit}/ILSVRC2012_validation_ground_truth.txt": truth},
    )
    media = {
        f"ILSVRC2012_val_{k:08d}.JPEG": picture(k, mode="CMYK" if k == 9 else "RGB")
        for k in range(1, 49)
    }
    pack_tar(folder / "ILSVRC2012_img_val.tar", media)


def fairface(folder: Path, names: set[str]) -> None:
    """FairFace: a zip of both splits and a table for each; every group has twelve faces."""
    people = [(r, g) for _ in range(6) for r, g in product(_RACES, ("Male", "Female"))]
    for split in ("val", "train"):
        rows = [f"{split}/{k}.jpg,20-29,{g},{r},True" for k, (r, g) in enumerate(people, 1)]
        if f"fairface_label_{split}.csv" in names:
            table = "file,age,gender,race,service_test\n" + "\n".join(rows) + "\n"
            write(folder / f"fairface_label_{split}.csv", table)
    media = {
        f"{split}/{k}.jpg": picture(k)
        for split in ("val", "train")
        for k in range(1, len(people) + 1)
    }
    for name in sorted(n for n in names if n.endswith(".zip")):
        pack_zip(folder / name, media)
