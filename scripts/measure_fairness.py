"""Measure how often each group gets an offensive label under shifts along the gap."""

import logging

import numpy as np
import pandas as pd

from mindgap.downstream.classes import class_vectors, direction_rows, load_labelled, prompt_texts
from mindgap.downstream.fairness import check_groups, confusion, measure_rates
from mindgap.downstream.zero_shot import classify
from mindgap.embed.store import load_embeddings
from mindgap.runtime.files import write_csv
from mindgap.runtime.job import run
from mindgap.shift.moves import gap_direction, shifted_distance


def main(job):
    """Write rates by group and shift, and the confusion of classes and labels."""
    audit, given = job.params.audit, dict(job.input.items())
    shifts, templates = np.array(audit["shifts"], float), audit["templates"]
    known = load_labelled(given["embeddings"], audit["source"], given["prompts"], templates)
    groups = known.labels.groups
    chosen = check_groups(groups, audit["groups"])
    offensive = [label for part in audit["labels"].values() for label in part]
    texts = prompt_texts(templates, tuple(offensive))
    more = class_vectors(texts, load_embeddings(given["prompts"]), "text")
    names = [*known.labels.names, *offensive]
    # u belongs to the classes of the set; labels that belong to nobody have no part in it.
    sets = direction_rows(given.get("direction"), known)
    direction = gap_direction(*sets)
    every = np.concatenate([known.classes, more])
    found = classify(known.x, every, direction, shifts, audit["sides"])
    place = {label: k for k, label in enumerate(names)}
    categories = {
        category: np.array([place[label] for label in labels])
        for category, labels in audit["labels"].items()
    }
    truth, names_of = known.labels.numbers, groups.astype(str)
    how = categories, shifts, chosen, job.params.confidence
    rates = measure_rates(found.predicted, truth, names_of, *how)
    distances = shifted_distance(*sets, direction, shifts, audit["sides"])
    where = dict(zip(shifts, distances, strict=True))
    rates.insert(1, "distance", rates["shift"].map(where))
    counts = confusion(found.predicted, truth, groups, shifts, names)
    key = {"model": job.wildcards.model, "audit": job.wildcards.audit, "dataset": audit["dataset"]}
    for table, path in ((rates, job.output.rates), (counts, job.output.confusion)):
        write_csv(path, pd.DataFrame(key, index=table.index).join(table))
    logging.info("%d groups, %d labels, %d shifts", len(chosen), len(names), len(shifts))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
