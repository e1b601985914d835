"""Embed the pairs of a data set, or one shard of them."""

import logging
from dataclasses import asdict, replace

import pandas as pd
import torch

from mindgap.data.pairs import count_rows
from mindgap.embed.device import choose_device
from mindgap.embed.encode import make_encoder
from mindgap.embed.extract import Work, discard, extract, shard_range
from mindgap.embed.history import digest, find_checkpoint, history
from mindgap.embed.store import check_pairs, plain_items, save_embeddings, warn_if_equal
from mindgap.runtime.files import write_csv
from mindgap.runtime.job import run


def main(job):
    """Run the encoder and save its embeddings with their history."""
    torch.set_num_threads(job.threads)
    options, device = job.params.options, choose_device(job.params.device)
    work = Work(options["captions"], options["batch_size"], threads=job.threads, **job.params.work)
    rows = shard_range(count_rows(job.input.pairs), *job.params.shard)
    folder, checkpoint = find_checkpoint(options, job.params.manifest)
    encoder = make_encoder(options, folder)
    about = history(
        encoder,
        model=job.wildcards.model,
        dataset=job.wildcards.dataset,
        pairs=job.input.pairs,
        rows=rows,
        options=options,
        checkpoint=checkpoint,
        device=device,
        precision=work.precision,
    )
    logging.info("rows %d to %d on %s in %s", *rows, device, about["precision"])
    parts = f"{job.output.embeddings}.parts"
    key = digest(about, asdict(work), job.params.library)
    found, failures = extract(encoder, job.input.pairs, *rows, work, device, parts, key)
    level = logging.WARNING if failures else logging.INFO
    which = f"{job.wildcards.model} on {job.wildcards.dataset}"
    more = f"; see {job.output.failures}" if failures else ""
    logging.log(level, f"{which}: {len(failures)} of {rows[1] - rows[0]} items failed{more}")
    items = plain_items(found.items) if job.params.shard == [0, 1] else found.items
    embeddings = replace(found, items=items, about={**about, "failed": len(failures)})
    check_pairs(embeddings, job.wildcards.model)
    warn_if_equal(embeddings, which)
    table = pd.DataFrame([asdict(one) for one in failures], columns=["row", "id", "reason"])
    write_csv(job.output.failures, table)
    save_embeddings(job.output.embeddings, embeddings)
    discard(parts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
