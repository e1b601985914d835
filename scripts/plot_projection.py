"""Draw Figure 1."""

from mindgap.files import read_csv
from mindgap.gap.figures import figure_projection
from mindgap.job import run
from mindgap.style import save_figure


def main(job):
    """Draw the projection by one method and save it as PNG and PDF."""
    points, gaps = read_csv(job.input.projection), read_csv(job.input.measures)
    figure = figure_projection(points, gaps, job.wildcards.method)
    save_figure(figure, job.output.png, job.output.pdf)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
