"""Measure the cones of many initialisations, the gaps and twins among them, and how they part."""

import pandas as pd
from threadpoolctl import threadpool_limits

from mindgap.cone.cones import STATISTICS, cone_tables, gap_table, summarise, twin_table
from mindgap.cone.separation import separation_tables
from mindgap.cone.store import load_towers
from mindgap.config.cone import CloudMeasures
from mindgap.runtime.files import write_csv
from mindgap.runtime.job import run


def main(job):
    """Write the tables of all architectures, one row per initialisation, and their summaries."""
    options = CloudMeasures.model_validate(job.params.options)
    seed, threads = job.params.seed, job.threads
    names = ("cones", "histograms", "gaps", "twins", "separation", "spectra", "scatter")
    parts = {name: [] for name in names}
    for path in job.input:
        tensors, about = load_towers(path)
        key, members = {"model": about["model"], "weights": about["weights"]}, about["members"]
        with threadpool_limits(threads):
            cones = cone_tables(tensors, key, members, options.bins, threads)
            apart = separation_tables(tensors, key, options, seed)
            parts["gaps"].append(gap_table(tensors, key, members, options.sizes, seed))
            for name in options.datasets or [""]:
                other = job.params.drawings.get(name)
                parts["twins"].append(twin_table(tensors, key, name, other))
        for name, table in zip(names[:2] + names[4:], (*cones, *apart), strict=True):
            parts[name].append(table)
    tables = {name: pd.concat(some) for name, some in parts.items()}
    # Noise is the same beside every data set, and stands once.
    tables["twins"] = tables["twins"].drop_duplicates(ignore_index=True)
    by = ["model", "weights", "inputs"]
    tables["cone_summary"] = summarise(tables["cones"], [*by, "modality", "n"], list(STATISTICS))
    tables["gap_summary"] = summarise(tables["gaps"], [*by, "variant", "size"], ["gap"])
    for name, table in tables.items():
        write_csv(job.output[name], table)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
