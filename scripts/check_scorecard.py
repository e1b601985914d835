"""Fail where a cell that a claim of this run is about is missing."""

import json
from pathlib import Path

from mindgap.report.summary import broken, count_verdicts
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import write_json
from mindgap.runtime.job import run


def main(job):
    """Write the counts of the verdicts, or end with one sentence per broken claim."""
    scores = json.loads(Path(job.input.scores).read_text(encoding="utf-8"))
    if lines := broken(scores):
        raise UserError("\nerror: ".join(lines))
    write_json(job.output[0], count_verdicts(scores))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
