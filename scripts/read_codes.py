"""Read what the codes of one codebook mean, who uses them and where they fire."""

import pandas as pd

from mindgap.codebook.meaning import (
    agreement,
    concept_columns,
    describe_codes,
    generalise,
    name_codes,
    present,
    read_concepts,
    single_classes,
)
from mindgap.codebook.places import PLACED, localise
from mindgap.codebook.store import read_codes, write_tables
from mindgap.codebook.usage import usage_table
from mindgap.data.pairs import open_pairs, read_column
from mindgap.runtime.job import run


def main(job):
    """Write usage, meaning, concepts, generalisation, places and agreement."""
    key, seed, pairs = job.params.key, job.params.key["seed"], job.input.pairs
    codes, about = read_codes(job.input.codes)
    size = about["size"]
    columns = concept_columns(open_pairs(pairs).schema_arrow.names)
    concepts = read_concepts(pairs, columns, about["modalities"])
    named = name_codes(tuple(present(side, size) for side in codes), concepts, seed)
    classes = single_classes(pairs, columns)
    places = pd.DataFrame(columns=["modality"])
    if columns == ["objects"]:
        objects, parts = read_column(pairs, "objects"), []
        for side, modality, own in zip("ab", about["modalities"], codes, strict=True):
            if about["kinds"][modality] in PLACED:
                shape = about["shapes"][modality] or (1, 1, own.shape[1])
                found = localise(own, modality, shape, objects, named, about["token_s"])
                parts.append(found.assign(modality=side))
        places = pd.concat(parts, ignore_index=True) if parts else places
    tables = {
        "usage": pd.DataFrame(usage_table(*codes, size)),
        "meaning": describe_codes(codes, concepts, size, job.params.top),
        "concepts": named,
        "generalisation": pd.DataFrame(generalise(codes, classes, size, seed)),
        "places": places,
        "agreement": pd.DataFrame([agreement(codes, size, seed)]),
    }
    write_tables(job.output, tables, key)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
