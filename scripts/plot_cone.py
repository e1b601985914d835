"""Draw one figure of the chapter `cone`."""

from pathlib import Path

from mindgap.cone import figures, scatters
from mindgap.runtime.files import read_csv
from mindgap.runtime.job import run
from mindgap.style import save_figure

DRAW = {
    "fig2a": figures.figure_cones,
    "twins": scatters.figure_twins,
    "fig2c_umap": scatters.figure_scatter,
    "fig2c_pca": scatters.figure_scatter,
    "spectra": scatters.figure_spectra,
    "fig2b": figures.figure_depth,
    "blocks": figures.figure_blocks,
    "theorems": figures.figure_theorems,
}


def main(job):
    """Draw the figure that the output names from the tables of its rule."""
    name = Path(job.output.png).stem
    tables = [read_csv(path) for path in job.input]
    if name.startswith("fig2c_"):
        tables[0] = tables[0][tables[0]["method"] == name.removeprefix("fig2c_")]
    save_figure(DRAW[name](*tables), job.output.png, job.output.pdf)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
