"""Draw one figure of the chapter `downstream`."""

from pathlib import Path

from mindgap.downstream import figures
from mindgap.runtime.files import read_csv
from mindgap.runtime.job import run
from mindgap.style import save_figure


def main(job):
    """Draw the figure that the output names from the tables of its rule."""
    draw = getattr(figures, f"figure_{Path(job.output.png).stem}")
    save_figure(draw(*map(read_csv, job.input)), job.output.png, job.output.pdf)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
