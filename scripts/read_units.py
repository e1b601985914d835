"""Measure the codes of one codebook as units of speech and of pictures."""

from mindgap.codebook.store import read_codes, write_tables
from mindgap.codebook.unit_tables import (
    align,
    crossings_table,
    labels_table,
    queries_table,
    units_table,
)
from mindgap.data.pairs import read_column
from mindgap.runtime.job import run


def main(job):
    """Write units, crossings, queries and labels."""
    key, seed = job.params.key, job.params.key["seed"]
    codes, about = read_codes(job.input.codes)
    truth = {column: read_column(job.input.pairs, column) for column in ("places", "words")}
    kinds = tuple(about["kinds"][modality] for modality in about["modalities"])
    pair = []
    for modality, kind, own in zip(about["modalities"], kinds, codes, strict=True):
        side = about["shapes"][modality][-1] if kind == "image" else 0
        facts = {"token_s": about["token_s"], "side": side, "pixels": job.params.pixels}
        pair.append(align(own.astype(int), about["size"], kind, truth, facts))
    tables = {
        "units": units_table(pair, kinds, truth["words"], about["token_s"], seed),
        "crossings": crossings_table(pair, seed),
        "queries": queries_table(pair, kinds, seed),
        "labels": labels_table(pair),
    }
    write_tables(job.output, tables, key)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
