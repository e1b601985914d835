"""Embed the pairs of a data set."""

import logging
import platform
from dataclasses import replace

import torch
import transformers

from mindgap import __version__
from mindgap.embed.encode import choose_device, embed_clip
from mindgap.embed.store import check_pairs, save_embeddings
from mindgap.files import sha256
from mindgap.job import run


def main(job):
    """Run the encoder and save its embeddings with their history."""
    torch.set_num_threads(job.threads)
    options = job.params.options
    device = choose_device(job.params.device)
    logging.info("on %s", device)
    embeddings = embed_clip(
        job.input.pairs,
        options["architecture"],
        options["seed"],
        options["captions"],
        options["batch_size"],
        device,
    )
    about = {
        "model": job.wildcards.model,
        "dataset": job.wildcards.dataset,
        "dataset_sha256": sha256(job.input.pairs),
        "modalities": list(embeddings.rows),
        "options": dict(options),
        "device": str(device),
        "versions": {
            "mindgap": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }
    check_pairs(embeddings, job.wildcards.model)
    save_embeddings(job.output[0], replace(embeddings, about=about))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
