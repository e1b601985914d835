"""Draw what each code of one codebook stands for in both modalities."""

from mindgap.codebook.unit_figures import figure_units
from mindgap.runtime.files import read_csv
from mindgap.runtime.job import run
from mindgap.style import save_figure


def main(job):
    """Draw P(label | code) of both modalities side by side."""
    figure = figure_units(*(read_csv(job.input[name]) for name in ("labels", "units", "crossings")))
    save_figure(figure, job.output.png, job.output.pdf)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
