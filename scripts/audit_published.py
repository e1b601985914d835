"""Recompute the published statistics from the published counts and accuracies."""

from mindgap.downstream.published import (
    published_drops,
    published_intervals,
    published_rates,
    published_tests,
)
from mindgap.runtime.files import read_csv, write_csv
from mindgap.runtime.job import run


def main(job):
    """Write tests, intervals, rates and accuracies."""
    confidence = job.params.confidence
    given = {name: read_csv(path) for name, path in job.input.items()}
    write_csv(job.output.tests, published_tests(given["zero_shot"]))
    write_csv(job.output.intervals, published_intervals(given["initialisation"], confidence))
    write_csv(job.output.rates, published_rates(given["fairface"], job.params.labels, confidence))
    write_csv(job.output.drops, published_drops(given["accuracy"]))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
