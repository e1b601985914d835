"""Put gap and downstream scores of all models of a run side by side, and correlate them."""

from mindgap.downstream.models import correlate, gather
from mindgap.runtime.files import read_csv, write_csv
from mindgap.runtime.job import run


def main(job):
    """Write one row per model and set, and Kendall's tau of each measure with each score."""
    # A run without tasks has no curves, and one that trains nothing has no trainings.
    given = [[read_csv(path) for path in paths] for _, paths in job.input.items()]
    table = gather(*(tables[0] if tables else None for tables in given))
    write_csv(job.output.models, table)
    write_csv(job.output.correlations, correlate(table, **job.params.options))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
