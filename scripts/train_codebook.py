"""Train one codebook."""

from mindgap.codebook.fit import CodebookJob
from mindgap.runtime.job import run
from mindgap.train.job import launch


def main(job):
    """Train, and write the checkpoint, the held-out rows and the codes at the end."""
    params = job.params
    launch(
        CodebookJob(
            options=params.options,
            pairs={role: str(job.input[role]) for role in ("train", "test")},
            weights=str(job.output.weights),
            rows=str(job.output.rows),
            codes=str(job.output.codes),
            about={"codebook": job.wildcards.codebook, **params.key},
            arrays=params.arrays,
            device=params.device,
            threads=max(1, job.threads // params.options["processes"]),
            save_every=params.save_every,
        )
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
