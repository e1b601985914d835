"""Draw the variants of each task side by side."""

from mindgap.codebook.figures import figure_codebooks
from mindgap.runtime.files import read_csv
from mindgap.runtime.job import run
from mindgap.style import save_figure


def main(job):
    """Draw one figure with a row of panels per task."""
    names = ("codebooks", "trajectories", "usage")
    figure = figure_codebooks(*(read_csv(job.input[name]) for name in names))
    save_figure(figure, job.output.png, job.output.pdf)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
