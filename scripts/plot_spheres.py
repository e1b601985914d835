"""Draw the two worlds on the sphere."""

from mindgap.runtime.files import read_csv
from mindgap.runtime.job import run
from mindgap.shift.figures import figure_spheres
from mindgap.style import save_figure


def main(job):
    """Draw all panels from the tables."""
    names = ("azimuth", "minima", "closed_form", "rings", "picture")
    figure = figure_spheres(*(read_csv(job.input[name]) for name in names))
    save_figure(figure, job.output.png, job.output.pdf)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
