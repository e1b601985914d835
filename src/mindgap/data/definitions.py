"""What the definition of a data set implies: its modalities, its files, who reads it."""

from __future__ import annotations

from typing import Any

from mindgap.data.kinds import KINDS, Options
from mindgap.data.sources import place_of, record_of

#: Template of a labelled set that workflow/prompts.yaml does not know.
TEMPLATE = "a photo of {a} {}."


def modalities(definition: Options) -> tuple[str, ...]:
    """Columns of a data set that an encoder can embed, the media before the text."""
    return KINDS[definition["kind"]].modalities(definition)


def sources(definition: Options) -> list[tuple[str, str]]:
    """(source, file) of each file of workflow/sources.yaml that a set takes from there."""
    own = definition.get("files", {})
    wanted = KINDS[definition["kind"]].files(definition).values()
    return [place for place in wanted if isinstance(place, tuple) and place[1] not in own]


def own_files(definition: Options) -> dict[str, str]:
    """Key of the configuration -> path, for each file that the user brings along."""
    own = {f"files.{name}": path for name, path in definition.get("files", {}).items()}
    if definition["kind"] == "huggingface":
        return {"path": definition["path"]} if "path" in definition else {}
    for role, place in KINDS[definition["kind"]].files(definition).items():
        if isinstance(place, str):
            own["shards" if role.isdigit() else role] = place
    return own


def file_names(definition: Options) -> list[str]:
    """Names of workflow/sources.yaml that the option `files` may stand in for."""
    wanted = KINDS[definition["kind"]].files(definition).values()
    return [place[1] for place in wanted if isinstance(place, tuple)]


def find_inputs(definition: Options) -> list[str]:
    """Paths whose content decides whether a set is out of date.

    For a download that is the record of its checksum: the file itself belongs to no job, so that
    none ever deletes it.
    """
    own = definition.get("files", {})
    wanted = KINDS[definition["kind"]].files(definition).values()
    return [
        place if isinstance(place, str) else own.get(place[1]) or record_of(*place)
        for place in wanted
    ]


def find_files(definition: Options) -> dict[str, str]:
    """Role -> path of each file behind a set: its place below data/, or the user's own copy."""
    own = definition.get("files", {})
    found = {}
    for role, place in KINDS[definition["kind"]].files(definition).items():
        if isinstance(place, str):
            found[role] = place
        else:
            source, name = place
            found[role] = own.get(name) or place_of(source, name)
    return found


def describe(definition: Options) -> dict[str, Any]:
    """Who reads a set, from which files, and what its table keeps of them."""
    kind = KINDS[definition["kind"]]
    return {
        "reader": kind.reader,
        "files": find_files(definition),
        "keep": definition.get("keep", kind.keep(definition)),
        "own_bar": kind.own_bar,
    }


def class_prompts(definition: Options, prompts: dict[str, Any]) -> dict[str, Any]:
    """Entry of workflow/prompts.yaml behind a labelled set, with the set's own template."""
    known = prompts.get(definition["kind"], {"template": TEMPLATE})
    return {**known, "template": definition.get("template", known["template"])}
