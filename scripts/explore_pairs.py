"""Write the pages in which a reader moves the gap of one model on one data set."""

import logging

import numpy as np
from threadpoolctl import threadpool_limits

from mindgap.embed.store import check_pairs, load_embeddings
from mindgap.explorer.build import (
    page_facts,
    sample_rows,
    sweep_losses,
    table_losses,
    usual_shifts,
)
from mindgap.explorer.media import read_media
from mindgap.explorer.page import render
from mindgap.gap.cosines import unit_rows
from mindgap.runtime.files import read_csv, write_text
from mindgap.runtime.job import run


def main(job):
    """Write one page after another."""
    for one, path in zip(job.params.pages, job.output, strict=True):
        with threadpool_limits(job.threads):
            write_text(path, render(read_facts(one, job.params.seed)))


def read_facts(one, seed):
    """The first row of each item, with its media where the set has them."""
    embeddings, shifts = load_embeddings(one["embeddings"]), usual_shifts()
    check_pairs(embeddings, one["model"])
    rows = {modality: embeddings.first(modality) for modality in embeddings.rows}
    total = len(next(iter(rows.values())))
    shown = sample_rows(total, seed)
    # The item of a row is its place in the table of pairs.
    items = np.unique(embeddings.index(next(iter(rows))))[shown]
    rows = {modality: unit_rows(each[shown]) for modality, each in rows.items()}
    # A run sweeps the loss of two modalities; of more, the page has a grid of its own.
    swept = one["landscape"] and table_losses(read_csv(one["landscape"]))
    name = f"{one['model']} on {one['dataset']}"
    logging.info("%s: %d of %d pairs", name, len(shown), total)
    return page_facts(
        rows,
        lambda a, b: swept or sweep_losses(rows[a], rows[b], shifts),
        shown=shown,
        total=total,
        shifts=shifts,
        seed=seed,
        name=name,
        **(read_media(one["pairs"], items, list(rows)) if one["pairs"] else {}),
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
