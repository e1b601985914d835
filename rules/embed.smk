"""What do the encoders make of the pairs?

Writes results/{run}/embeddings/{model}/{dataset}.safetensors: one float32 tensor per modality, not
normalised, row i beside row i, with its history in the header. A data set of several shards is
embedded as {dataset}.{k}-of-{n}.safetensors, side by side, and then joined.
"""


ruleorder: join_shards > embed_pairs


rule fetch_checkpoint:
    """Fetch a checkpoint from the mirror or the hub, and record what it holds."""
    output:
        "data/models/{checkpoint}/{revision}/manifest.json",
    log:
        "data/.log/models/{checkpoint}/{revision}.log",
    wildcard_constraints:
        checkpoint="[^/]+",
        revision="[^/]+",
    localrule: True
    params:
        checkpoint=lambda w, output: THIS.checkpoints[output[0]]["checkpoint"],
        revision=lambda w: w.revision,
    script:
        "../scripts/fetch_checkpoint.py"


rule embed_pairs:
    """Run an encoder over a data set, or over one shard of it."""
    input:
        checkpoint_files,
        pairs="results/{run}/pairs/{dataset}.parquet",
    output:
        embeddings="results/{run}/embeddings/{model}/{dataset}{shard}.safetensors",
        failures="results/{run}/embeddings/{model}/{dataset}{shard}.failures.csv",
    log:
        "results/{run}/logs/embed_pairs/{model}/{dataset}{shard}.log",
    benchmark:
        "results/{run}/benchmarks/embed_pairs/{model}/{dataset}{shard}.tsv"
    wildcard_constraints:
        model=one_of(ENCODERS),
        shard=r"(\.\d+-of-\d+)?",
    threads: config["threads"]
    resources:
        gpu=GPU,
        mem_mb=memory(32),
        runtime=1440,
    params:
        library=library("embed_pairs"),
        options=lambda w: MODELS[w.model].options,
        manifest=lambda w: manifest(MODELS[w.model].options),
        shard=lambda w: [int(n) for n in re.findall(r"\d+", w.shard)] or [0, 1],
        work={k: config["embed"][k] for k in ("precision", "part_items")},
        device=config["device"],
    script:
        "../scripts/embed_pairs.py"


rule embed_prompts:
    """Embed the class prompts of a labelled set, those of every task that asks about it."""
    input:
        checkpoint_files,
        pairs="results/{run}/pairs/{dataset}.parquet",
    output:
        "results/{run}/embeddings/{model}/{dataset}.prompts.safetensors",
    log:
        "results/{run}/logs/embed_prompts/{model}/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/embed_prompts/{model}/{dataset}.tsv"
    wildcard_constraints:
        model=one_of(ENCODERS),
    threads: config["threads"]
    resources:
        gpu=GPU,
        mem_mb=memory(16),
        runtime=120,
    params:
        library=library("embed_prompts"),
        options=lambda w: MODELS[w.model].options,
        manifest=lambda w: manifest(MODELS[w.model].options),
        wanted=lambda w: DOWNSTREAM.prompted[w.model, w.dataset],
        work={k: config["embed"][k] for k in ("precision", "part_items")},
        device=config["device"],
    script:
        "../scripts/embed_prompts.py"


rule join_shards:
    """Put the shards of a data set into one file, row after row."""
    input:
        embeddings=shards_of("results/{run}/embeddings/{model}/{dataset}.{shard}.safetensors"),
        failures=shards_of("results/{run}/embeddings/{model}/{dataset}.{shard}.failures.csv"),
    output:
        embeddings="results/{run}/embeddings/{model}/{dataset}.safetensors",
        failures="results/{run}/embeddings/{model}/{dataset}.failures.csv",
    log:
        "results/{run}/logs/join_shards/{model}/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/join_shards/{model}/{dataset}.tsv"
    wildcard_constraints:
        model=one_of(ENCODERS),
        dataset=one_of(SHARDED),
    threads: 1
    resources:
        mem_mb=memory(32),
        runtime=240,
    params:
        library=library("join_shards"),
        most=config["embed"]["join_items"],
    script:
        "../scripts/join_shards.py"


rule import_embeddings:
    """Check embeddings that somebody else made and store them as ours."""
    input:
        lambda w: carried(w.model, records=True),
    output:
        "results/{run}/embeddings/{model}/{dataset}.safetensors",
    log:
        "results/{run}/logs/import_embeddings/{model}/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/import_embeddings/{model}/{dataset}.tsv"
    wildcard_constraints:
        model=one_of(CARRIERS),
    priority: 110
    threads: 1
    resources:
        mem_mb=memory(8),
        runtime=60,
    params:
        library=library("import_embeddings"),
        options=lambda w: MODELS[w.model].options,
        files=lambda w: carried_files(MODELS[w.model].options),
        sha256=lambda w: expected_sums(SOURCES, MODELS[w.model].options),
    script:
        "../scripts/import_embeddings.py"


rule embed_jointly:
    """Train small encoders of several modalities together on one set, and embed another."""
    input:
        train=lambda w: f"results/{RUN}/pairs/{MODELS[w.model].options['train']}.parquet",
        pairs="results/{run}/pairs/{dataset}.parquet",
    output:
        "results/{run}/embeddings/{model}/{dataset}.safetensors",
    log:
        "results/{run}/logs/embed_jointly/{model}/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/embed_jointly/{model}/{dataset}.tsv"
    wildcard_constraints:
        model=one_of(JOINT),
    threads: config["threads"]
    resources:
        gpu=GPU,
        mem_mb=memory(16),
        runtime=240,
    params:
        library=library("embed_jointly"),
        options=lambda w: MODELS[w.model].options,
        device=config["device"],
    script:
        "../scripts/embed_jointly.py"
