"""Fetch a checkpoint whole, with a manifest of its files."""

import logging
import os

from mindgap.embed.fetch import fetch_checkpoint
from mindgap.runtime.job import run


def main(job):
    """Fetch `data/models/{org}--{name}/{revision}/`."""
    # The one job, beside fetch_source, that may use the network; every other stays offline.
    os.environ["HF_HUB_OFFLINE"] = "0"
    mirror = os.environ.get("MINDGAP_MIRROR") or job.config["mirror"]
    place = fetch_checkpoint(job.params.checkpoint, job.params.revision, job.output[0], mirror)
    logging.info("from %s", place)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
