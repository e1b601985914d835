"""Which pairs do we look at?

Fetches sources to data/{source}/{filename}, shared by all runs, and writes each data set as
results/{run}/pairs/{dataset}.parquet.
"""


rule fetch_source:
    """Fetch one file from the mirror or its own address and verify it."""
    output:
        "data/{source}/{filename}",
    log:
        "data/.log/{source}/{filename}.log",
    localrule: True
    params:
        library=library("fetch_source"),
        wanted=lambda w: vars(find_source(SOURCES, w.source, w.filename)),
    script:
        "../scripts/fetch_source.py"


rule build_pairs:
    """Write a data set as one table, an item a row, media encoded, and list what cannot be used."""
    input:
        lambda w: folder_files(config["datasets"][w.dataset]),
    output:
        pairs="results/{run}/pairs/{dataset}.parquet",
        failures="results/{run}/pairs/{dataset}.failures.csv",
    log:
        "results/{run}/logs/build_pairs/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/build_pairs/{dataset}.tsv"
    params:
        library=library("build_pairs"),
        definition=lambda w: config["datasets"][w.dataset],
    script:
        "../scripts/build_pairs.py"


rule save_config:
    """Save the merged configuration beside the results."""
    output:
        "results/{run}/config.yaml",
    log:
        "results/{run}/logs/save_config.log",
    localrule: True
    params:
        library=library("save_config"),
        config=config,
    script:
        "../scripts/save_config.py"
