"""Train one codebook."""

from mindgap.codebook.fit import CodebookJob
from mindgap.config.codebook import CodebookRecipe
from mindgap.runtime.job import run
from mindgap.train.job import launch


def main(job):
    """Train, and write the checkpoint, the held-out rows and the codes at the end."""
    params, recipe = job.params, CodebookRecipe.model_validate(job.params.options)
    launch(
        CodebookJob(
            options=recipe,
            seed=params.key["seed"],
            pairs={role: job.input[role] for role in ("train", "test")},
            weights=job.output.weights,
            rows=job.output.rows,
            codes=job.output.codes,
            about={"codebook": job.wildcards.codebook, **params.key},
            arrays=params.arrays,
            device=params.device,
            threads=max(1, job.threads // recipe.processes),
            save_every=params.save_every,
        )
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
