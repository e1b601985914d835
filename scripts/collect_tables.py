"""Put the tables of all models and data sets into one."""

import pandas as pd

from mindgap.runtime.files import read_csv, write_csv
from mindgap.runtime.job import run


def main(job):
    """Concatenate the parts in the order of the config."""
    write_csv(job.output[0], pd.concat(map(read_csv, job.input)))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
