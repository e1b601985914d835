"""The studies of Fig 2b and beyond: activations and biases, blocks, widths."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from mindgap.cone.kernels import depth_curve
from mindgap.cone.layers import Network, member_seeds, networks_by_width, trace_depth
from mindgap.cone.published import depth_table
from mindgap.config.cone import Depth


@dataclass(frozen=True)
class Study:
    """Kinds of networks that are compared, with how many of each on how many inputs."""

    name: str
    networks: list[Network]
    seeds: int
    inputs: int


def depth_studies(options: Depth) -> list[Study]:
    """Studies of a configuration block `cone.depth`."""
    width, blocks, widths = options.width, options.blocks, options.widths
    plain = [Network(a, b, "plain", width) for a in options.activations for b in options.biases]
    built = [Network(a, "normal", k, width) for a in blocks.activations for k in blocks.kinds]
    wide = [Network(widths.activation, "normal", "plain", w) for w in widths.widths]
    return [
        Study("activations", plain, options.seeds, options.inputs),
        Study("blocks", built, blocks.seeds, options.inputs),
        Study("widths", wide, widths.seeds, widths.inputs),
    ]


def run_study(study: Study, depth: int, seed: int, threads: int = 1) -> pd.DataFrame:
    """Table of one study, see `depth_table`, with the columns study and inputs before it."""
    seeds, tables = member_seeds(seed, study.seeds, study.name), []
    for group in tqdm(networks_by_width(study.networks), desc=study.name, unit=" groups"):
        found = trace_depth(group, depth, study.inputs, seeds, threads)
        curves = [
            depth_curve(n.activation, n.bias, depth, study.inputs, n.width)
            if n.block == "plain"
            else np.full(depth + 1, np.nan)
            for n in group
        ]
        cells = [{"study": study.name, "inputs": study.inputs, **asdict(n)} for n in group]
        tables.append(depth_table(found, cells, curves))
    return pd.concat(tables, ignore_index=True)
