"""Fetch a checkpoint folder whole, from a mirror or from the hub, and record what it holds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from mindgap.data.download import fetch
from mindgap.data.sources import Source, checkpoint_folder
from mindgap.embed.checkpoint import MANIFEST, choose_files, describe_folder
from mindgap.embed.pickled import convert_pickled, drop_converted
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import replacing, write_json


def fetch_checkpoint(
    checkpoint: str, revision: str, target: str | Path, mirror: str | None = None
) -> str:
    """Bring a checkpoint to the folder of `target`, its manifest, and say where it came from.

    A mirror with `models/{org}--{name}/{revision}` is tried first: a folder with the files, or a
    folder or base address with a manifest. Otherwise the hub is asked. A branch such as `main` is
    resolved to a commit, which the manifest records; a later download of the same revision is
    checked against that record (`{revision}.record.json` beside the folder), because a branch can
    move and a run would become another. Weights that come as a pickle alone are converted to
    safetensors, once; the manifest then says under `published` what came.
    """
    target = Path(target)
    folder = target.parent
    record = folder.with_name(folder.name + ".record.json")
    known = json.loads(record.read_text()) if record.exists() else None
    commit, place = _from_mirror(checkpoint, revision, folder, mirror)
    if place is None:
        commit, place = _from_hub(checkpoint, (known or {}).get("commit") or revision, folder)
    drop_converted(folder)
    came = describe_folder(folder)
    if "config.json" not in came:
        raise UserError(f"{checkpoint} at {revision} has no config.json, so it is not a checkpoint")
    files = describe_folder(folder) if convert_pickled(folder) else came
    found = {"checkpoint": checkpoint, "revision": revision, "commit": commit, "files": files}
    published = (known or {}).get("published")
    # A mirror may have the converted files, where the hub has the published ones.
    if files != came or (published and known["files"] == files):
        found["published"] = came if files != came else published
    first = published or (known or {}).get("files")
    if known and known["files"] != files and first != came:
        names = sorted(n for n in {*came, *first} if came.get(n) != first.get(n))
        raise UserError(
            f"{checkpoint} at {revision} is not what was recorded at its first download "
            f"({', '.join(names)}); delete {record} if the change is wanted"
        )
    write_json(record, found)
    write_json(target, found)
    return place


def _from_mirror(
    checkpoint: str, revision: str, folder: Path, mirror: str | None
) -> tuple[str | None, str | None]:
    if not mirror:
        return None, None
    source = f"models/{checkpoint_folder(checkpoint, revision)}"
    web = mirror.startswith(("http://", "https://"))
    base = mirror.rstrip("/") + "/" + source
    origin = Path(mirror.removeprefix("file://")) / source
    if not web and not (origin / MANIFEST).exists():
        if not (origin / "config.json").exists():
            return None, None
        for name in choose_files([path.name for path in origin.iterdir()]):
            with replacing(folder / name) as part:
                shutil.copyfile(origin / name, part)
        return None, str(origin)
    try:
        listing = folder / ".mirror.json"
        fetch(Source(source, MANIFEST, f"{base}/{MANIFEST}", None, None), listing, mirror)
    except UserError:
        return None, None
    said = json.loads(listing.read_text(encoding="utf-8"))
    for path in (listing, listing.with_name(listing.name + ".sha256")):
        path.unlink(missing_ok=True)
    for name, row in said["files"].items():
        if "/" in name or name != Path(name).name:
            raise UserError(f"{base}/{MANIFEST} names the file {name!r}, which leaves the folder")
        wanted = Source(source, name, f"{base}/{name}", row["sha256"], row["bytes"])
        fetch(wanted, folder / name, mirror)
    return said.get("commit"), base


def _from_hub(checkpoint: str, revision: str, folder: Path) -> tuple[str, str]:
    import huggingface_hub as hub

    try:
        about = hub.HfApi().model_info(checkpoint, revision=revision)
        names = choose_files([one.rfilename for one in about.siblings])
        hub.snapshot_download(
            checkpoint, revision=about.sha, allow_patterns=names, local_dir=folder
        )
    except Exception as error:  # the hub's client has its own errors and those of its transport
        raise UserError(
            f"{checkpoint} at {revision} could not be fetched from the hub "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]}); check the name and "
            "the network, or put its files into a mirror folder as models/"
            f"{checkpoint_folder(checkpoint, revision)} and set MINDGAP_MIRROR to that folder"
        ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    return about.sha, f"hub, commit {about.sha}"
