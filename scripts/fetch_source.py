"""Fetch one file of workflow/sources.yaml."""

import logging
import os

from mindgap.config import read_yaml
from mindgap.data.download import fetch
from mindgap.data.sources import find_source
from mindgap.runtime.job import run


def main(job):
    """Fetch `data/{source}/{filename}`, and record its checksum."""
    # Where a verified file came from changes nothing, so the mirror is not a parameter of the job.
    mirror = os.environ.get("MINDGAP_MIRROR") or job.config["mirror"]
    wanted = find_source(read_yaml(job.input.table), job.wildcards.source, job.wildcards.filename)
    target = f"data/{wanted.source}/{wanted.filename}"
    logging.info("from %s", fetch(wanted, target, mirror, job.output[0]))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
