"""Does a shared discrete space close the gap, and can we read it?

Trains two-path models with one codebook for both modalities (results/{run}/checkpoints/{task}_{variant}_s{seed}/),
measures what they make of held-out pairs (codebook/rows/{codebook}.safetensors), reads what their codes mean, and
compares the variants of each task. explorer/codes/{codebook}.html shows each code in both modalities.
"""

from mindgap.codebook import plan as books

READ = [name for name, one in CODEBOOKS.items() if one.discrete]
MEASURES = ["trajectory", "final", "retrieval"]
MEASURED = {"max_pairs", "sets", "set_items"}  # options that only the measures have
READINGS = ["usage", "meaning", "concepts", "generalisation", "places", "agreement"]
UNITS = THIS.units  # codebooks whose held-out pairs know the place of every word
UNIT_TABLES = ["units", "crossings", "queries"]


rule train_codebook:
    """Train one two-path model with its codes; a restart goes on from the last saved state."""
    input:
        unpack(lambda w: books.inputs_of(CODEBOOKS[w.codebook], RUN)),
    output:
        weights="results/{run}/checkpoints/{codebook}/model.safetensors",
        about="results/{run}/checkpoints/{codebook}/codebook.json",
        rows="results/{run}/codebook/rows/{codebook}.safetensors",
        codes="results/{run}/codebook/parts/{codebook}.codes.safetensors",
    log:
        "results/{run}/logs/train_codebook/{codebook}.log",
    benchmark:
        "results/{run}/benchmarks/train_codebook/{codebook}.tsv"
    wildcard_constraints:
        codebook=one_of(CODEBOOKS),
    priority: -20
    threads: lambda w: config["codebook"]["threads"] * CODEBOOKS[w.codebook].options.processes
    resources:
        gpu=lambda w: GPU * CODEBOOKS[w.codebook].options.processes,
        mem_mb=memory(32),
        runtime=2880,
    params:
        library=library("train_codebook"),
        key=lambda w: CODEBOOKS[w.codebook].key,
        options=lambda w: CODEBOOKS[w.codebook].recipe,
        arrays=lambda w: CODEBOOKS[w.codebook].arrays.model_dump(),
        device=config["device"],
        # Decides no number: parameters that are functions of `threads` are no rerun trigger.
        save_every=lambda w, threads: CODEBOOKS[w.codebook].options.save_every,
    script:
        "../scripts/train_codebook.py"


rule measure_codebook:
    """Measure what a training made of held-out pairs: at its steps, at its end, in retrieval."""
    input:
        rows="results/{run}/codebook/rows/{codebook}.safetensors",
        pairs=lambda w: f"results/{RUN}/pairs/{CODEBOOKS[w.codebook].datasets['test']}.parquet",
    output:
        **{name: f"results/{{run}}/codebook/parts/{{codebook}}.{name}.csv" for name in MEASURES},
    log:
        "results/{run}/logs/measure_codebook/{codebook}.log",
    benchmark:
        "results/{run}/benchmarks/measure_codebook/{codebook}.tsv"
    wildcard_constraints:
        codebook=one_of(CODEBOOKS),
    threads: config["codebook"]["threads"]
    resources:
        mem_mb=memory(8),
        runtime=240,
    params:
        library=library("measure_codebook"),
        key=lambda w: CODEBOOKS[w.codebook].key,
        classes=lambda w: CODEBOOKS[w.codebook].options.classes,
        options=lambda w: CODEBOOKS[w.codebook].options.model_dump(include=MEASURED),
    script:
        "../scripts/measure_codebook.py"


