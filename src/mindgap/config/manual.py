"""The manual of all options, and the JSON schema for editors, from the types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mindgap.config.base import Options
from mindgap.config.datasets import KINDS, Labelled
from mindgap.config.models import KINDS as MODELS
from mindgap.config.root import Config

#: Files below config/ that are written from the types.
README, SCHEMA = "README.md", "schema.json"

_HEAD = """\
# Options of a run

Written from the types in `src/mindgap/config/` by `mindgap manual`.

A run is a YAML file that is merged over `config/default.yaml`, the run `embedded`: mappings are
merged key by key, lists are replaced. An overlay says what differs, gives the run a name of its
own, and chooses among the definitions with `select`:

```yaml
run: mine
select: {datasets: [], models: [mine], landscapes: [full], chapters: []}
models:
  mine: {kind: arrays, modalities: {image: image.npy, text: text.npy}}
```

`make plan CONFIG=mine.yaml` checks it and says what it would do; `make reproduce CONFIG=mine.yaml`
runs it. Whatever can be known from the file, the headers of arrays and the parts of checkpoints is
checked before the first job, and all problems are reported together. The merged options are saved
with the results, as `results/{run}/config.yaml`. An editor that reads JSON schemas completes and
checks keys if the first line is `# yaml-language-server: $schema=schema.json`, with the path from
your file to `config/schema.json`.

`modalities` takes two files or more, and `gap/gap.csv` has a row for each pair. About arrays of
your own a run ends in a decision for each pair: which way of closing the gap to take for which use
(`results/{run}/downstream/decisions/`). In every R@k a tie is a miss.

**A run's name belongs to its models and data sets.** You may change options under a name, and what
depends on them is computed again; you may add definitions and change the selection. But a model or
data set that is another one under the same name (another kind, checkpoint, folder, file or source)
is refused while `results/{run}` has results of the first one: give the run or the model another
name, or delete the folder.

In the tables below a default of "-" means that the key must be given. `null` is YAML's empty value.
"""

_CHAPTERS = {
    "embed": "What do the encoders make of the pairs?",
    "gap": "How large is the gap, by which measure?",
    "shift": "Why does the loss keep the gap?",
    "cone": "Where does the gap come from at initialisation?",
    "train": "What do temperature and initialisation do to the gap?",
    "downstream": "What does the gap do to accuracy, fairness and retrieval, and can it be closed?",
    "codebook": "Does a shared discrete space close the gap, and can we read it?",
}

_DATASETS = """
```yaml
datasets:
  coco: {kind: mscoco, split: val}
  # a draw of 1000 items; without a seed, the first ones
  cifar: {kind: cifar10, split: test, items: 1000, seed: 0}
  # your own copy of a file of a published set
  local: {kind: cifar10, split: test, files: {cifar-10-binary.tar.gz: my/copy.tar.gz}}
  # pictures, clips or sounds with a CSV of captions, one row per caption
  mine:
    kind: folder
    media: path/to/pictures
    modality: image
    table: path/to/captions.csv
    columns: {file: image, text: caption}
  # numbered tars in which the files of an item share a key
  shards:
    kind: webdataset
    shards: "path/part-{000..099}.tar"
    fields: {image: jpg;png, text: txt}
  hub: {kind: huggingface, name: owner/set, revision: 1a2b3c4, split: test}
```

