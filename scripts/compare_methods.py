"""Retrieve under every shift, and compare the ways of closing the gap of one model on one set."""

import logging

import pandas as pd
from threadpoolctl import threadpool_limits

from mindgap.config.downstream import Shifts
from mindgap.downstream.classes import load_labelled
from mindgap.downstream.compare import compare_methods, load_pairs
from mindgap.downstream.retrieval import retrieval_curve
from mindgap.embed.store import check_pairs, load_embeddings
from mindgap.runtime.files import write_csv
from mindgap.runtime.job import run
from mindgap.shift.moves import shift_axis


def main(job):
    """Write retrieval over the shifts, one row per method, and the curves of the mixed corpora."""
    task, given, options = job.params.task, dict(job.input.items()), job.params.options
    embeddings = load_embeddings(given["embeddings"])
    check_pairs(embeddings, job.wildcards.model)
    known = task and load_labelled(
        given["embeddings"], task["source"], given.get("prompts"), task["templates"]
    )
    pairs = load_pairs(embeddings, known)
    rows, curves = [], []
    with threadpool_limits(job.threads):
        shifts = Shifts.model_validate(job.params.axis["shifts"])
        axis = shift_axis(shifts), job.params.axis["sides"]
        retrieval = retrieval_curve(embeddings, *axis, options["queries"], job.params.seed)
        more = {"seed": job.params.seed, "threads": job.threads}
        for row, curve in compare_methods(pairs, **options, **more):
            rows.append(row)
            curves += curve
    key = {"model": job.wildcards.model, "dataset": job.wildcards.dataset}
    name = task and task["name"]
    write_csv(job.output.retrieval, pd.DataFrame(key, index=retrieval.index).join(retrieval))
    write_csv(job.output.methods, pd.DataFrame([{**key, "task": name, **row} for row in rows]))
    write_csv(job.output.mixed, pd.DataFrame([{**key, **row} for row in curves]))
    logging.info("%d rows of %d pairs", len(rows), len(pairs.x))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
