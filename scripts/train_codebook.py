"""Train one codebook."""

import logging
from pathlib import Path

import pandas as pd

from mindgap.codebook.encoders import Frames
from mindgap.codebook.fit import Job, fit
from mindgap.codebook.store import save_codes, save_model
from mindgap.files import write_csv
from mindgap.job import run


def main(job):
    """Train, and write checkpoint, held-out codes and measures."""
    params, folder = job.params, Path(job.output.weights).parent
    state = folder.with_name(f".{folder.name}.state")
    pairs = {role: str(job.input[role]) for role in ("train", "test")}
    work = Job(params.options, pairs, params.arrays, str(state), params.device, job.threads)
    found = fit(work)
    key = {"codebook": job.wildcards.codebook, **params.key}
    tables = {"trajectory": found.steps, "final": found.final, "retrieval": found.retrieval}
    for name, rows in tables.items():
        write_csv(job.output[name], pd.DataFrame([{**key, **row} for row in rows]))
    quantiser = found.model.quantiser
    size = 0 if quantiser is None else len(quantiser.table())
    shapes = {m: getattr(e, "shape", ()) for m, e in found.model.encoders.items()}
    inputs = params.options["inputs"]
    about = {"size": size, "modalities": params.options["modalities"], "shapes": shapes}
    about["token_s"] = Frames.STRIDE * inputs["hop"] / inputs["rate"]
    about["kinds"] = {m: facts["kind"] for m, facts in found.facts.items()}
    save_codes(job.output.codes, found.held.codes, about)
    save_model(folder, found.model, {**key, "facts": found.facts, "options": params.options})
    for path in (state, Path(f"{state}.key")):
        path.unlink(missing_ok=True)
    end = found.final[0]
    logging.info("gap %.4f, R@1 %.4f", end["gap"], end["recall_at_1_ab"])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
