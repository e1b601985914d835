"""Retrieve across the modalities of one model on one data set under every shift along the gap."""

import pandas as pd
from threadpoolctl import threadpool_limits

from mindgap.downstream.retrieval import retrieval_curve
from mindgap.downstream.shifted import gap_direction, shift_axis, shifted_distance
from mindgap.embed.store import check_pairs, load_embeddings
from mindgap.files import write_csv
from mindgap.gap.cosines import unit_rows
from mindgap.job import run


def main(job):
    """Write R@1, R@5, R@10 and the median rank both ways over the shifts."""
    embeddings, params = load_embeddings(job.input[0]), job.params.options
    check_pairs(embeddings, job.wildcards.model)
    a, b = embeddings.rows
    shifts = shift_axis(params["shifts"])
    with threadpool_limits(job.threads):
        # One row an item makes the gap; every caption takes part in retrieval.
        firsts = [unit_rows(embeddings.first(m)) for m in (a, b)]
        direction = gap_direction(*firsts)
        rows = [unit_rows(embeddings.rows[m]) for m in (a, b)]
        items = [embeddings.index(m) for m in (a, b)]
        sides, queries = params["sides"], params["queries"]
        table = retrieval_curve(*rows, *items, direction, shifts, sides, queries, job.params.seed)
        distance = shifted_distance(*firsts, direction, shifts, sides)
    table.insert(1, "distance", table["shift"].map(dict(zip(shifts, distance, strict=True))))
    key = {"model": job.wildcards.model, "dataset": job.wildcards.dataset}
    write_csv(job.output[0], pd.DataFrame(key, index=table.index).join(table))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
