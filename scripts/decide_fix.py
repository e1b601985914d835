"""Decide which way of closing the gap to take, between each two modalities of one's own arrays."""

import logging
from itertools import combinations

import pandas as pd
from threadpoolctl import threadpool_limits

from mindgap.api.fixes import compare_fixes
from mindgap.downstream.classes import array_labels
from mindgap.downstream.shares import most_mixed
from mindgap.embed.store import load_embeddings
from mindgap.report.decisions import to_page
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import write_csv, write_text
from mindgap.runtime.job import run


def main(job):
    """Write what every fix does to each pair of modalities, and the decisions in sentences."""
    rows, options = load_embeddings(job.input.embeddings).rows, job.params.options
    labels = job.params.labels and array_labels(job.params.labels, len(next(iter(rows.values()))))
    share = most_mixed(options["shares"])
    more = {"calibration": options["calibration"], "queries": options["mixed_queries"]}
    more |= {"confidence": job.params.confidence, "seed": job.params.seed}
    tables, sentences = [], {}
    with threadpool_limits(job.threads):
        for a, b in combinations(rows, 2):
            pair = {a: rows[a], b: rows[b]}
            # The share is that of the second modality.
            own = {**more, "text_share": 1 - share if a == "text" else share}
            try:
                fixes = compare_fixes(pair, labels=labels and labels.numbers, **own)
            except UserError as error:
                if not labels:
                    raise
                logging.warning("%s, %s: without classification: %s", a, b, error)
                fixes = compare_fixes(pair, **own)
            names = {"modality_a": a, "modality_b": b}
            tables.append(pd.DataFrame(names, index=fixes.to_frame().index).join(fixes.to_frame()))
            sentences[a, b] = fixes.decide({m: job.params.files[m] for m in pair})
    key = {"model": job.wildcards.model, "dataset": job.wildcards.dataset}
    table = pd.concat(tables, ignore_index=True)
    write_csv(job.output.table, pd.DataFrame(key, index=table.index).join(table))
    write_text(job.output.page, to_page(**key, sentences=sentences))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
