"""What do the encoders make of the pairs?

Writes results/{run}/embeddings/{model}/{dataset}.safetensors: one float32 tensor a modality, not
normalised, row i beside row i, with its history in the header.
"""


rule embed_pairs:
    """Run an encoder over the pictures and captions of a data set."""
    input:
        pairs="results/{run}/pairs/{dataset}.parquet",
    output:
        "results/{run}/embeddings/{model}/{dataset}.safetensors",
    log:
        "results/{run}/logs/embed_pairs/{model}/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/embed_pairs/{model}/{dataset}.tsv"
    wildcard_constraints:
        model=one_of(ENCODERS),
    threads: config["threads"]
    resources:
        gpu=1,
    params:
        library=library("embed_pairs"),
        options=lambda w: MODELS[w.model].options,
        device=config["device"],
    script:
        "../scripts/embed_pairs.py"


rule import_embeddings:
    """Check embeddings that somebody else made and store them as ours."""
    input:
        lambda w: carried_files(MODELS[w.model].options, records=True),
    output:
        "results/{run}/embeddings/{model}/{dataset}.safetensors",
    log:
        "results/{run}/logs/import_embeddings/{model}/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/import_embeddings/{model}/{dataset}.tsv"
    wildcard_constraints:
        model=one_of(CARRIERS),
    params:
        library=library("import_embeddings"),
        options=lambda w: MODELS[w.model].options,
        files=lambda w: carried_files(MODELS[w.model].options),
        sha256=lambda w: expected_sum(MODELS[w.model].options),
    script:
        "../scripts/import_embeddings.py"
