"""Compute the loss of the two worlds on the sphere, and compare it with the published curves."""

import numpy as np

from mindgap.config.shift import Spheres
from mindgap.runtime.files import read_csv, write_csv
from mindgap.runtime.job import run
from mindgap.shift import spheres


def main(job):
    """Write the curves, their minima, the closed form and the comparison."""
    options = Spheres.model_validate(job.params.options)
    azimuth = spheres.azimuth_table(options.spacings, options.inverse_temperatures)
    heights = np.linspace(-1, 1, 100)  # the published grid
    points = spheres.compare(read_csv(job.input.reference))
    tables = {
        "azimuth": azimuth,
        "minima": spheres.minima_table(azimuth),
        "closed_form": spheres.closed_form_table(
            options.spacings, max(options.inverse_temperatures)
        ),
        "rings": spheres.ring_table(options.ring_inverse_temperatures, heights),
        # Figure 3e draws the texts 30 degrees above the equator.
        "picture": spheres.picture_table(options.spacings[0], -30),
        "points": points,
        "curves": spheres.deviations(points),
    }
    for name, table in tables.items():
        write_csv(job.output[name], table)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
