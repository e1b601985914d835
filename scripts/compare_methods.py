"""Compare the training-free ways of changing the gap of one model on one data set."""

import logging

import pandas as pd
from threadpoolctl import threadpool_limits

from mindgap.downstream.classes import load_labelled
from mindgap.downstream.compare import Pairs, compare_methods
from mindgap.embed.store import check_pairs, load_embeddings
from mindgap.files import write_csv
from mindgap.gap.cosines import unit_rows
from mindgap.job import run


def main(job):
    """Write one row a method, way of fitting and norm, and the curves of the mixed corpora."""
    task, given = job.params.task, dict(job.input.items())
    embeddings = load_embeddings(given["embeddings"])
    check_pairs(embeddings, job.wildcards.model)
    a, b = embeddings.rows
    more = {}
    if embeddings.several(b):
        more["spare"] = unit_rows(embeddings.last(b))
    if task:
        known = load_labelled(
            given["embeddings"], task["source"], given.get("prompts"), task["templates"]
        )
        more |= {"classes": known.classes, "labels": known.labels.numbers}
    pairs = Pairs(*(unit_rows(embeddings.first(m)) for m in (a, b)), **more)
    rows, curves = [], []
    with threadpool_limits(job.threads):
        options = {**job.params.options, "seed": job.params.seed, "threads": job.threads}
        for row, curve in compare_methods(pairs, **options):
            rows.append(row)
            curves += curve
    key = {"model": job.wildcards.model, "dataset": job.wildcards.dataset}
    logging.info("%d rows of %d pairs", len(rows), len(pairs.x))
    write_csv(
        job.output.methods,
        pd.DataFrame([{**key, "task": task and task["name"], **row} for row in rows]),
    )
    write_csv(job.output.mixed, pd.DataFrame([{**key, **row} for row in curves]))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
