"""Write a data set as a pairs table."""

import logging

from mindgap.data.sets import build_pairs
from mindgap.job import run


def main(job):
    """Write the pairs of one data set."""
    logging.info("%d items", build_pairs(job.output[0], job.params.definition))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
