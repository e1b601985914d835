"""Which pairs do we look at?

Fetches sources to data/{source}/{filename}, shared by all runs, and writes each data set as
results/{run}/pairs/{dataset}.parquet.
"""


# What a download holds is settled by its checksum: neither the code that fetched it nor a better
# sentence about it in the table fetches it again. The rule makes the record of the checksum and not
# the file, because what a rule makes is deleted before the rule runs again.
rule fetch_source:
    """Fetch data/{source}/{filename} from the mirror or its own address, or verify the copy there."""
    input:
        table=ancient(shipped("workflow/sources.yaml")),
    output:
        "data/.fetched/{source}/{filename}.sha256",
    log:
        "data/.log/{source}/{filename}.log",
    wildcard_constraints:
        source=one_of(SOURCES),
        filename="[^/]+",
    localrule: True
    params:
        checksum=lambda w: find_source(SOURCES, w.source, w.filename).checksum,
    script:
        "../scripts/fetch_source.py"


rule fetch_dataset:
    """Fetch a data set of the Hugging Face hub at one revision, and list its files."""
    output:
        "data/hub/{snapshot}.json",
    log:
        "data/.log/hub/{snapshot}.log",
    wildcard_constraints:
        snapshot=one_of(THIS.snapshots),
    localrule: True
    params:
        wanted=lambda w: THIS.snapshots[w.snapshot],
    script:
        "../scripts/fetch_dataset.py"


rule build_pairs:
    """Write a data set as one table, one row per item, and list what cannot be used."""
    input:
        lambda w: find_inputs(SETS[w.dataset]),
    output:
        pairs="results/{run}/pairs/{dataset}.parquet",
        failures="results/{run}/pairs/{dataset}.failures.csv",
    log:
        "results/{run}/logs/build_pairs/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/build_pairs/{dataset}.tsv"
    threads: config["threads"]
    resources:
        mem_mb=memory(8),
        runtime=1440,
    params:
        library=library("build_pairs"),
        reader=lambda w: reader(SETS[w.dataset]),
        definition=lambda w: THIS.config.datasets[w.dataset].model_dump(),
        how=lambda w: describe(SETS[w.dataset]),
        trees=lambda w: trees(SETS[w.dataset]),
        prompts=lambda w: PROMPTS.get(SETS[w.dataset]["kind"]),
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
        config=THIS.options,
    script:
        "../scripts/save_config.py"
