"""Embed the class prompts of a labelled set."""

import logging

import torch

from mindgap.data.prompts import fill
from mindgap.downstream.classes import labelled_names
from mindgap.embed.device import choose_device
from mindgap.embed.encode import make_encoder
from mindgap.embed.extract import Work, embed_prompts
from mindgap.embed.history import find_checkpoint, history
from mindgap.embed.store import Embeddings, check_rows, save_embeddings
from mindgap.runtime.job import run


def main(job):
    """Embed every prompt of every class, and of the labels that belong to nobody, once."""
    torch.set_num_threads(job.threads)
    options, device = job.params.options, choose_device(job.params.device)
    names = labelled_names(job.input.pairs, job.params.wanted["source"]["prompts"])
    names = dict.fromkeys([*names, *job.params.wanted["labels"]])
    texts = [fill(template, name) for template in job.params.wanted["templates"] for name in names]
    texts = list(dict.fromkeys(texts))
    folder, checkpoint = find_checkpoint(options, job.params.manifest)
    encoder = make_encoder(options, folder)
    work = Work(options["captions"], options["batch_size"], threads=job.threads, **job.params.work)
    about = history(
        encoder,
        model=job.wildcards.model,
        dataset=job.wildcards.dataset,
        pairs=job.input.pairs,
        rows=(0, len(texts)),
        options=options,
        checkpoint=checkpoint,
        device=device,
        precision=work.precision,
    )
    rows = embed_prompts(encoder, texts, work, device)
    check_rows(rows, f"{job.wildcards.model}, prompts of {job.wildcards.dataset}")
    logging.info("%d prompts of %d labels", len(texts), len(names))
    about |= {"modalities": ["text"], "texts": texts}
    save_embeddings(job.output[0], Embeddings({"text": rows}, about=about))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
