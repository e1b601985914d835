"""Do codes mean what words mean?

Holds the codes of spoken scenes against the truth: words in time, digits in cells. What it leaves
belongs to the chapter `codebook`.
"""


rule read_units:
    """Measure one codebook's codes as units of speech and of pictures, each measure with its null."""
    input:
        codes="results/{run}/codebook/parts/{codebook}.codes.safetensors",
        pairs=lambda w: f"results/{RUN}/pairs/{CODEBOOKS[w.codebook].datasets['test']}.parquet",
    output:
        **{
            name: f"results/{{run}}/codebook/parts/{{codebook}}.{name}.csv"
            for name in [*UNIT_TABLES, "labels"]
        },
    log:
        "results/{run}/logs/read_units/{codebook}.log",
    benchmark:
        "results/{run}/benchmarks/read_units/{codebook}.tsv"
    wildcard_constraints:
        codebook=one_of(UNITS),
    threads: 1
    resources:
        mem_mb=memory(8),
        runtime=240,
    params:
        library=library("read_units"),
        key=lambda w: CODEBOOKS[w.codebook].key,
        pixels=lambda w: THIS.config.datasets[CODEBOOKS[w.codebook].datasets["test"]].size,
    script:
        "../scripts/read_units.py"


rule plot_units:
    """Draw what each code stands for: its labels in both modalities, side by side."""
    input:
        labels="results/{run}/codebook/parts/{codebook}.labels.csv",
        units="results/{run}/codebook/parts/{codebook}.units.csv",
        crossings="results/{run}/codebook/parts/{codebook}.crossings.csv",
    output:
        png=report(
            "results/{run}/figures/units/{codebook}.png",
            caption=caption("units"),
            category="codebook",
            labels={"what": "{codebook}: units", "kind": "figure"},
        ),
        pdf="results/{run}/figures/units/{codebook}.pdf",
    log:
        "results/{run}/logs/plot_units/{codebook}.log",
    benchmark:
        "results/{run}/benchmarks/plot_units/{codebook}.tsv"
    wildcard_constraints:
        codebook=one_of(UNITS),
    localrule: True
    params:
        library=library("plot_units"),
    script:
        "../scripts/plot_units.py"