What cannot be used of a set is listed in `results/{run}/pairs/{dataset}.failures.csv`.
"""

_MODELS = """
```yaml
models:
  # arrays, row i beside row i; labels are for a task with `prompts: rows`
  arrays:
    kind: arrays
    modalities: {image: path/image.npy, text: path/text.npy}
    labels: path/labels.npy
    classes: [cat, dog]
  # three modalities or more: a gap for each pair
  three:
    kind: arrays
    modalities: {image: path/image.npy, text: path/text.npy, audio: path/audio.npy}
  folder: {kind: encoder, folder: path/to/checkpoint}
  siglip:
    kind: encoder
    checkpoint: google/siglip-base-patch16-224
    revision: main
    batch_size: 64
    expect: {padding: max_length}
  clap:
    kind: encoder
    checkpoint: laion/clap-htsat-unfused
    modalities: [audio, text]
    datasets: [shapes]
  # random weights: the models resnet_s0 and resnet_s1
  resnet:
    kind: encoder
    checkpoint: microsoft/resnet-18
    modalities: [image]
    weights: random
    seeds: [0, 1]
```
"""


def manual() -> str:
    """The manual of all options as Markdown."""
    schema = Config.model_json_schema()
    lines = [_HEAD, "## The run", "", *_table(_properties(schema, schema), schema, flat=True)]
    lines += ["", "### `select`", "", *_part(schema["properties"]["select"], schema)]
    lines += ["", "## `datasets`", "", schema["properties"]["datasets"]["description"], _DATASETS]
    lines += _kinds(KINDS, shared=Labelled)
    lines += ["", "## `models`", "", schema["properties"]["models"]["description"], _MODELS]
    lines += _kinds(MODELS)
    for chapter, question in _CHAPTERS.items():
        lines += ["", f"## `{chapter}`", "", question, ""]
        lines += _part(schema["properties"][chapter], schema)
    return "\n".join(lines).rstrip() + "\n"


def _kinds(kinds: list[type[Options]], shared: type[Options] | None = None) -> Iterator[str]:
    """A table for each kind, after one of the options of the class that they share."""
    common = shared.model_json_schema() if shared else {}
    if shared:
        yield from ("Sets that are read from files have, as far as it fits their kind:", "")
        yield from (*_table(common["properties"], common, flat=False), "")
    schemas = [kind.model_json_schema() for kind in kinds]
    bare = []
    for schema in schemas:
        options = {
            name: option
            for name, option in _properties(schema, schema).items()
            if name != "kind" and common.get("properties", {}).get(name) != option
        }
        kind = schema["properties"]["kind"]["const"]
        text = _line(schema["description"].partition("\n\n")[0])
        if set(options) <= {"split"}:
            splits = _values(options["split"], schema) if options else ""
            bare.append(f"| `{kind}` | {splits} | {text} |")
        else:
            yield from (f"**`kind: {kind}`**: {text}", "")
            yield from (*_table(options, schema, flat=False), "")
    if bare:
        yield from ("Other kinds have no more than a `split`:", "")
        yield from ("| kind | split | what it is |", "|---|---|---|", *bare, "")


def _part(option: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    return _table(_properties(option, schema), schema, flat=False)


def _table(options: dict[str, Any], schema: dict[str, Any], flat: bool) -> list[str]:
    """Rows of key, default, range and meaning; nested keys by their path, unless `flat`."""
    rows = ["| key | default | values | meaning |", "|---|---|---|---|"]
    return rows + list(_rows(options, schema, "", flat))


def _rows(options: dict[str, Any], schema: dict[str, Any], at: str, flat: bool) -> Iterator[str]:
    for name, option in options.items():
        inner, key = _properties(option, schema), f"{at}{name}"
        if inner and flat:
            continue
        if inner:
            yield f"| **`{key}`** | | | {_meaning(option, schema)} |"
            yield from _rows(inner, schema, f"{key}.", flat)
            continue
        each = _properties(_named(option, schema), schema)
        if each and flat:
            continue
        default = f"`{_yaml(option['default'])}`" if "default" in option else "-"
        cells = (default, _values(option, schema), _meaning(option, schema))
        yield f"| `{key}` | {' | '.join(cells)} |"
        # What a definition is laid over has its options in a table already.
        if each and f"{at}defaults" not in {f"{at}{name}" for name in options}:
            yield from _rows(each, schema, f"{key}.{{name}}.", flat)
        elif each:
            known = _properties(options["defaults"], schema)
            more = {k: v for k, v in each.items() if k not in known}
            yield from _rows(more, schema, f"{key}.{{name}}.", flat)


def _properties(option: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return _resolved(option, schema).get("properties", {})


def _named(option: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The option behind each name of a mapping of definitions."""
    by_name = _resolved(option, schema).get("patternProperties") or {}
    return next(iter(by_name.values()), {})


def _resolved(option: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for one in option.get("anyOf", ()):
        if "$ref" in one:
            option = one
    reference = option.get("$ref")
    return schema["$defs"][reference.rpartition("/")[2]] if reference else option


def _values(option: dict[str, Any], schema: dict[str, Any]) -> str:
    """What an option may be."""
    for key in ("anyOf", "oneOf"):
        if key in option:
            found = (_values(one, schema) for one in option[key])
            return " or ".join(dict.fromkeys(word for word in found if word))
    if "enum" in option or "const" in option:
        return ", ".join(f"`{_yaml(one)}`" for one in option.get("enum", [option.get("const")]))
    kind = option.get("type")
    if kind == "array":
        each = _values(option["items"], schema)
        return f"list: {each}" if each else "list"
    words = {"integer": "whole number", "number": "number", "string": "text", "null": "`null`"}
    words |= {"boolean": "`true`, `false`", "object": "mapping"}
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    said = [f"{sign} {option[bound]:g}" for bound, sign in bounds.items() if bound in option]
    return ", ".join([" ".join([words.get(kind, ""), *said[:1]]).strip(), *said[1:]])


def _yaml(value: Any) -> str:
    return json.dumps(value).replace('"', "") if not isinstance(value, str) else value


def _meaning(option: dict[str, Any], schema: dict[str, Any]) -> str:
    return _line(option.get("description") or _resolved(option, schema)["description"])


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def documents() -> dict[str, str]:
    """Name below config/ -> text, of each file that is written from the types."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    schema |= _overlay(Config.model_json_schema())
    definitions = schema.pop("$defs")
    lines = ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in definitions.items())
    text = f'{json.dumps(schema)[:-1]}, "$defs": {{\n{lines}\n}}}}\n'
    return {README: manual(), SCHEMA: text}


def _overlay(schema: Any) -> Any:
    """The schema of a file that is merged over another one: it may leave out any key."""
    if isinstance(schema, list):
        return [_overlay(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    # A definition may be a part of one of any kind, so that not exactly one kind fits it.
    names, dropped = {"oneOf": "anyOf"}, ("required", "discriminator")
    return {names.get(k, k): _overlay(v) for k, v in schema.items() if k not in dropped}
