"""Train one codebook."""

import logging
from pathlib import Path

from mindgap.codebook.fit import fit
from mindgap.codebook.sides import Job
from mindgap.codebook.store import leave
from mindgap.runtime.files import read_csv
from mindgap.runtime.job import run
from mindgap.train.launch import spread


def main(job):
    """Train, and write checkpoint, held-out codes and measures."""
    params, folder = job.params, Path(job.output.weights).parent
    state = folder.with_name(f".{folder.name}.state")
    work = Job(
        params.options,
        {role: str(job.input[role]) for role in ("train", "test")},
        params.arrays,
        str(state),
        params.device,
        max(1, job.threads // params.options["processes"]),
        {name: str(path) for name, path in job.output.items()},
        {"codebook": job.wildcards.codebook, **params.key},
    )
    if params.options["processes"] > 1:
        spread(work, params.options["processes"], "mindgap.codebook.fit")
    else:
        leave(fit(work), work)
    for path in (state, Path(f"{state}.key")):
        path.unlink(missing_ok=True)
    end = read_csv(job.output.final).iloc[0]
    logging.info("gap %.4f, R@1 %.4f", end["gap"], end["recall_at_1_ab"])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
