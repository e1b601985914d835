"""Fail where a cell that a claim of this run is about is missing."""

import json
from pathlib import Path

from mindgap.errors import UserError
from mindgap.files import write_json
from mindgap.job import run
from mindgap.report.summary import broken, count_verdicts


def main(job):
    """Write the counts of the verdicts, or end with one sentence per broken claim."""
    scores = json.loads(Path(job.input.scores).read_text(encoding="utf-8"))
    if lines := broken(scores):
        raise UserError("\nerror: ".join(lines))
    write_json(job.output[0], count_verdicts(scores))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
