"""Try Theorems 1 and 2 on random draws, and compute how much of a sphere a cone covers."""

import pandas as pd
import torch

from mindgap.cone.published import cap_table, compare_growth, compare_variance, worst_by_curve
from mindgap.cone.theorems import growth_table, variance_table
from mindgap.runtime.files import read_csv, write_csv
from mindgap.runtime.job import run


def main(job):
    """Write the tables of both theorems, the published ones beside them, and the caps."""
    torch.set_num_threads(job.threads)
    options, seed = job.params.options, job.params.seed
    reference = read_csv(job.input.reference)
    growth = growth_table(**options["growth"], seed=seed)
    variance = variance_table(**options["variance"], seed=seed, threads=job.threads)
    first, second = (reference[reference["theorem"] == k] for k in (1, 2))
    points = pd.concat(
        [
            compare_growth(growth, first.drop(columns="layer")),
            compare_variance(variance, second.drop(columns=["width", "ratio", "cosine"])),
        ]
    )
    write_csv(job.output.growth, growth)
    write_csv(job.output.variance, variance)
    write_csv(job.output.points, points)
    write_csv(job.output.curves, worst_by_curve(points, ["theorem", "quantity"]))
    write_csv(job.output.caps, cap_table(**options["cap"]))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
