"""Stand-ins for pictures and clips with captions: MSCOCO, Flickr8k, Flickr30k, MSR-VTT, memes."""

from __future__ import annotations

import json
from pathlib import Path

from mindgap.rehearsal.made import caption, film, pack_tar, pack_zip, picture

#: Pictures of a split: enough for a batch of every landscape and for a bootstrap.
ITEMS = 60
CLIPS = 40
_CAPTIONS = 5


def mscoco(folder: Path, names: set[str]) -> None:
    """MSCOCO 2017: a zip of JPEG files for each split, one zip of annotations for both.

    Pictures stand in another order than their ids, some are grey, one has six captions, and
    captions end in blanks and line breaks, as in the published files.
    """
    notes = {"annotations/instances_val2017.json": json.dumps({"images": []})}
    for split, first in (("val", 139), ("train", 9)):
        ids = [first + 37 * k for k in range(ITEMS)]
        images = [
            {"id": i, "file_name": f"{i:012d}.jpg", "height": 48, "width": 64, "license": 4}
            for i in [*ids[1::2], *ids[::2]]
        ]
        said = [
            {
                "image_id": i,
                "id": 1000 * k + n,
                "caption": caption(k + ITEMS * n) + ("", " ", ".\n")[n % 3],
            }
            for n in range(_CAPTIONS)
            for k, i in enumerate(reversed(ids))
        ]
        said.append({"image_id": ids[3], "id": 99, "caption": "The sixth one"})
        info = {"info": {"year": 2017}, "licenses": [], "images": images, "annotations": said}
        notes[f"annotations/captions_{split}2017.json"] = json.dumps(info)
        if f"{split}2017.zip" in names:
            media = {
                f"{split}2017/{i:012d}.jpg": picture(i, mode="L" if k % 20 == 4 else "RGB")
                for k, i in enumerate(ids)
            }
            pack_zip(folder / f"{split}2017.zip", media)
    pack_zip(folder / "annotations_trainval2017.zip", notes)


def _tokens(names: list[str]) -> str:
    lines = [
        f"{name}#{n}\t{caption(k + 100 * n)} .\n" for k, name in enumerate(names) for n in range(5)
    ]
    return "".join(lines)


def flickr8k(folder: Path, names: set[str]) -> None:
    """Flickr8k: the captions name one picture that no file is called like; a Mac packed the zip."""
    splits = {"train": 12, "dev": 12, "test": ITEMS}
    files, number = {split: [] for split in splits}, 667626
    for split, count in splits.items():
        for _ in range(count):
            number += 911
            files[split].append(f"{number}_18933d713e.jpg")
    every = [name for some in files.values() for name in some]
    text = {
        "readme.txt": "stand-in",
        "Flickr8k.token.txt": _tokens([*every, "2258277193_586949ec62.jpg.1"]),
        "__MACOSX/._readme.txt": b"\0",
        **{f"Flickr_8k.{split}Images.txt": "\n".join(files[split]) + "\n" for split in files},
    }
    media = {f"Flicker8k_Dataset/{name}": picture(k) for k, name in enumerate(every)}
    media["__MACOSX/Flicker8k_Dataset/._1.jpg"] = b"\0"
    pack_zip(folder / "Flickr8k_text.zip", text)
    pack_zip(folder / "Flickr8k_Dataset.zip", media)


def flickr30k(folder: Path, names: set[str]) -> None:
    """Flickr30k: two compressed tars, whose order is not that of the captions."""
    every = [f"{1000092795 + 77 * k}.jpg" for k in range(ITEMS + 24)]
    media = {f"flickr30k-images/{name}": picture(k) for k, name in enumerate(reversed(every))}
    pack_tar(folder / "flickr30k-images.tar.gz", media)
    pack_tar(folder / "flickr30k.tar.gz", {"results_20130124.token": _tokens(every)})


def karpathy_splits(folder: Path, names: set[str]) -> None:
    """Karpathy's splits: one JSON file for each set, of which Flickr30k's is read."""
    parts = ["test"] * ITEMS + ["train"] * 12 + ["val"] * 12
    images = [
        {"filename": f"{1000092795 + 77 * k}.jpg", "split": part, "imgid": k}
        for k, part in enumerate(parts)
    ]
    members = {
        f"dataset_{name}.json": json.dumps({"images": images, "dataset": name})
        for name in ("flickr30k", "flickr8k", "coco")
    }
    pack_zip(folder / "caption_datasets.zip", members)


def msr_vtt(folder: Path, names: set[str]) -> None:
    """MSR-VTT: clips of all splits in one folder, twenty captions each, and the list 1k-A."""
    splits = {"train": CLIPS, "validate": 8, "test": CLIPS}
    parts = [part for part, count in splits.items() for _ in range(count)]
    videos = [
        {"video_id": f"video{k}", "split": part, "category": k % 20, "id": k}
        for k, part in enumerate(parts)
    ]
    sentences = [
        {"caption": caption(k + 7 * n).lower(), "video_id": f"video{k}", "sen_id": 20 * k + n}
        for n in range(20)
        for k in range(len(parts))
    ]
    listed = [k for k, part in enumerate(parts) if part == "test"]
    rows = [f"ret{n},msr{k},video{k},{caption(k).lower()}" for n, k in enumerate(listed)]
    csv = "key,vid_key,video_id,sentence\n" + "\n".join(rows) + "\n"
    data = {"info": {}, "videos": videos, "sentences": sentences}
    pack_zip(
        folder / "msrvtt_data.zip",
        {
            "msrvtt_data/MSRVTT_data.json": json.dumps(data),
            "msrvtt_data/MSRVTT_JSFUSION_test.csv": csv,
            "msrvtt_data/MSRVTT_train.9k.csv": "video_id\nvideo0\n",
        },
    )
    clips = {f"MSRVTT/videos/all/video{k}.mp4": film(k) for k in range(len(parts))}
    pack_zip(folder / "MSRVTT.zip", clips)


def hateful_memes(folder: Path, names: set[str]) -> None:
    """Hateful Memes: PNG files, a file of JSON lines for each split; `test` hides its labels."""
    files: dict[str, bytes | str] = {}
    for part, first in (("train", 0), ("dev_seen", 100), ("test_seen", 200), ("test", 300)):
        lines = []
        for k in range(first, first + 40):
            line = {"id": 1000 + k, "img": f"img/{1000 + k:05d}.png", "text": caption(k).lower()}
            lines.append(line if part == "test" else {**line, "label": k % 2})
            files[line["img"]] = picture(k, form="PNG")
        files[f"{part}.jsonl"] = "\n".join(map(json.dumps, lines)) + "\n"
    for part in ("dev", "dev_unseen", "test_unseen"):
        files[f"{part}.jsonl"] = files["dev_seen.jsonl"]
    pack_zip(folder / "hateful_memes.zip", files)
