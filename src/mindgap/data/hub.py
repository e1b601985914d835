"""The kind `huggingface`: a data set of the Hugging Face hub, by name and revision."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgap.config.datasets import Huggingface
from mindgap.data.items import Item
from mindgap.data.medium import BadItem, Limits, Medium, check_size, missing
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import sha256, write_json

_MEDIA = ("image", "audio", "video")
#: Columns of the set behind ours, unless the configuration says otherwise.
FIELDS = {"image": "image", "text": "text"}


def fetch_snapshot(
    name: str,
    revision: str,
    manifest: str | Path,
    patterns: list[str] | None = None,
    mirror: str | None = None,
) -> str:
    """Bring the files of a data set at one revision and return the commit behind it.

    They go to the folder that is called as the manifest without its suffix. The manifest, a list
    of all files with sizes and checksums, is written last: a folder without it is unfinished, and
    a second call goes on where the first one stopped. A mirror folder is asked first, for
    `hub/{the folder's name}`.
    """
    manifest = Path(manifest)
    target = manifest.with_suffix("")
    copy = Path(mirror or "", "hub", target.name)
    if mirror and copy.is_dir():
        shutil.copytree(copy, target, dirs_exist_ok=True)
        commit = revision
    else:
        commit = _download(name, revision, target, patterns)
    found = [p for p in sorted(target.rglob("*")) if p.is_file() and ".cache" not in p.parts]
    files = {
        p.relative_to(target).as_posix(): {"bytes": p.stat().st_size, "sha256": sha256(p)}
        for p in found
    }
    if not files:
        raise UserError(f"the data set {name} has no file that matches {patterns}")
    write_json(manifest, {"name": name, "commit": commit, "files": files})
    return commit


def _download(name: str, revision: str, target: Path, patterns: list[str] | None) -> str:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        commit = HfApi().dataset_info(name, revision=revision).sha
        snapshot_download(
            name,
            repo_type="dataset",
            revision=commit,
            local_dir=target,
            allow_patterns=patterns,
            max_workers=4,
        )
    except (HfHubHTTPError, OSError) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(
            f"the data set {name} at {revision} could not be fetched ({why}); check name, revision "
            "and access, or bring a copy and name it as `path` in place of `name`"
        ) from error
    return commit


def huggingface(
    options: Huggingface, files: dict[str, str], limits: Limits, prompts: None = None
) -> tuple[int | None, Iterator[Item]]:
    """Items of a fetched data set, streamed from its own files; nothing is converted or cached."""
    fields = options.fields.model_dump() if options.fields else FIELDS
    fields = {k: v for k, v in fields.items() if v is not None}
    place = Path(files["snapshot"])
    folder = place if place.is_dir() else place.with_suffix("")
    rows, features = _open(folder, options.config, options.split)
    _check_columns(folder, fields, features)
    rows = _undecoded(rows, fields).select_columns(list(dict.fromkeys(fields.values())))
    info = getattr(rows.info, "splits", None) or {}
    count = getattr(info.get(options.split), "num_examples", None)
    return count, _items(rows, folder, fields, features, limits)


def _open(folder: Path, config: str | None, split: str) -> tuple[Any, Any]:
    """Rows of one split, and what its columns hold."""
    # Set before the library is imported, which reads them once.
    os.environ.update(HF_DATASETS_OFFLINE="1", HF_HUB_OFFLINE="1")
    from datasets import load_dataset

    try:
        rows = load_dataset(str(folder), config, split=split, streaming=True)
        return rows, rows.features or rows._resolve_features().features
    except Exception as error:  # each of the library's formats fails in its own way
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{folder} cannot be read as a data set ({why})") from error


def _check_columns(folder: Path, fields: dict[str, str], features: Any) -> None:
    for column, name in fields.items():
        if name not in features:
            raise UserError(
                f"{folder} has no column {name!r} for {column} (it has: {', '.join(features)})"
            )
        if column in _MEDIA and not _holds_media(features[name]):
            raise UserError(
                f"{folder}: the column {name!r} holds {features[name]} and no media; give the set "
                "media columns, or bring it as a folder with a table"
            )


def _undecoded(rows: Any, fields: dict[str, str]) -> Any:
    """The same rows with the bytes of their media, as they stand in the files."""
    from datasets import Audio, Image, Video

    kinds = {"image": Image, "audio": Audio, "video": Video}
    for column in fields.keys() & kinds.keys():
        rows = rows.cast_column(fields[column], kinds[column](decode=False))
    return rows


def _items(
    rows: Any, folder: Path, fields: dict[str, str], features: Any, limits: Limits
) -> Iterator[Item]:
    from datasets import ClassLabel, List

    names = {k: feature.names for k, feature in features.items() if isinstance(feature, ClassLabel)}
    lists = {k for k, feature in features.items() if isinstance(feature, (List, list))}
    for number, row in enumerate(_unbroken(rows, folder)):
        item = Item(f"{number:08d}")
        for column, name in fields.items():
            value = row[name]
            if column in _MEDIA:
                item.media[column] = _medium(value, folder, limits)
            elif column == "text":
                texts = value if name in lists else [value]
                item.captions = ["" if t is None else str(t).strip() for t in texts or []]
            else:
                item.more[column] = _label(value, names.get(name))
        yield item


def _unbroken(rows: Any, folder: Path) -> Iterator[dict[str, Any]]:
    """Rows one by one; a file that breaks off is named in a sentence."""
    number = -1
    try:
        for row in rows:
            number += 1
            yield row
    except Exception as error:  # each format breaks off in its own way
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{folder} cannot be read beyond row {number} ({why})") from error


def _holds_media(feature: Any) -> bool:
    from datasets import Audio, Image, Video

    return isinstance(feature, (Image, Audio, Video)) or (
        isinstance(feature, dict) and {"bytes", "path"} <= feature.keys()
    )


def _medium(value: dict[str, Any] | None, folder: Path, limits: Limits) -> Medium:
    if not value or (value.get("bytes") is None and not value.get("path")):
        return missing("the column is empty")

    def read() -> bytes:
        if value.get("bytes") is not None:
            check_size(len(value["bytes"]), limits)
            return value["bytes"]
        path = Path(folder, value["path"])
        if "::" in value["path"] or not path.is_file():
            raise BadItem("its file is not in the folder of the set, or in an archive; unpack it")
        if not path.resolve().is_relative_to(folder.resolve()):
            raise BadItem("the name leaves the folder")
        check_size(path.stat().st_size, limits)
        return path.read_bytes()

    return Medium(read)


def _label(value: Any, names: list[str] | None) -> str | None:
    if value is None or value == -1:
        return None
    if names is None:
        return str(value)
    return names[value] if 0 <= value < len(names) else f"class {value}"
