"""Record what made a run."""

from pathlib import Path

from mindgap.report.record import describe_run, to_html
from mindgap.runtime.files import write_json, write_text
from mindgap.runtime.job import run


def main(job):
    """Write the record as JSON, and as a page for the report."""
    # Not a parameter: a clone at another place has nothing to do.
    root = Path(job.input.lock).parent
    record = describe_run(root, Path(job.output.json).parent, job.params.sources)
    write_json(job.output.json, record)
    write_text(job.output.html, to_html(record))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
