"""Write the page in which a reader moves the gap of one model on one data set."""

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
    """Show the first row of each item, with picture and caption where the set has them."""
    embeddings, seed = load_embeddings(job.input.embeddings), job.params.seed
    check_pairs(embeddings, job.wildcards.model)
    rows = {modality: embeddings.first(modality) for modality in embeddings.rows}
    total = len(next(iter(rows.values())))
    shown = sample_rows(total, seed)
    # The item of a row is its place in the table of pairs.
    items = np.unique(embeddings.index(next(iter(rows))))[shown]
    media = read_media(job.input.pairs[0], items, list(rows)) if job.input.pairs else {}
    shifts = usual_shifts()
    rows = {modality: unit_rows(each[shown]) for modality, each in rows.items()}
    tables = [table_losses(read_csv(path)) for path in job.input.landscape]
    with threadpool_limits(job.threads):
        facts = page_facts(
            rows,
            # A run sweeps the loss of two modalities; of more, the page has a grid of its own.
            lambda a, b: tables[0] if tables else sweep_losses(rows[a], rows[b], shifts),
            shown=shown,
            total=total,
            shifts=shifts,
            seed=seed,
            name=f"{job.wildcards.model} on {job.wildcards.dataset}",
            **media,
        )
    write_text(job.output[0], render(facts))
    logging.info("%d of %d pairs", len(shown), total)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
