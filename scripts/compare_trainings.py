"""Put all trainings of a run together and measure what they show."""

import pandas as pd

from mindgap.runtime.files import read_csv, write_csv
from mindgap.runtime.job import run
from mindgap.train.effects import measure_effects


def main(job):
    """Write trajectories, final measures and effects."""
    finals = pd.concat(map(read_csv, job.input.finals), ignore_index=True)
    trajectories = pd.concat(map(read_csv, job.input.trajectories), ignore_index=True)
    write_csv(job.output.trajectories, trajectories)
    write_csv(job.output.trainings, finals)
    params = job.params
    effects = measure_effects(finals, params.experiments, params.confidence, trajectories)
    write_csv(job.output.effects, effects)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
