"""Put the shards of a data set into one file."""

import logging

import pandas as pd

from mindgap.embed.shards import join_files
from mindgap.runtime.files import read_csv, write_csv
from mindgap.runtime.job import run


def main(job):
    """Join tensors and failures in the order of the shards."""
    rows = join_files(job.input.embeddings, job.output.embeddings, job.params.most)
    write_csv(job.output.failures, pd.concat(map(read_csv, job.input.failures)))
    logging.info("%s", ", ".join(f"{n} {modality}" for modality, n in rows.items()))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
