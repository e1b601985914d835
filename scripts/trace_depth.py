"""Trace the mean cosine over the depth of random networks, beside the published curves."""

import logging

import pandas as pd
import torch

from mindgap.cone.published import compare_depth, worst_by_curve
from mindgap.cone.studies import depth_studies, run_study
from mindgap.config.cone import Depth
from mindgap.runtime.files import read_csv, write_csv
from mindgap.runtime.job import run


def main(job):
    """Write the curves of activations and biases, of blocks, and of widths."""
    torch.set_num_threads(job.threads)
    options = Depth.model_validate(job.params.options)
    tables = [
        run_study(study, options.depth, job.params.seed, job.threads)
        for study in depth_studies(options)
    ]
    reference = read_csv(job.input.reference)
    points = compare_depth(tables[0], reference)
    logging.info("%d of %d published points", len(points), len(reference))
    write_csv(job.output.depth, pd.concat(tables))
    write_csv(job.output.points, points)
    write_csv(job.output.curves, worst_by_curve(points, ["source", "activation", "bias"]))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
