"""How large is the gap, by which measure?

Writes results/{run}/gap/gap.csv (one row a model and data set), cosines.csv (histograms),
projection.csv (two-dimensional points), and the figures that read them.
"""

FIGURES += [f"figure1_{method}.png" for method in config["gap"]["projection"]["methods"]]
FIGURES += ["cosines.png"]
TABLES += [
    f"gap/parts/{model.name}/{dataset}.sharded.csv"
    for model in MODELS.values()
    for dataset in model.datasets
    if model.embeds and dataset in SHARDED and len(model.modalities) == 2
]


rule measure_gap:
    """Measure the gap between the modalities of one model on one data set."""
    input:
        "results/{run}/embeddings/{model}/{dataset}.safetensors",
    output:
        measures="results/{run}/gap/parts/{model}/{dataset}.gap.csv",
        cosines="results/{run}/gap/parts/{model}/{dataset}.cosines.csv",
    log:
        "results/{run}/logs/measure_gap/{model}/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/measure_gap/{model}/{dataset}.tsv"
    threads: config["threads"]
    resources:
        mem_mb=memory(16),
        runtime=240,
    params:
        library=library("measure_gap"),
        options={k: v for k, v in config["gap"].items() if k != "projection"},
        seed=config["seed"],
        label=lambda w: MODELS[w.model].label,
        weights=lambda w: MODELS[w.model].weights,
    script:
        "../scripts/measure_gap.py"


rule sum_shard:
    """Sum up one shard of a set, so that the set need never be in one memory."""
    input:
        "results/{run}/embeddings/{model}/{dataset}.{shard}.safetensors",
    output:
        "results/{run}/gap/parts/{model}/{dataset}.{shard}.sums.safetensors",
    log:
        "results/{run}/logs/sum_shard/{model}/{dataset}.{shard}.log",
    benchmark:
        "results/{run}/benchmarks/sum_shard/{model}/{dataset}.{shard}.tsv"
    wildcard_constraints:
        shard=r"\d+-of-\d+",
    threads: config["threads"]
    resources:
        mem_mb=memory(16),
        runtime=240,
    params:
        library=library("sum_shard"),
    script:
        "../scripts/sum_shard.py"


rule merge_sums:
    """Measure the gap of a sharded set from the sums of its shards, exactly."""
    input:
        sums=shards_of("results/{run}/gap/parts/{model}/{dataset}.{shard}.sums.safetensors"),
        embeddings=shards_of("results/{run}/embeddings/{model}/{dataset}.{shard}.safetensors"),
    output:
        measures="results/{run}/gap/parts/{model}/{dataset}.sharded.csv",
        cosines="results/{run}/gap/parts/{model}/{dataset}.sharded.cosines.csv",
    log:
        "results/{run}/logs/merge_sums/{model}/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/merge_sums/{model}/{dataset}.tsv"
    threads: config["threads"]
    params:
        library=library("merge_sums"),
        tile_items=config["embed"]["tile_items"],
        bins=config["gap"]["bins"],
    script:
        "../scripts/merge_sums.py"


rule project_pairs:
    """Project both modalities of every model to two dimensions, in one process for one warm-up."""
    input:
        each_embedding("results/{run}/embeddings/{model}/{dataset}.safetensors"),
    output:
        "results/{run}/gap/projection.csv",
    log:
        "results/{run}/logs/project_pairs.log",
    benchmark:
        "results/{run}/benchmarks/project_pairs.tsv"
    resources:
        mem_mb=memory(16),
        runtime=240,
    params:
        library=library("project_pairs"),
        options=config["gap"]["projection"],
        seed=config["seed"],
    script:
        "../scripts/project_pairs.py"


rule plot_projection:
    """Draw Figure 1: both modalities of every model, a thin line for each pair."""
    input:
        measures="results/{run}/gap/gap.csv",
        projection="results/{run}/gap/projection.csv",
    output:
        png=report(
            "results/{run}/figures/figure1_{method}.png",
            caption=caption("figure1"),
            category="gap",
            labels={"what": "Figure 1, {method}", "kind": "figure"},
        ),
        pdf="results/{run}/figures/figure1_{method}.pdf",
    log:
        "results/{run}/logs/plot_projection/{method}.log",
    benchmark:
        "results/{run}/benchmarks/plot_projection/{method}.tsv"
    localrule: True
    params:
        library=library("plot_projection"),
    script:
        "../scripts/plot_projection.py"


rule plot_cosines:
    """Draw the histograms of cosines within and across modalities."""
    input:
        "results/{run}/gap/cosines.csv",
    output:
        png=report(
            "results/{run}/figures/cosines.png",
            caption=caption("cosines"),
            category="gap",
            labels={"what": "cosines", "kind": "figure"},
        ),
        pdf="results/{run}/figures/cosines.pdf",
    log:
        "results/{run}/logs/plot_cosines.log",
    benchmark:
        "results/{run}/benchmarks/plot_cosines.tsv"
    localrule: True
    params:
        library=library("plot_cosines"),
    script:
        "../scripts/plot_cosines.py"
