"""Draw the loss landscape of one model on one data set."""

from mindgap.runtime.files import read_csv
from mindgap.runtime.job import run
from mindgap.shift.figures import figure_landscape, figure_valley
from mindgap.style import save_figure


def main(job):
    """Draw the curves over the distance, and the heat map with its valley."""
    points, minima = read_csv(job.input.points), read_csv(job.input.minima)
    gap = read_csv(job.input.gap).iloc[0]
    curves = figure_landscape(points, minima, (gap["modality_a"], gap["modality_b"]))
    title = f"{job.wildcards.model} on {job.wildcards.dataset}"
    for figure, name in ((curves, "landscape"), (figure_valley(points, minima), "valley")):
        figure.suptitle(title, x=0.02, ha="left", y=1.02, fontsize=9)
        save_figure(figure, job.output[f"{name}_png"], job.output[f"{name}_pdf"])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
