"""Measure the gap of a sharded set from the sums of its shards."""

from functools import partial, reduce
from operator import add

import numpy as np
import pandas as pd

from mindgap.embed.store import load_embeddings
from mindgap.gap.cosines import unit_rows
from mindgap.gap.measures import FINE, coarse
from mindgap.gap.registry import compute
from mindgap.gap.sums import AllPairs, Moments, PairSums
from mindgap.runtime.files import open_tensors, write_csv
from mindgap.runtime.job import run


def read_sums(path):
    """Sums of one shard."""
    with open_tensors(path) as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    single = {k: found.pop(k)[0].item() for k in ("n", "matched", "distance")}
    return PairSums(**found, **single)


def read_rows(path):
    """Unit rows of both modalities of one shard."""
    embeddings = load_embeddings(path)
    return tuple(unit_rows(embeddings.first(m)) for m in embeddings.rows)


def main(job):
    """Write one row of measures; those of all pairs where the set is small enough."""
    moments = Moments.of_sums(reduce(add, map(read_sums, job.input.sums)))
    key, bins = {k: job.wildcards[k] for k in ("model", "dataset")}, job.params.bins
    sources, counted = {"moments": (moments,)}, {}
    if moments.n <= job.params.tile_items:
        shards = [partial(read_rows, path) for path in job.input.embeddings]
        pairs = AllPairs.of_shards(shards, bins * FINE, job.threads)
        sources["pairs"], counted = (pairs,), vars(pairs)
    row = {**key, "shards": len(job.input.sums), **compute(**sources)}
    write_csv(job.output.measures, pd.DataFrame([row]))
    edges = np.linspace(-1, 1, bins + 1)
    ends = {"low": edges[:-1], "high": edges[1:]}
    parts = [
        pd.DataFrame({**key, "pairs": kind, **ends, "count": coarse(one.counts)})
        for kind, one in counted.items()
    ]
    empty = pd.DataFrame(columns=[*key, "pairs", *ends, "count"])
    write_csv(job.output.cosines, pd.concat(parts) if parts else empty)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
