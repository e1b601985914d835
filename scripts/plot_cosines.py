"""Draw the histograms of cosines."""

from mindgap.gap.figures import figure_cosines
from mindgap.runtime.files import read_csv
from mindgap.runtime.job import run
from mindgap.style import save_figure


def main(job):
    """Draw the histograms and save them as PNG and PDF."""
    save_figure(figure_cosines(read_csv(job.input[0])), job.output.png, job.output.pdf)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
