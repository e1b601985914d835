"""Sweep the contrastive loss of one model on one data set over shift and temperature."""

import json
import logging
from pathlib import Path

import pandas as pd

from mindgap.config.shift import Landscape
from mindgap.embed.store import check_pairs, load_embeddings
from mindgap.gap.cosines import unit_rows
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import write_csv
from mindgap.runtime.job import run
from mindgap.shift.landscape import landscape
from mindgap.shift.tables import landscape_table, minima_table, shift_grid, trend_table


def main(job):
    """Write the points, the minima and the trends of every selected landscape."""
    embeddings = load_embeddings(job.input.embeddings)
    # The temperature that a model of this run has at its end; others are not known to have one.
    learned = [json.loads(Path(path).read_text())["logit_scale"] for path in job.input.training]
    check_pairs(embeddings, job.wildcards.model)
    x, y = (unit_rows(embeddings.first(modality)) for modality in embeddings.rows)
    tables = {name: [] for name in job.output.keys()}  # noqa: SIM118
    model, dataset = job.wildcards.model, job.wildcards.dataset
    for name, given in job.params.landscapes.items():
        options = Landscape.model_validate(given)
        scales = options.inverse_temperatures
        scales = learned if scales == "learned" else scales
        if not scales:
            continue
        more = {"sides": options.sides, "batch": options.batch}
        try:
            shifts = shift_grid(options.start, options.stop, options.step)
            found = landscape(x, y, shifts, scales, **more, threads=job.threads)
        except UserError as error:
            place = f"shift.landscapes.{name}, {model} on {dataset}"
            raise UserError(f"config: {place}: {error}") from error
        logging.info("%s: %d shifts x %d temperatures", name, *found.loss.shape)
        key = {"model": model, "dataset": dataset, "landscape": name}
        batch = options.batch or len(x)
        key |= {"sides": options.sides, "batch": batch, "n": len(x)}
        key["n_used"] = len(x) // batch * batch  # a last incomplete batch has no part in the loss
        points = landscape_table(found)
        minima = minima_table(points)
        for kind, table in zip(tables, (points, minima, trend_table(minima)), strict=True):
            tables[kind].append(pd.DataFrame(key, index=table.index).join(table))
    if not tables["minima"]:
        raise UserError(
            f"config: select.landscapes: {model} is not trained in this run and has "
            "learned no temperature; also select a landscape that gives some"
        )
    for kind, parts in tables.items():
        write_csv(job.output[kind], pd.concat(parts))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
