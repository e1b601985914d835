"""Fetch a data set of the Hugging Face hub."""

import logging
import os

# The hub's library reads this once; only the download rules may touch the network.
os.environ.update(HF_HUB_OFFLINE="0")

from mindgap.data.hub import fetch_snapshot
from mindgap.runtime.job import run


def main(job):
    """Fetch the files of `data/hub/{name}@{revision}` and write their list beside the folder."""
    mirror = os.environ.get("MINDGAP_MIRROR") or job.config["mirror"]
    wanted = job.params.wanted
    commit = fetch_snapshot(
        wanted["name"], wanted["revision"], job.output[0], wanted.get("patterns"), mirror
    )
    logging.info("%s is at commit %s", wanted["name"], commit)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
