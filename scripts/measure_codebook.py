"""Measure one codebook by the held-out rows that its training has left."""

import logging

import pandas as pd

from mindgap.codebook.measure import measure_codebook
from mindgap.data.pairs import read_column
from mindgap.runtime.files import write_csv
from mindgap.runtime.job import run


def main(job):
    """Write the measures over the steps, those at the end, and retrieval."""
    params = job.params
    labels = read_column(job.input.pairs, "label") if params.classes else None
    tables = measure_codebook(job.input.rows, labels, **params.options, seed=params.key["seed"])
    key = {"codebook": job.wildcards.codebook, **params.key}
    for name, rows in tables.items():
        write_csv(job.output[name], pd.DataFrame([{**key, **row} for row in rows]))
    end = tables["final"][0]
    logging.info("gap %.4f, R@1 %.4f", end["gap"], end["recall_at_1_ab"])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
