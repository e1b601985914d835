"""Train one model."""

import logging
from pathlib import Path

import pandas as pd

from mindgap.embed.checkpoint import MANIFEST, check_checkpoint
from mindgap.runtime.files import write_csv, write_json
from mindgap.runtime.job import run
from mindgap.train.fit import Job, fit
from mindgap.train.launch import spread


def main(job):
    """Train, and write checkpoint, trajectory and final measures."""
    options, params = job.params.options, job.params
    folder = Path(job.output.weights).parent
    state = folder.with_name(f".{folder.name}.state")
    given = dict(job.input.items())
    start = None
    if "start" in given:
        files = [given["start"]] if isinstance(given["start"], str) else given["start"]
        start = str(Path(files[0]).parent)
        if Path(files[0]).name == MANIFEST:
            check_checkpoint(files[0])
    roles = ("train", "test", "zero_shot")
    work = Job(
        options,
        params.sizes,
        {role: str(given[role]) for role in roles if role in given},
        params.prompts,
        start,
        str(folder),
        str(state),
        params.device,
        max(1, job.threads // options["processes"]),
        (params.start or {}).get("weights", "trained"),
        (params.start or {}).get("expect"),
    )
    if options["processes"] > 1:
        rows, final = spread(work, options["processes"])
    else:
        rows, final = fit(work)
    key = {"training": job.wildcards.training, "definition": params.definition}
    facts = {k: v for k, v in options.items() if not isinstance(v, (list, dict))}
    write_csv(
        job.output.trajectory, pd.DataFrame([{**key, "seed": options["seed"], **r} for r in rows])
    )
    write_csv(job.output.final, pd.DataFrame([{**key, **facts, **final}]))
    write_json(job.output.about, {**key, "start": work.start, "options": options})
    for path in (state, Path(f"{state}.key")):
        path.unlink(missing_ok=True)
    logging.info("gap %.4f, R@1 %.4f", final["gap"], final["recall_at_1_ab"])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
