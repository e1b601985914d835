"""Many initialisations of one architecture, each run over the same inputs (Fig 2a and 2c)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mindgap.cone.inputs import Inputs
from mindgap.cone.layers import Draws, Layers, Network
from mindgap.cone.store import Cloud
from mindgap.embed.encode import embed_pairs
from mindgap.embed.encoders.drawn import Drawn, drawn_encoder
from mindgap.embed.encoders.load import load_encoder
from mindgap.embed.extract import Work
from mindgap.embed.store import check_rows
from mindgap.runtime.errors import UserError


@contextmanager
def without_normalisation(model: torch.nn.Module) -> Iterator[None]:
    """Let every layer norm of a model pass its input on unchanged."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.LayerNorm)]
    hooks = [m.register_forward_hook(lambda _module, inputs, _output: inputs[0]) for m in norms]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@torch.inference_mode()
def run_towers(
    encoder: Drawn, inputs: Inputs, batch: int, device: torch.device, raw: bool = False
) -> dict[Cloud, np.ndarray]:
    """Embed one set of inputs with an encoder as it is: float32 rows of shape (n, d).

    What stands before a projection is kept too. `raw` leaves pictures unstandardised.
    """
    found: dict[Cloud, list[np.ndarray]] = {}
    for modality in (m for m in encoder.modalities if m in inputs.modalities):
        cloud = Cloud(inputs.name, modality, inputs.drawn, not raw)
        for start in range(0, inputs.count, batch):
            stop = min(start + batch, inputs.count)
            if modality == "image":
                x = {"pixel_values": inputs.pixels(start, stop, encoder.side, raw)}
            else:
                x = {"input_ids": inputs.tokens(start, stop)}
            pooled = encoder.pool(modality, {key: value.to(device) for key, value in x.items()})
            rows = {cloud: encoder.project(modality, pooled)}
            if encoder.projects:
                rows[replace(cloud, pooled=True)] = pooled
            for which, some in rows.items():
                found.setdefault(which, []).append(some.float().cpu().numpy())
    return {which: np.concatenate(parts) for which, parts in found.items()}


def embed_initialisations(
    name: str,
    seeds: Sequence[int],
    inputs: Sequence[Inputs],
    few: Sequence[Inputs],
    few_seeds: int,
    batch: int,
    device: torch.device,
) -> dict[Cloud, np.ndarray]:
    """Embed the inputs with every initialisation of an architecture: (seeds, n, d) each.

    Parameters
    ----------
    name
        Name of an architecture, see `mindgap.embed.encoders.drawn`.
    seeds
        One initialisation per seed; all see the same inputs.
    inputs, few
        Sets for all seeds, and sets for the first `few_seeds` of them, which also see `inputs`
        without any normalisation (for architectures with layer norms).
    """
    encoder, found = drawn_encoder(name), {}
    for k, seed in enumerate(tqdm(seeds, desc=f"{name} on {device}", unit=" initialisations")):
        encoder.to("cpu").draw(seed)
        encoder.to(device)
        parts = [
            run_towers(encoder, some, batch, device)
            for some in ([*inputs, *few] if k < few_seeds else inputs)
        ]
        if k < few_seeds and encoder.projects:
            with without_normalisation(encoder.model):
                parts += [run_towers(encoder, some, batch, device, raw=True) for some in inputs]
        _keep(found, name, parts)
    return {cloud: np.stack(rows) for cloud, rows in found.items()}


def _keep(
    found: dict[Cloud, list[np.ndarray]], name: str, parts: Iterable[dict[Cloud, np.ndarray]]
) -> None:
    """Add the rows of one member to those of the others, once they are checked."""
    for cloud, rows in (item for part in parts for item in part.items()):
        check_rows(rows, f"{name} on {cloud.label}, {cloud.modality}")
        found.setdefault(cloud, []).append(rows)


def embed_checkpoints(
    folders: Sequence[str | Path],
    pairs: dict[str, str],
    items: int,
    work: Work,
    device: torch.device,
) -> dict[Cloud, np.ndarray]:
    """Embed the first items of pairs files with each checkpoint: (checkpoints, n, d) each."""
    found: dict[Cloud, list[np.ndarray]] = {}
    for folder in tqdm(folders, desc=f"checkpoints on {device}", unit=" checkpoints"):
        encoder = load_encoder(folder)
        for dataset, path in pairs.items():
            rows = embed_pairs(encoder, path, work, device, items).rows
            _keep(found, str(folder), [{Cloud(dataset, m): some for m, some in rows.items()}])
    for cloud, members in found.items():
        if len({rows.shape for rows in members}) > 1:
            raise UserError(
                f"the checkpoints differ in the size of their {cloud.modality} embeddings of "
                f"{cloud.label}; list checkpoints of one architecture"
            )
    return {cloud: np.stack(members) for cloud, members in found.items()}


def embed_mlp(
    depth: int, width: int, seeds: Sequence[int], inputs: int, seed: int, threads: int
) -> dict[Cloud, np.ndarray]:
    """Embed the same standard normal rows with one random ReLU network per seed."""
    network = Network("relu", "normal", width=width)
    rows = Draws([seed], 9).normal(inputs, width).expand(len(seeds), -1, -1)
    layers = Layers([network], seeds, threads)
    for _ in range(depth):
        layers.draw()
        rows = layers.apply(network, rows)
    return {Cloud("noise", "vector"): rows.numpy()}
