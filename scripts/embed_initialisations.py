"""Embed the same inputs with many initialisations of one architecture, or with trained weights."""

import platform

import torch
import transformers

from mindgap import __version__
from mindgap.cone.inputs import gather_inputs, noise
from mindgap.cone.layers import member_seeds
from mindgap.cone.store import save_towers
from mindgap.cone.towers import embed_checkpoints, embed_initialisations, embed_mlp
from mindgap.config.cone import Towers
from mindgap.embed.device import choose_device
from mindgap.embed.encoders.drawn import picture_side
from mindgap.embed.extract import Work
from mindgap.embed.history import find_checkpoint
from mindgap.runtime.files import sha256
from mindgap.runtime.job import run


def main(job):
    """Save what every initialisation makes of noise and of each data set."""
    torch.set_num_threads(job.threads)
    options, tower = Towers.model_validate(job.params.options), job.wildcards.tower
    device = choose_device(job.params.device)
    pairs = dict(zip(job.params.sets, job.input.pairs, strict=True))
    items, batch, members = options.items, options.batch_size, list(range(options.seeds))
    about = {"model": tower, "members": members, "weights": "random"}
    if tower == "mlp":
        depth, width = options.mlp.depth, options.mlp.width
        seeds = member_seeds(job.params.seed, options.seeds, "mlp")
        rows, row_seed = options.noise_items, options.noise_seed
        tensors = embed_mlp(depth, width, seeds, rows, row_seed, job.threads)
    elif tower in options.trained:
        trained = options.trained[tower]
        members = trained.checkpoints
        about = {"model": trained.model, "members": members, "weights": "trained"}
        found = [find_checkpoint(*given) for given in job.params.checkpoints]
        folders, about["checkpoints"] = [list(column) for column in zip(*found, strict=True)]
        work = Work(batch_size=batch, precision="float32", threads=job.threads)
        tensors = embed_checkpoints(folders, pairs, items, work, device)
    else:
        first = noise(options.noise_items, options.noise_seed)
        side = picture_side(tower)
        inputs, few = gather_inputs(first, pairs, options.drawings, items, side)
        tensors = embed_initialisations(tower, members, inputs, few, options.few, batch, device)
    about["datasets"] = {name: sha256(path) for name, path in pairs.items()}
    about["device"] = str(device)
    about["versions"] = {
        "mindgap": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    save_towers(job.output[0], tensors, about)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
