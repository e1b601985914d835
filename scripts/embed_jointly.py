"""Train small encoders of several modalities together, and embed a data set with them."""

import torch

from mindgap import __version__
from mindgap.config.models import JointModel
from mindgap.embed.device import choose_device
from mindgap.embed.joint import embed_joint, load_joint, train_joint
from mindgap.embed.store import Embeddings, check_pairs, save_embeddings, warn_if_equal
from mindgap.runtime.files import sha256
from mindgap.runtime.job import run


def main(job):
    """Train on one set, embed the other, and save its embeddings with their history."""
    torch.set_num_threads(job.threads)
    model, device = JointModel.model_validate(job.params.options), choose_device(job.params.device)
    names = model.modalities
    seen = load_joint(job.input.train, names, model.inputs, None, job.threads)
    towers = train_joint(seen, model, device)
    held = load_joint(job.input.pairs, names, model.inputs, seen, job.threads)
    about = {
        "model": job.wildcards.model,
        "dataset": job.wildcards.dataset,
        "modalities": names,
        "options": job.params.options,
        "pairs": {role: sha256(path) for role, path in job.input.items()},
        "versions": {"mindgap": __version__, "torch": torch.__version__},
    }
    embeddings = Embeddings(embed_joint(towers, held, model.batch, device), about=about)
    check_pairs(embeddings, job.wildcards.model)
    warn_if_equal(embeddings, f"{job.wildcards.model} on {job.wildcards.dataset}")
    save_embeddings(job.output[0], embeddings)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
