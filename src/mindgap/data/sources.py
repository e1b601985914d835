"""Rows of workflow/sources.yaml."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgap.runtime.errors import UserError


@dataclass(frozen=True)
class Source:
    """One remote file.

    Attributes
    ----------
    source, filename
        The file's place: `data/{source}/{filename}`, and the same below a mirror.
    url
        Its own address.
    sha256
        Expected checksum, or None if the publisher gives none.
    bytes
        Expected size, or None.
    md5
        The publisher's checksum, where that is all there is.
    obtain
        Who gives the file to whom, where it needs an account or consent; such a file has no url.
    layout
        What such a file must look like.
    """

    source: str
    filename: str
    url: str | None
    sha256: str | None
    bytes: int | None
    md5: str | None = None
    obtain: str | None = None
    layout: str | None = None

    @property
    def checksum(self) -> str | None:
        """What the table says about the content: a SHA-256, an MD5 or nothing."""
        return self.sha256 or self.md5


def checkpoint_folder(checkpoint: str, revision: str) -> str:
    """Folder of a checkpoint below `data/models`, and below a mirror: org--name/revision."""
    return f"{checkpoint.replace('/', '--')}/{revision}"


def find_source(sources: dict[str, Any], source: str, filename: str) -> Source:
    """Return the row of `workflow/sources.yaml` for one file."""
    if source not in sources:
        raise UserError(f"sources: no source is called {source!r} (known: {', '.join(sources)})")
    files = sources[source]["files"]
    if filename not in files:
        raise UserError(f"sources: {source} has no file {filename!r} (known: {', '.join(files)})")
    row, address = files[filename], sources[source]["address"]
    url = row.get("url") or (address + filename if address else None)
    return Source(
        source,
        filename,
        url,
        row["sha256"],
        row.get("bytes"),
        row.get("md5"),
        None if url else sources[source]["obtain"],
        row.get("layout"),
    )


def manifest(options: dict[str, Any]) -> str | None:
    """Manifest of the checkpoint that a model's options name on the hub; None for other models."""
    if "checkpoint" not in options:
        return None
    return (
        f"data/models/{checkpoint_folder(options['checkpoint'], options['revision'])}/manifest.json"
    )


def named_checkpoints(names: list[str], revision: str | None) -> list[dict[str, str]]:
    """Options of checkpoints, each of which is given as a folder or by its name on the hub."""
    return [
        {"folder": name}
        if Path(name).is_dir()
        else {"checkpoint": name, "revision": revision or "main"}
        for name in names
    ]


def shipped_file(source: str, name: str) -> str | None:
    """Copy of a file that comes with the repository, or None.

    The repository is the working directory unless the workflow says, by the variable
    `MINDGAP_HOME`, that another workflow has it as a module.
    """
    path = Path(os.environ.get("MINDGAP_HOME", "."), "resources", source, name)
    return path.as_posix() if path.is_file() else None


def place_of(source: str, name: str) -> str:
    """Path of a file: below `resources` if it comes with the repository, else below `data`."""
    return shipped_file(source, name) or f"data/{source}/{name}"


def record_of(source: str, name: str) -> str:
    """File that a job waits for: the record of a checksum, or the shipped file itself."""
    return shipped_file(source, name) or f"data/.fetched/{source}/{name}.sha256"


def carried_places(options: dict[str, Any]) -> list[tuple[str, str]]:
    """(source, file) of each file of workflow/sources.yaml behind embeddings that somebody made."""
    if "source" not in options:
        return []
    names = [options["file"]] if "file" in options else list(options["modalities"].values())
    names += [options[key] for key in ("labels", "groups") if options.get(key)]
    plain = (name.partition("#")[0].rpartition("/")[2] for name in names)
    return [(options["source"], name) for name in dict.fromkeys(plain)]


def carried_files(options: dict[str, Any], records: bool = False) -> list[str]:
    """Files behind a model that brings its own embeddings, or the records of downloaded ones."""
    if places := carried_places(options):
        return [record_of(*p) if records else place_of(*p) for p in places]
    files = (address.partition("#")[0] for address in options["modalities"].values())
    return list(dict.fromkeys(files))


def expected_sums(sources: dict[str, Any], options: dict[str, Any]) -> dict[str, str | None]:
    """Path -> checksum that the table of sources gives for a model's files; none for own files."""
    return {
        place_of(*place): find_source(sources, *place).sha256 for place in carried_places(options)
    }
