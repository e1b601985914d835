"""Fill a mirror with a small stand-in for everything that a run downloads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mindgap.config.run import Run
from mindgap.data.hub import FIELDS
from mindgap.data.kinds import snapshot_name
from mindgap.data.sources import checkpoint_folder, shipped_file
from mindgap.rehearsal import captioned, labelled, other
from mindgap.rehearsal.checkpoints import find_published, make_checkpoint
from mindgap.rehearsal.made import caption, film, picture, sound
from mindgap.runtime.errors import UserError, refuse
from mindgap.runtime.files import sha256

#: Source of workflow/sources.yaml -> what writes its files, given a folder and their names.
MAKERS: dict[str, Callable[[Path, set[str]], None]] = {
    "mscoco": captioned.mscoco,
    "flickr8k": captioned.flickr8k,
    "flickr30k": captioned.flickr30k,
    "karpathy-splits": captioned.karpathy_splits,
    "msr-vtt": captioned.msr_vtt,
    "hateful-memes": captioned.hateful_memes,
    "cifar10": labelled.cifar10,
    "cifar100": labelled.cifar100,
    "svhn": labelled.svhn,
    "mnist": labelled.mnist,
    "eurosat": labelled.eurosat,
    "imagenet": labelled.imagenet,
    "fairface": labelled.fairface,
    "fsdd": other.fsdd,
    "places-audio": other.places_audio,
    "s-mit": other.smit,
    "clasp": other.clasp,
    "mimic-cxr": other.mimic_cxr,
    "mind-the-gap-features": other.features,
    "cifar10-clip": other.cifar10_clip,
    "clip-pairs-fashion": other.clip_pairs,
}
_HUB_ITEMS = 40


def fill_mirror(run: Run, mirror: Path) -> list[str]:
    """Write the stand-ins of a run below `mirror`, and say which of them are guesses."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for source, name in run.places:
        if shipped_file(source, name) is None:
            wanted[source].add(name)
    refuse(
        [
            f"rehearsal: nothing stands in for the source {source!r} of workflow/sources.yaml; "
            "add it to mindgap.rehearsal.standins"
            for source in wanted
            if source not in MAKERS
        ]
    )
    for source, names in wanted.items():
        MAKERS[source](mirror / source, names)
        if lacking := sorted(n for n in names if not (mirror / source / n).exists()):
            raise UserError(f"rehearsal: the stand-in for {source} has no {', '.join(lacking)}")
    for options in run.sets.values():
        if options["kind"] == "huggingface" and "name" in options:
            _hub_set(mirror / "hub" / snapshot_name(options), options)
    return _checkpoints(run, mirror)


def _checkpoints(run: Run, mirror: Path) -> list[str]:
    notes = []
    for options in run.checkpoints.values():
        name = options["checkpoint"]
        published, known = find_published(options)
        place = mirror / "models" / checkpoint_folder(name, options["revision"])
        make_checkpoint(published, place)
        if not known:
            notes.append(f"{name}: what it is like is not known; a {published.family} stands in")
    return notes


def _hub_set(folder: Path, options: dict[str, Any]) -> None:
    """A data set of the hub as a parquet file with the columns that the configuration names."""
    from datasets import Audio, Dataset, Image, Video

    fields = {k: v for k, v in (options.get("fields") or FIELDS).items() if v is not None}
    make: dict[str, tuple[Callable[[int], Any], Any]] = {
        "image": (picture, Image()),
        "audio": (sound, Audio()),
        "video": (film, Video()),
        "text": (caption, None),
        "label": (lambda k: f"class {k % 4}", None),
        "group": (lambda k: f"group {k % 2}", None),
    }
    columns, features = {}, {}
    for column, name in fields.items():
        value, feature = make[column]
        rows = [value(k) for k in range(_HUB_ITEMS)]
        columns[name] = [{"bytes": row, "path": None} for row in rows] if feature else rows
        features[name] = feature
    rows = Dataset.from_dict(columns)
    for name, feature in features.items():
        if feature is not None:
            rows = rows.cast_column(name, feature)
    split, place = options["split"], f"data/{options['split']}-00000-of-00001.parquet"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    rows.to_parquet(folder / place)
    config = options.get("config") or "default"
    head = (
        f"configs:\n- config_name: {config}\n  data_files:\n  - split: {split}\n    path: {place}"
    )
    (folder / "README.md").write_text(f"---\n{head}\n---\n", encoding="utf-8")


def restate_sources(table: dict[str, Any], mirror: Path) -> dict[str, Any]:
    """workflow/sources.yaml with the sizes and checksums of the stand-ins."""
    found = {}
    for source, entry in table.items():
        files = {}
        for name, row in entry["files"].items():
            path = mirror / source / name
            if path.is_file():
                row = {k: v for k, v in row.items() if k not in ("md5", "about")}
                row |= {"bytes": path.stat().st_size, "sha256": sha256(path)}
            files[name] = row
        found[source] = {**entry, "files": files}
    return found


def size_of(mirror: Path) -> int:
    """Bytes of all stand-ins."""
    return sum(p.stat().st_size for p in mirror.rglob("*") if p.is_file())
