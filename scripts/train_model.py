"""Train one dual encoder."""

from pathlib import Path

from mindgap.embed.checkpoint import MANIFEST, check_checkpoint
from mindgap.runtime.job import run
from mindgap.train.fit import DualJob
from mindgap.train.job import launch

ROLES = ("train", "test", "zero_shot")


def main(job):
    """Train, and write the checkpoint and the held-out rows."""
    params, given = job.params, dict(job.input.items())
    first = [given["start"]] if isinstance(given.get("start"), str) else given.get("start")
    start = Path(first[0]).parent if first else None
    if start and Path(first[0]).name == MANIFEST:
        check_checkpoint(first[0])
    origin = params.start or {}
    launch(
        DualJob(
            options=params.options,
            pairs={role: str(given[role]) for role in ROLES if role in given},
            weights=str(job.output.weights),
            rows=str(job.output.rows),
            about={"training": job.wildcards.training, "definition": params.definition},
            device=params.device,
            threads=max(1, job.threads // params.options["processes"]),
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
