"""Measure one training by the held-out rows that it has left."""

import logging

import pandas as pd
import torch

from mindgap.runtime.files import write_csv
from mindgap.runtime.job import run
from mindgap.train.measure import measure_training


def main(job):
    """Write the measures over the steps, and those at the end beside the options."""
    torch.set_num_threads(job.threads)
    facts = job.params.facts
    seed, bounds = facts["seed"], (facts["bootstrap"], facts["confidence"])
    rows, final = measure_training(job.input.rows, *bounds, seed)
    key = {"training": job.wildcards.training, "definition": job.params.definition}
    write_csv(job.output.trajectory, pd.DataFrame([{**key, "seed": seed, **row} for row in rows]))
    write_csv(job.output.final, pd.DataFrame([{**key, **facts, **final}]))
    logging.info("gap %.4f, R@1 %.4f", final["gap"], final["recall_at_1_ab"])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