rule read_codes:
    """Read one codebook: who uses which code, what it means, where it fires."""
    input:
        codes="results/{run}/codebook/parts/{codebook}.codes.safetensors",
        pairs=lambda w: f"results/{RUN}/pairs/{CODEBOOKS[w.codebook].datasets['test']}.parquet",
    output:
        **{name: f"results/{{run}}/codebook/parts/{{codebook}}.{name}.csv" for name in READINGS},
    log:
        "results/{run}/logs/read_codes/{codebook}.log",
    benchmark:
        "results/{run}/benchmarks/read_codes/{codebook}.tsv"
    wildcard_constraints:
        codebook=one_of(READ),
    threads: 1
    resources:
        mem_mb=memory(16),
        runtime=240,
    params:
        library=library("read_codes"),
        key=lambda w: CODEBOOKS[w.codebook].key,
        top=lambda w: CODEBOOKS[w.codebook].options.top,
    script:
        "../scripts/read_codes.py"


rule compare_codebooks:
    """Put the codebooks together and measure the differences between variants."""
    input:
        trained=expand(
            "results/{run}/codebook/parts/{name}.{part}.csv",
            run=RUN,
            name=CODEBOOKS,
            part=MEASURES,
        ),
        read=expand(
            "results/{run}/codebook/parts/{name}.{part}.csv", run=RUN, name=READ, part=READINGS
        ),
        units=expand(
            "results/{run}/codebook/parts/{name}.{part}.csv", run=RUN, name=UNITS, part=UNIT_TABLES
        ),
    output:
        **{
            name: shown_table("codebook", name)
            for name in ["codebooks", "effects", "trajectories", "retrieval", *READINGS[:-1]]
            + (UNIT_TABLES if UNITS else [])
        },
    log:
        "results/{run}/logs/compare_codebooks.log",
    localrule: True
    params:
        library=library("compare_codebooks"),
        contrasts=config["codebook"]["contrasts"],
        confidence=config["gap"]["confidence"],
    script:
        "../scripts/compare_codebooks.py"


rule plot_codebooks:
    """Draw each task: retrieval and gap by variant, who uses the codes, the gap over the steps."""
    input:
        codebooks="results/{run}/codebook/codebooks.csv",
        trajectories="results/{run}/codebook/trajectories.csv",
        usage="results/{run}/codebook/usage.csv",
    output:
        png=report(
            "results/{run}/figures/codebooks.png",
            caption=caption("codebooks"),
            category="codebook",
            labels={"what": "variants", "kind": "figure"},
        ),
        pdf="results/{run}/figures/codebooks.pdf",
    log:
        "results/{run}/logs/plot_codebooks.log",
    benchmark:
        "results/{run}/benchmarks/plot_codebooks.tsv"
    localrule: True
    params:
        library=library("plot_codebooks"),
    script:
        "../scripts/plot_codebooks.py"


rule plot_codes:
    """Show what codes mean: examples of each in both modalities, as a figure and as a page."""
    input:
        codes="results/{run}/codebook/parts/{codebook}.codes.safetensors",
        concepts="results/{run}/codebook/parts/{codebook}.concepts.csv",
        meaning="results/{run}/codebook/parts/{codebook}.meaning.csv",
        pairs=lambda w: f"results/{RUN}/pairs/{CODEBOOKS[w.codebook].datasets['test']}.parquet",
        parts=page_parts("codes"),
    output:
        png=report(
            "results/{run}/figures/codes/{codebook}.png",
            caption=caption("codes"),
            category="codebook",
            labels={"what": "{codebook}: codes", "kind": "figure"},
        ),
        pdf="results/{run}/figures/codes/{codebook}.pdf",
        page="results/{run}/explorer/codes/{codebook}.html",
    log:
        "results/{run}/logs/plot_codes/{codebook}.log",
    benchmark:
        "results/{run}/benchmarks/plot_codes/{codebook}.tsv"
    wildcard_constraints:
        codebook=one_of(READ),
    localrule: True
    params:
        library=library("plot_codes"),
        inputs=lambda w: CODEBOOKS[w.codebook].options.inputs.model_dump(),
        shown=config["codebook"]["codes_shown"],
        examples=config["codebook"]["examples"],
    script:
        "../scripts/plot_codes.py"
