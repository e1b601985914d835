"""The kind `webdataset`: numbered tars whose files share a key an item (0007.jpg, 0007.txt)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import PurePosixPath

from tqdm import tqdm

from mindgap.config.datasets import Webdataset
from mindgap.data.items import Item
from mindgap.data.medium import BadItem, Limits, Medium, hidden, missing
from mindgap.data.tars import is_plain_tar, open_tar, tar_medium
from mindgap.runtime.errors import UserError

#: Where the parts of an item stand, unless the configuration says otherwise: file extensions
#: parted by semicolons, or a key of the item's JSON file as `json:key`.
FIELDS = {"image": "jpg;jpeg;png;webp", "text": "txt;caption"}
_MEDIA = ("image", "audio", "video")


def webdataset(
    options: Webdataset, files: dict[str, str], limits: Limits, prompts: None = None
) -> tuple[None, Iterator[Item]]:
    """Items of webdataset shards, in the order in which they stand there.

    One item is held at a time, whatever the size of the set. A shard that breaks off is one failed
    item that says so; what stands before the break is used.
    """
    fields = options.fields.model_dump() if options.fields else FIELDS
    fields = {k: v for k, v in fields.items() if v is not None}
    shards = list(files.values())
    if not shards:
        raise UserError("no file matches the patterns of `shards`; check them")
    if absent := [shard for shard in shards if not os.path.isfile(shard)]:
        raise UserError(
            f"{absent[0]} does not exist ({len(absent)} of {len(shards)} shards are missing)"
        )
    return None, _items(shards, fields, limits)


def _items(shards: list[str], fields: dict[str, str], limits: Limits) -> Iterator[Item]:
    size = sum(os.path.getsize(shard) for shard in shards)
    with tqdm(total=size, desc="read shards", unit="B", unit_scale=True, mininterval=1) as bar:
        done = count = 0
        stems = [PurePosixPath(shard).stem for shard in shards]
        for shard, stem in zip(shards, stems, strict=True):
            # Shards of one name in several folders keep their folders, or ids would repeat.
            prefix = stem if stems.count(stem) == 1 else str(PurePosixPath(shard).with_suffix(""))
            for item, place in _shard(shard, prefix, fields, limits):
                count += 1
                bar.update(done + place - bar.n)
                bar.set_postfix_str(f"{count:,} items", refresh=False)
                yield item
            done += os.path.getsize(shard)
            bar.update(done - bar.n)


def _shard(
    shard: str, prefix: str, fields: dict[str, str], limits: Limits
) -> Iterator[tuple[Item, int]]:
    """Yield the items of one shard, each with the place in the file where it ends."""
    plain = is_plain_tar(shard)
    key, parts, place = None, {}, 0
    try:
        for archive, info in open_tar(shard):
            if hidden(info.name):
                continue
            base, extension = _split(info.name)
            if base != key:
                if key is not None:
                    yield _item(f"{prefix}/{key}", parts, fields), place
                key, parts = base, {}
            parts[extension] = tar_medium(shard, archive, info, limits, plain)
            place = info.offset_data + info.size if plain else place
    except UserError as error:
        if key is not None:
            yield _item(f"{prefix}/{key}", parts, fields), place
        yield Item(f"{prefix}/(rest)", problem=str(error)), place
        return
    if key is not None:
        yield _item(f"{prefix}/{key}", parts, fields), place


def _split(name: str) -> tuple[str, str]:
    """Key and extension of a member: the name is parted at the first dot of its last piece."""
    folder, slash, tail = name.rpartition("/")
    stem, _, extension = tail.partition(".")
    return folder + slash + stem, extension.lower()


def _item(name: str, parts: dict[str, Medium], fields: dict[str, str]) -> Item:
    media, captions, more = {}, None, {}
    try:
        for column, place in fields.items():
            if column in _MEDIA:
                media[column] = _first(parts, place)
            elif column == "text":
                captions = _texts(parts, place)
            else:
                texts = _texts(parts, place)
                more[column] = texts[0] or None if texts else None
    except BadItem as failure:
        return Item(name, problem=str(failure))
    return Item(name, media, captions, more)


def _first(parts: dict[str, Medium], place: str) -> Medium:
    for extension in (piece.strip().lstrip(".").lower() for piece in place.split(";")):
        if extension in parts:
            return parts[extension]
    return missing(f"no file .{place.replace(';', ' or .')}")


def _texts(parts: dict[str, Medium], place: str) -> list[str]:
    if place.startswith("json:"):
        try:
            value = json.loads(_first(parts, "json").read())[place.removeprefix("json:")]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadItem(f"its JSON has no usable {place[5:]!r}") from error
    else:
        try:
            value = _first(parts, place).read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadItem("its text is not UTF-8") from error
    values = value if isinstance(value, list) else [value]
    return ["" if v is None else str(v).strip() for v in values]
