"""Draw Figure 1."""

import pandas as pd

from mindgap.gap.figures import figure_projection
from mindgap.runtime.files import read_csv
from mindgap.runtime.job import run
from mindgap.style import save_figure


def main(job):
    """Draw the projection by one method and save it as PNG and PDF."""
    points = pd.concat(map(read_csv, job.input.projection))
    gaps = pd.concat(map(read_csv, job.input.measures), ignore_index=True)
    figure = figure_projection(points, gaps, job.wildcards.method)
    save_figure(figure, job.output.png, job.output.pdf)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
