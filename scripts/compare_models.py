"""Put gap and downstream scores of all models of a run side by side, and correlate them."""

import pandas as pd

from mindgap.downstream.models import correlate, gather
from mindgap.files import write_csv
from mindgap.job import run


def main(job):
    """Write one row a model and set, and Kendall's tau of each measure with each score."""
    given = {name: pd.read_csv(path) for name, path in job.input.items() if path}
    table = gather(given["gaps"], given.get("curves"), given.get("trainings"))
    write_csv(job.output.models, table)
    write_csv(job.output.correlations, correlate(table, **job.params.options))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
