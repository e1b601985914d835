"""A labelled set as the classifier sees it: unit rows, class vectors, labels, groups."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindgap.data.prompts import fill
from mindgap.embed.arrays import read_array
from mindgap.embed.store import Embeddings, load_embeddings
from mindgap.gap.cosines import unit_rows
from mindgap.runtime.errors import UserError


@dataclass(frozen=True)
class Labels:
    """Classes and groups of the items of a set.

    Attributes
    ----------
    names
        Classes, in order.
    numbers
        (n,) number of each item's class.
    groups
        (n,) group of each item, or None where the set has none.
    """

    names: tuple[str, ...]
    numbers: np.ndarray
    groups: np.ndarray | None = None


def class_names(prompts: dict[str, Any] | None, labels: list[str]) -> tuple[str, ...]:
    """Classes of a set: those that workflow/prompts.yaml lists, or else the labels that occur."""
    prompts = prompts or {}
    if "classes" in prompts:
        return tuple(prompts["classes"])
    if "folders" in prompts:
        return tuple(prompts["folders"].values())
    if "races" in prompts:
        return tuple(f"{r} {g}" for r in prompts["races"].values() for g in _genders(prompts))
    return tuple(sorted(set(labels)))


def _genders(prompts: dict[str, Any]) -> list[str]:
    return list(prompts["genders"].values())


def labelled_names(pairs: str | Path, prompts: dict[str, Any] | None) -> tuple[str, ...]:
    """Classes of a pairs table, whatever of it was embedded."""
    import pyarrow.parquet as pq

    return read_labels(pairs, np.arange(pq.read_metadata(pairs).num_rows), prompts).names


def read_labels(
    pairs: str | Path, items: np.ndarray, prompts: dict[str, Any] | None = None
) -> Labels:
    """Labels and groups of the rows `items` of a pairs table."""
    import pyarrow.parquet as pq

    have = pq.read_schema(pairs).names
    if "label" not in have:
        raise UserError(
            f"{pairs} has no column 'label'; classification needs the class of each item"
        )
    columns = [name for name in ("label", "group") if name in have]
    table = pq.read_table(pairs, columns=columns).take(items).to_pydict()
    if None in table["label"]:
        raise UserError(
            f"{pairs}: item {table['label'].index(None)} has no label; add it or remove the item"
        )
    # All labels of the table, so that the classes do not depend on what could be embedded.
    every = pq.read_table(pairs, columns=["label"])["label"].unique().to_pylist()
    names = class_names(prompts, [label for label in every if label is not None])
    place = {name: k for k, name in enumerate(names)}
    if strange := [label for label in table["label"] if label not in place]:
        raise UserError(f"{pairs}: the label {strange[0]!r} is none of the {len(names)} classes")
    numbers = np.array([place[label] for label in table["label"]])
    groups = np.array(table["group"], object) if "group" in table else None
    return Labels(names, numbers, groups)


def array_labels(
    address: str, n: int, classes: list[str] | None = None, groups: str | None = None
) -> Labels:
    """Labels of somebody else's arrays: whole numbers from zero, as `file` or `file.npz#key`."""
    numbers = _integers(address, n)
    names = tuple(classes or map(str, range(int(numbers.max()) + 1)))
    outside = (numbers < 0) | (numbers >= len(names))
    if outside.any():
        row = int(np.argmax(outside))
        raise UserError(
            f"{address}: the label {numbers[row]} of row {row} is none of the {len(names)} "
            f"classes, which are numbered from 0 to {len(names) - 1}"
        )
    return Labels(names, numbers, _integers(groups, n).astype(str) if groups else None)


def _integers(address: str, n: int) -> np.ndarray:
    numbers = np.asarray(read_array(address))
    if not np.issubdtype(numbers.dtype, np.integer) or numbers.shape != (n,):
        raise UserError(
            f"{address} holds {numbers.dtype} values of shape {numbers.shape}; labels and groups "
            f"are whole numbers, one for each of the {n} items"
        )
    return numbers


def prompt_texts(template: str | list[str], names: tuple[str, ...]) -> list[list[str]]:
    """Prompts of each class: one, or as many as there are templates."""
    templates = [template] if isinstance(template, str) else template
    return [[fill(one, name) for one in templates] for name in names]


def class_vectors(texts: list[list[str]], embedded: Embeddings, modality: str) -> np.ndarray:
    """Unit vector of each class from its prompts; (C, d) float64.

    Of several prompts the unit vectors are averaged, and the mean is normalised again (Radford et
    al., ICML 2021, section 3.1.4).
    """
    place = {text: row for row, text in enumerate(embedded.about["texts"])}
    rows = unit_rows(embedded.rows[modality])
    vectors = []
    for prompts in texts:
        if not prompts or any(text not in place for text in prompts):
            raise UserError(
                f"the class of the prompts {prompts} has no prompt among the embedded ones"
            )
        vectors.append(rows[[place[text] for text in prompts]].mean(axis=0))
    return unit_rows(np.stack(vectors))


def vectors_of_rows(texts: np.ndarray, labels: Labels) -> np.ndarray:
    """Unit vector of each class where the text of an item is a prompt of its class; (C, d).

    A class with several different texts has their ensemble.
    """
    vectors = []
    for number, name in enumerate(labels.names):
        rows = texts[labels.numbers == number]
        if not len(rows):
            raise UserError(f"the class {name!r} has no prompt, because no item belongs to it")
        vectors.append(np.unique(rows, axis=0).mean(axis=0))
    return unit_rows(np.stack(vectors))


@dataclass(frozen=True)
class Labelled:
    """A labelled set, embedded.

    Attributes
    ----------
    x, y
        (n, d) unit rows of the items and of their texts, float64.
    labels
        Classes and groups.
    classes
        (C, d) unit class vectors.
    """

    x: np.ndarray
    y: np.ndarray
    labels: Labels
    classes: np.ndarray


def load_labelled(
    embeddings: str | Path, source: dict[str, Any], prompts: str | Path | None, template: Any
) -> Labelled:
    """Read a labelled set and its class vectors.

    Parameters
    ----------
    embeddings
        File of the embedded set; its second modality is text.
    source
        {pairs, prompts} of an embedded set (its pairs table, its entry in workflow/prompts.yaml) or
        {labels, classes, groups} of somebody else's arrays.
    prompts
        File of embedded prompts; None where the texts of the items are the prompts.
    template
        Template of the class prompts, or several.
    """
    found = load_embeddings(embeddings)
    medium, text = found.rows
    x, y = (unit_rows(found.first(m)) for m in (medium, text))
    if "pairs" in source:
        items = np.unique(found.index(medium))
        labels = read_labels(source["pairs"], items, source.get("prompts"))
    else:
        more = {key: source.get(key) for key in ("classes", "groups")}
        labels = array_labels(source["labels"], len(x), **more)
    if prompts is None:
        return Labelled(x, y, labels, vectors_of_rows(y, labels))
    texts = prompt_texts(template, labels.names)
    return Labelled(x, y, labels, class_vectors(texts, load_embeddings(prompts), text))


def direction_rows(pairs: str | Path | None, known: Labelled) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows between whose means a task shifts: its items and prompts, or pairs of a file.

    The paper takes the direction per task from the class prompts (Table 1; each class counts once),
    and for Table 2 from the pairs of MSCOCO.
    """
    if not pairs:
        return known.x, known.classes
    embeddings = load_embeddings(pairs)
    a, b = embeddings.rows
    return unit_rows(embeddings.first(a)), unit_rows(embeddings.first(b))
