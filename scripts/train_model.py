"""Train one dual encoder."""

from pathlib import Path

from mindgap.config.train import DualRecipe
from mindgap.embed.checkpoint import MANIFEST, check_checkpoint
from mindgap.runtime.job import run
from mindgap.train.fit import DualJob
from mindgap.train.job import launch


def main(job):
    """Train, and write the checkpoint and the held-out rows."""
    params, pairs = job.params, dict(job.input.items())
    recipe, start = DualRecipe.model_validate(params.options), pairs.pop("start", None)
    first = [start] if isinstance(start, str) else start
    start = Path(first[0]).parent if first else None
    if start and Path(first[0]).name == MANIFEST:
        check_checkpoint(first[0])
    origin = params.start or {}
    launch(
        DualJob(
            options=recipe,
            seed=params.seed,
            pairs=pairs,
            weights=job.output.weights,
            rows=job.output.rows,
            about={"training": job.wildcards.training, "definition": params.definition},
            device=params.device,
            threads=max(1, job.threads // recipe.processes),
            save_every=params.save_every,
            sizes=params.sizes,
            prompts=params.prompts,
            start=start and str(start),
            random=origin.get("weights") == "random",
            expect=origin.get("expect"),
        )
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
