"""Change on purpose what each claim reads, and see which errors turn it."""

from pathlib import Path

from mindgap.config import read_yaml
from mindgap.report.audit import audit_claims
from mindgap.report.curves import find_summaries
from mindgap.report.tables import Tables
from mindgap.runtime.files import write_csv
from mindgap.runtime.job import run


def main(job):
    """Write one row per claim and mutation."""
    claims, present = read_yaml(job.input.claims), job.params.present
    tables = Tables(Path(job.output[0]).parent, Path(job.input.claims).parent / "reference")
    summaries = find_summaries(claims, tables, present, job.params.options)
    write_csv(job.output[0], audit_claims(claims, tables, job.wildcards.run, present, summaries))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
