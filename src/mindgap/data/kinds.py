"""The kinds of data sets: which modalities each has, which files it needs, who reads it.

Light enough for the moment when the workflow is planned: nothing is opened here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mindgap.data.patterns import expand

Options = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of data set.

    Attributes
    ----------
    reader
        module:function that takes (options, files, limits, prompts) and returns the number of
        items, or None, and an iterator of them.
    modalities
        Columns that an encoder can embed.
    files
        Role -> (source, file) of workflow/sources.yaml, or a path of the user's own.
    keep
        Whether the pairs hold the bytes of the media, or references to files of several GB.
    own_bar
        The reader shows a bar of its own, in bytes, because it can't count its items beforehand.
    """

    reader: str
    modalities: Callable[[Options], tuple[str, ...]]
    files: Callable[[Options], dict[str, tuple[str, str] | str]]
    keep: Callable[[Options], str] = lambda options: "bytes"
    own_bar: bool = False


def _captioned(options: Options) -> tuple[str, ...]:
    return ("image", "text")


def _fixed(*modalities: str) -> Callable[[Options], tuple[str, ...]]:
    return lambda options: modalities


def _references(options: Options) -> str:
    return "references"


def _shard_keep(options: Options) -> str:
    """A compressed tar knows no places, so that nothing can refer to its members."""
    plain = all(path.endswith(".tar") for path in expand(options["shards"]))
    return "references" if plain else "bytes"


def _folder_modalities(options: Options) -> tuple[str, ...]:
    text = () if options.get("columns", {}).get("text", "text") is None else ("text",)
    return (options["modality"], *text)


def _shard_modalities(options: Options) -> tuple[str, ...]:
    fields = options.get("fields") or {"image": "", "text": ""}
    return tuple(m for m in ("image", "video", "audio", "text") if fields.get(m) is not None)


def _flickr30k(options: Options) -> dict[str, tuple[str, str] | str]:
    files = {
        "pictures": ("flickr30k", "flickr30k-images.tar.gz"),
        "captions": ("flickr30k", "flickr30k.tar.gz"),
    }
    if options["split"] != "all":
        files["splits"] = ("karpathy-splits", "caption_datasets.zip")
    return files


def _mnist(options: Options) -> dict[str, tuple[str, str] | str]:
    part = {"train": "train", "test": "t10k"}[options.get("pictures", options["split"])]
    return {
        "pictures": ("mnist", f"{part}-images-idx3-ubyte.gz"),
        "labels": ("mnist", f"{part}-labels-idx1-ubyte.gz"),
    }


_FSDD = {"sounds": ("fsdd", "v1.0.10.zip")}


def _hub_files(options: Options) -> dict[str, tuple[str, str] | str]:
    if "path" in options:
        return {"snapshot": options["path"]}
    return {"snapshot": f"data/hub/{snapshot_name(options)}.json"}


def snapshot_name(options: Options) -> str:
    """Name of a hub data set's folder below data/hub: one a revision, shared by all runs."""
    return f"{options['name'].replace('/', '--')}@{options['revision']}"


