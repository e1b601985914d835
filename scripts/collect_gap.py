"""Put the tables of all models and data sets into one."""

import pandas as pd

from mindgap.files import write_csv
from mindgap.job import run


def main(job):
    """Concatenate the measures and the histograms, in the order of the config."""
    for name in ("measures", "cosines"):
        write_csv(job.output[name], pd.concat(map(pd.read_csv, job.input[name])))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
