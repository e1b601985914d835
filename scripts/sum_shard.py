"""Sum up one shard of a set."""

from dataclasses import asdict

import numpy as np
from safetensors.numpy import save_file
from threadpoolctl import threadpool_limits

from mindgap.embed.store import load_embeddings
from mindgap.gap.cosines import unit_rows
from mindgap.gap.sums import pair_sums
from mindgap.runtime.files import replacing
from mindgap.runtime.job import run


def main(job):
    """Write the sums from which the measures of the whole set follow."""
    embeddings = load_embeddings(job.input[0])
    with threadpool_limits(job.threads):
        sums = pair_sums(*(unit_rows(embeddings.first(m)) for m in embeddings.rows))
    with replacing(job.output[0]) as part:
        save_file({k: np.atleast_1d(v) for k, v in asdict(sums).items()}, part)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
