"""Measure the gap between each two modalities of one model on one data set."""

from itertools import combinations

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from mindgap.embed.store import load_embeddings
from mindgap.gap.measures import measure_gap
from mindgap.runtime.files import write_csv
from mindgap.runtime.job import run


def main(job):
    """Write one row of measures, and the histograms of the cosines, for each pair of modalities."""
    embeddings = load_embeddings(job.input[0])
    key = {"model": job.wildcards.model, "dataset": job.wildcards.dataset}
    names = {"label": job.params.label, "weights": job.params.weights}
    edges = np.linspace(-1, 1, job.params.options["bins"] + 1)
    more = {"seed": job.params.seed, "threads": job.threads, **job.params.options}
    rows, tables = [], []
    for a, b in combinations(embeddings.rows, 2):
        with threadpool_limits(job.threads):
            row, histograms = measure_gap(embeddings, a, b, **more)
        rows.append({**key, **names, "modality_a": a, "modality_b": b, **row})
        for kind, counts in histograms.items():
            pairs = {**key, "modality_a": a, "modality_b": b, "pairs": kind}
            ends = {"low": edges[:-1], "high": edges[1:]}
            shares = {"count": counts, "share": counts / counts.sum()}
            tables.append(pd.DataFrame({**pairs, **ends, **shares}))
    write_csv(job.output.measures, pd.DataFrame(rows))
    write_csv(job.output.cosines, pd.concat(tables))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
