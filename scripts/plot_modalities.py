"""Draw the directions between the modalities of one model."""

from mindgap.gap.figures import figure_modalities
from mindgap.runtime.files import read_csv
from mindgap.runtime.job import run
from mindgap.style import save_figure


def main(job):
    """Draw the heat maps and save them as PNG and PDF."""
    table = read_csv(job.input[0])
    own = (table["model"] == job.wildcards.model) & (table["dataset"] == job.wildcards.dataset)
    save_figure(figure_modalities(table[own]), job.output.png, job.output.pdf)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
