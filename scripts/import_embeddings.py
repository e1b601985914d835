"""Check and store embeddings that somebody else made."""

from dataclasses import replace

from mindgap import __version__
from mindgap.embed.arrays import features, own_arrays
from mindgap.embed.store import check_pairs, save_embeddings, warn_if_equal
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import check_there, sha256
from mindgap.runtime.job import run


def main(job):
    """Read feature arrays, refuse what no measure can use, save the rest."""
    options, files = job.params.options, job.params.files
    check_there(files)
    sums = {str(path): sha256(path) for path in files}
    for path, expected in job.params.sha256.items():
        if expected not in (None, sums[path]):
            raise UserError(
                f"{path} is not the file of workflow/sources.yaml any more: expected sha256 "
                f"{expected}, got {sums[path]}; delete it and data/.fetched and run again"
            )
    if options["kind"] == "features":
        embeddings = features(files[0], options["modalities"])
    else:
        embeddings = own_arrays(options["modalities"])
    check_pairs(embeddings, job.wildcards.model)
    warn_if_equal(embeddings, f"{job.wildcards.model} on {job.wildcards.dataset}")
    about = {
        "model": job.wildcards.model,
        "dataset": job.wildcards.dataset,
        "modalities": list(embeddings.rows),
        "options": dict(options),
        "files": sums,
        "versions": {"mindgap": __version__},
    }
    save_embeddings(job.output[0], replace(embeddings, about=about))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
