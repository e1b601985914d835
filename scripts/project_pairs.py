"""Project both modalities of every model to two dimensions."""

import logging

import pandas as pd
from tqdm import tqdm

from mindgap.embed.store import load_embeddings
from mindgap.gap.projection import project, sample_pairs
from mindgap.runtime.files import write_csv
from mindgap.runtime.job import run


def main(job):
    """Write one row per model, data set, method, modality and item."""
    options, seed, tables = job.params.options, job.params.seed, []
    for path in tqdm(job.input, desc="project", unit=" models"):
        embeddings = load_embeddings(path)
        a, b = embeddings.rows
        x, y = embeddings.first(a), embeddings.first(b)
        items = sample_pairs(len(x), options["pairs"], seed)
        for method in options["methods"]:
            logging.info("%s by %s", path, method)
            clouds = project(
                x[items], y[items], method, options["neighbours"], options["min_dist"], seed
            )
            key = {k: embeddings.about[k] for k in ("model", "dataset")} | {"method": method}
            tables += [
                pd.DataFrame({**key, "modality": m, "item": items, "x": p[:, 0], "y": p[:, 1]})
                for m, p in zip((a, b), clouds, strict=True)
            ]
    write_csv(job.output[0], pd.concat(tables))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
