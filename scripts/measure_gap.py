"""Measure the gap between the modalities of one model on one data set."""

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from mindgap.embed.store import load_embeddings
from mindgap.gap.measures import measure_gap
from mindgap.runtime.files import write_csv
from mindgap.runtime.job import run


def main(job):
    """Write one row of measures and the histograms of the cosines."""
    embeddings = load_embeddings(job.input[0])
    a, b = embeddings.rows
    with threadpool_limits(job.threads):
        row, histograms = measure_gap(
            embeddings, a, b, seed=job.params.seed, threads=job.threads, **job.params.options
        )
    key = {"model": job.wildcards.model, "dataset": job.wildcards.dataset}
    names = {"label": job.params.label, "weights": job.params.weights}
    write_csv(
        job.output.measures,
        pd.DataFrame([{**key, **names, "modality_a": a, "modality_b": b, **row}]),
    )
    edges = np.linspace(-1, 1, job.params.options["bins"] + 1)
    tables = [
        pd.DataFrame(
            {
                **key,
                "pairs": kind,
                "low": edges[:-1],
                "high": edges[1:],
                "count": counts,
                "share": counts / counts.sum(),
            }
        )
        for kind, counts in histograms.items()
    ]
    write_csv(job.output.cosines, pd.concat(tables))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
