"""Write a data set as a pairs table."""

import logging

from mindgap.data.sets import build_pairs
from mindgap.runtime.files import check_there
from mindgap.runtime.job import run


def main(job):
    """Write the pairs of one data set."""
    check_there(job.params.how["files"].values())
    counts = build_pairs(
        job.output.pairs,
        job.params.definition,
        job.output.failures,
        job.params.how,
        job.params.prompts,
        job.threads,
    )
    logging.info("%s", ", ".join(f"{n} {what.replace('_', ' ')}" for what, n in counts.items()))
    if lost := counts["items_in"] - counts["items_out"]:
        name, total = job.wildcards.dataset, counts["items_in"]
        logging.warning(f"{name}: {lost} of {total} items left out; see {job.output.failures}")


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