KINDS: dict[str, Kind] = {
    "shapes": Kind("", _fixed("image", "text", "audio", "video"), lambda o: {}),
    "digits": Kind("", _captioned, lambda o: {}),
    "folder": Kind(
        "mindgap.data.folder:folder",
        _folder_modalities,
        lambda o: {"media": o["media"], "table": o["table"]},
    ),
    "webdataset": Kind(
        "mindgap.data.shards:webdataset",
        _shard_modalities,
        lambda o: {f"{i:06d}": path for i, path in enumerate(expand(o["shards"]))},
        _shard_keep,
        own_bar=True,
    ),
    "huggingface": Kind("mindgap.data.hub:huggingface", _shard_modalities, _hub_files),
    "mscoco": Kind(
        "mindgap.data.captioned:mscoco",
        _captioned,
        lambda o: {
            "pictures": ("mscoco", f"{o['split']}2017.zip"),
            "captions": ("mscoco", "annotations_trainval2017.zip"),
        },
        lambda o: "references" if o["split"] == "train" else "bytes",
    ),
    "flickr8k": Kind(
        "mindgap.data.captioned:flickr8k",
        _captioned,
        lambda o: {
            "pictures": ("flickr8k", "Flickr8k_Dataset.zip"),
            "captions": ("flickr8k", "Flickr8k_text.zip"),
        },
    ),
    "flickr30k": Kind("mindgap.data.captioned:flickr30k", _captioned, _flickr30k),
    "msr_vtt": Kind(
        "mindgap.data.captioned:msr_vtt",
        _fixed("video", "text"),
        lambda o: {
            "clips": ("msr-vtt", "MSRVTT.zip"),
            "captions": ("msr-vtt", "msrvtt_data.zip"),
        },
        _references,
    ),
    "hateful_memes": Kind(
        "mindgap.data.captioned:hateful_memes",
        _captioned,
        lambda o: {"archive": ("hateful-memes", "hateful_memes.zip")},
    ),
    "cifar10": Kind(
        "mindgap.data.labelled:cifar10",
        _captioned,
        lambda o: {"archive": ("cifar10", "cifar-10-binary.tar.gz")},
    ),
    "cifar100": Kind(
        "mindgap.data.labelled:cifar100",
        _captioned,
        lambda o: {"archive": ("cifar100", "cifar-100-binary.tar.gz")},
    ),
    "svhn": Kind(
        "mindgap.data.labelled:svhn",
        _captioned,
        lambda o: {"table": ("svhn", f"{o['split']}_32x32.mat")},
    ),
    "mnist": Kind("mindgap.data.labelled:mnist", _captioned, _mnist),
    "eurosat": Kind(
        "mindgap.data.labelled:eurosat",
        _captioned,
        lambda o: {"pictures": ("eurosat", "EuroSAT.zip")},
    ),
    "imagenet": Kind(
        "mindgap.data.labelled:imagenet",
        _captioned,
        lambda o: {
            "pictures": ("imagenet", "ILSVRC2012_img_val.tar"),
            "devkit": ("imagenet", "ILSVRC2012_devkit_t12.tar.gz"),
        },
        _references,
    ),
    "fairface": Kind(
        "mindgap.data.labelled:fairface",
        _captioned,
        lambda o: {
            "pictures": ("fairface", f"fairface-img-margin{o.get('margin', '025')}-trainval.zip"),
            "labels": ("fairface", f"fairface_label_{o['split']}.csv"),
        },
    ),
    "fsdd": Kind("mindgap.data.spoken:fsdd", _fixed("audio", "text"), lambda o: _FSDD),
    "mnist_fsdd": Kind(
        "mindgap.data.spoken:mnist_fsdd",
        _fixed("image", "audio", "text"),
        lambda o: _mnist(o) | _FSDD,
    ),
    "spoken_scenes": Kind(
        "mindgap.data.spoken_scenes:spoken_scenes",
        _fixed("image", "audio", "text"),
        lambda o: _mnist({"split": "test"}) | _FSDD,
    ),
    "places_audio": Kind(
        "mindgap.data.spoken:places_audio",
        _fixed("image", "audio", "text"),
        lambda o: {
            "pictures": ("places-audio", "Places205"),
            "sounds": ("places-audio", "PlacesAudio_400k_distro"),
        },
        _references,
    ),
    "smit": Kind(
        "mindgap.data.spoken:smit",
        _fixed("video", "audio", "text"),
        lambda o: {
            "clips": ("s-mit", "videos"),
            "sounds": ("s-mit", "audio"),
            "table": ("s-mit", f"{o['split']}.csv"),
        },
        _references,
    ),
    "uniprot": Kind(
        "mindgap.data.reports:uniprot",
        _fixed("protein", "text"),
        lambda o: {"table": ("clasp", "uniprot_100_reduced.csv")},
    ),
    "mimic_cxr": Kind(
        "mindgap.data.reports:mimic_cxr",
        _captioned,
        lambda o: {
            "pictures": ("mimic-cxr", "files"),
            "reports": ("mimic-cxr", "mimic-cxr-reports.zip"),
            "splits": ("mimic-cxr", "mimic-cxr-2.0.0-split.csv.gz"),
        },
        _references,
    ),
}
