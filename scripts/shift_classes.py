"""Classify a labelled set under every shift along the gap, and test whether a shift helps."""

import logging

import pandas as pd
from threadpoolctl import threadpool_limits

from mindgap.config.downstream import Shifts
from mindgap.downstream.classes import direction_rows, load_labelled
from mindgap.downstream.significance import judge_shifts
from mindgap.downstream.zero_shot import accuracy_curve, classify
from mindgap.runtime.files import write_csv
from mindgap.runtime.job import run
from mindgap.shift.moves import gap_direction, shift_axis


def main(job):
    """Write the curve of accuracy over distance, and the tests of its best shift."""
    params, task = job.params, job.params.task
    shifts = shift_axis(Shifts.model_validate(params.options["shifts"]))
    with threadpool_limits(job.threads):
        given = dict(job.input.items())
        known = load_labelled(
            given["embeddings"], task["source"], given.get("prompts"), task["templates"]
        )
        direction = gap_direction(*direction_rows(given.get("direction"), known))
        found = classify(known.x, known.classes, direction, shifts, params.options["sides"])
    truth = known.labels.numbers
    curve = accuracy_curve(found, truth)
    tests = pd.DataFrame(
        judge_shifts(found.predicted == truth, shifts, params.confidence, params.seed)
    )
    where = tests["shift"].map(curve.set_index("shift")["distance"])
    tests.insert(tests.columns.get_loc("shift") + 1, "distance", where)
    key = {"model": job.wildcards.model, "task": job.wildcards.task, "dataset": task["dataset"]}
    key |= {"classes": len(known.classes)}
    for table, path in ((curve, job.output.curve), (tests, job.output.tests)):
        write_csv(path, pd.DataFrame(key, index=table.index).join(table))
    logging.info("accuracy %.4f to %.4f", *tests.loc[0, ["untouched", "shifted"]])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
