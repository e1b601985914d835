"""How large is the gap, by which measure?

Writes results/{run}/gap/gap.csv (one row per model, data set and pair of modalities), cosines.csv
(histograms), projection.csv (two-dimensional points); of three modalities or more directions.csv and
rank_correlations.csv; and the figures that read them.
"""


rule measure_gap:
    """Measure the gap between each two modalities of one model on one data set."""
    input:
        "results/{run}/embeddings/{model}/{dataset}.safetensors",
    output:
        measures="results/{run}/gap/parts/{model}/{dataset}.gap.csv",
        cosines="results/{run}/gap/parts/{model}/{dataset}.cosines.csv",
    log:
        "results/{run}/logs/measure_gap/{model}/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/measure_gap/{model}/{dataset}.tsv"
    priority: lambda w: 2 * sooner(w)
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
    resources:
        mem_mb=memory(16),
        runtime=240,
    params:
        library=library("merge_sums"),
        tile_items=config["embed"]["tile_items"],
        bins=config["gap"]["bins"],
    script:
        "../scripts/merge_sums.py"


rule project_pairs:
    """Project both modalities of many models to two dimensions, in one process for one warm-up."""
    input:
        lambda w: each_embedding(
            "results/{run}/embeddings/{model}/{dataset}.safetensors",
            THIS.paired(THIS.origins[w.origin]),
        ),
    output:
        "results/{run}/gap/parts/{origin}.projection.csv",
    log:
        "results/{run}/logs/project_pairs/{origin}.log",
    benchmark:
        "results/{run}/benchmarks/project_pairs/{origin}.tsv"
    wildcard_constraints:
        origin=one_of(THIS.origins),
    priority: lambda w: 120 if w.origin == "features" else 40
    threads: 1
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
        measures=lambda w: each_embedding(
            "results/{run}/gap/parts/{model}/{dataset}.gap.csv", THIS.paired(THIS.drawn[w.figure])
        ),
        projection=lambda w: [
            f"results/{RUN}/gap/parts/{origin}.projection.csv"
            for origin, models in THIS.origins.items()
            if {model.name for model in models} & {model.name for model in THIS.drawn[w.figure]}
        ],
    output:
        png=report(
            "results/{run}/figures/{figure}_{method}.png",
            caption=caption("figure1"),
            category="gap",
            labels={"what": "{figure}, {method}", "kind": "figure"},
        ),
        pdf="results/{run}/figures/{figure}_{method}.pdf",
    log:
        "results/{run}/logs/plot_projection/{figure}_{method}.log",
    benchmark:
        "results/{run}/benchmarks/plot_projection/{figure}_{method}.tsv"
    wildcard_constraints:
        figure=one_of(THIS.drawn),
        method=one_of(config["gap"]["projection"]["methods"]),
    priority: lambda w: 120 if w.figure == "figure1_features" else 40
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


rule compare_modalities:
    """Lay out gap and retrieval for each direction between three modalities or more, and rank them."""
    input:
        "results/{run}/gap/gap.csv",
    output:
        directions=shown_table("gap", "directions"),
        correlations=shown_table("gap", "rank_correlations"),
    log:
        "results/{run}/logs/compare_modalities.log",
    localrule: True
    params:
        library=library("compare_modalities"),
    script:
        "../scripts/compare_modalities.py"


rule plot_modalities:
    """Draw gap, matched cosine and R@1 of every query and gallery among several modalities."""
    input:
        "results/{run}/gap/directions.csv",
    output:
        png=report(
            "results/{run}/figures/gap/{model}/{dataset}.png",
            caption=caption("modalities"),
            category="gap",
            labels={"what": "modalities, {model} on {dataset}", "kind": "figure"},
        ),
        pdf="results/{run}/figures/gap/{model}/{dataset}.pdf",
    log:
        "results/{run}/logs/plot_modalities/{model}/{dataset}.log",
    localrule: True
    params:
        library=library("plot_modalities"),
    script:
        "../scripts/plot_modalities.py"
