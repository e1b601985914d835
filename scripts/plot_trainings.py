"""Draw the trajectories of all trainings, and each experiment."""

from mindgap.runtime.files import read_csv
from mindgap.runtime.job import run
from mindgap.style import save_figure
from mindgap.train.figures import figure_experiments, figure_trajectories


def main(job):
    """Draw one figure of steps and one of experiments."""
    rows, finals = read_csv(job.input.trajectories), read_csv(job.input.trainings)
    steps = figure_trajectories(rows, int(finals["pairs"].iloc[0]))
    save_figure(steps, job.output.steps_png, job.output.steps_pdf)
    first, *others = dict.fromkeys(finals["definition"])
    everything = {"trainings": {"plain": first, "others": others, "measure": "gap"}}
    figure = figure_experiments(finals, job.params.experiments or everything)
    save_figure(figure, job.output.experiments_png, job.output.experiments_pdf)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
