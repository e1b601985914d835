"""Write the front page of a run."""

import json
from pathlib import Path

from mindgap.config import read_yaml
from mindgap.report.decisions import read_decisions
from mindgap.report.front import render, tell_story
from mindgap.report.rollup import roll_up
from mindgap.runtime.files import write_text
from mindgap.runtime.job import run


def main(job):
    """Put claims, pictures and decisions on one page, with links to everything else."""
    results, files = Path(job.output[0]).parent, job.params.files
    scores = json.loads(Path(job.input.scores).read_text(encoding="utf-8"))
    metrics = json.loads(Path(job.input.metrics).read_text(encoding="utf-8"))
    page = render(
        job.wildcards.run,
        results,
        files,
        scores,
        roll_up(scores, read_yaml(job.input.figures), set(files).__contains__),
        tell_story(read_yaml(job.input.story), files, scores),
        read_decisions(results, job.params.decided),
        metrics.get("decisions"),
    )
    write_text(job.output[0], page)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
