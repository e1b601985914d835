"""Compare the directions between the modalities of models that have three or more."""

from mindgap.gap.modalities import directions, rank_correlations
from mindgap.runtime.files import read_csv, write_csv
from mindgap.runtime.job import run


def main(job):
    """Write one row per query and gallery, and the rank correlations over pairs of modalities."""
    gaps = read_csv(job.input[0])
    write_csv(job.output.directions, directions(gaps))
    write_csv(job.output.correlations, rank_correlations(gaps))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
