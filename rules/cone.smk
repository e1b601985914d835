"""Where does the gap come from at initialisation?

Many initialisations of one architecture on the same inputs (cone/towers/; cones.csv, gaps.csv,
twins.csv, separation.csv), random layers over depth (depth.csv), both theorems on random draws.
"""

from mindgap.cone import plan
from mindgap.config.cone import CloudMeasures, Towers

TOWERS, CONE_FIGURES = plan.towers(THIS.config), plan.cone_figures(THIS.config)


rule embed_initialisations:
    """Embed the same inputs with many initialisations of one architecture, or trained weights."""
    input:
        lambda w: [
            file for c in plan.checkpoints(THIS.config, w.tower) for file in checkpoint_of(c)
        ],
        pairs=lambda w: [
            f"results/{RUN}/pairs/{name}.parquet"
            for name in plan.tower_datasets(THIS.config, w.tower)
        ],
    output:
        "results/{run}/cone/towers/{tower}.safetensors",
    log:
        "results/{run}/logs/embed_initialisations/{tower}.log",
    benchmark:
        "results/{run}/benchmarks/embed_initialisations/{tower}.tsv"
    wildcard_constraints:
        tower=one_of(TOWERS),
    threads: config["threads"]
    resources:
        gpu=GPU,
        mem_mb=memory(16),
        runtime=720,
    params:
        library=library("embed_initialisations"),
        options=plan.some_options(THIS.config, Towers),
        sets=lambda w: plan.tower_datasets(THIS.config, w.tower),
        checkpoints=lambda w: [(c, manifest(c)) for c in plan.checkpoints(THIS.config, w.tower)],
        seed=config["seed"],
        device=config["device"],
    script:
        "../scripts/embed_initialisations.py"


rule measure_cones:
    """Measure cones, gaps and twins of all initialisations, and how well their clouds separate."""
    input:
        expand("results/{{run}}/cone/towers/{tower}.safetensors", tower=TOWERS),
    output:
        cones="results/{run}/cone/cones.csv",
        cone_summary=shown_table("cone", "cone_summary"),
        histograms="results/{run}/cone/histograms.csv",
        gaps="results/{run}/cone/gaps.csv",
        gap_summary=shown_table("cone", "gap_summary"),
        twins=shown_table("cone", "twins"),
        separation=shown_table("cone", "separation"),
        spectra="results/{run}/cone/spectra.csv",
        scatter="results/{run}/cone/scatter.csv",
    log:
        "results/{run}/logs/measure_cones.log",
    benchmark:
        "results/{run}/benchmarks/measure_cones.tsv"
    threads: config["threads"]
    resources:
        mem_mb=memory(16),
        runtime=240,
    params:
        library=library("measure_cones"),
        options=plan.some_options(THIS.config, CloudMeasures),
        drawings=THIS.config.cone.initialisations.drawings,
        seed=config["seed"],
    script:
        "../scripts/measure_cones.py"


rule trace_depth:
    """Trace the mean cosine over the depth of random networks, beside the published curves."""
    input:
        reference=shipped("workflow/reference/depth.csv"),
    output:
        depth="results/{run}/cone/depth.csv",
        points="results/{run}/cone/depth_points.csv",
        curves=shown_table("cone", "depth_curves"),
    log:
        "results/{run}/logs/trace_depth.log",
    benchmark:
        "results/{run}/benchmarks/trace_depth.tsv"
    threads: config["threads"]
    resources:
        mem_mb=memory(8),
        runtime=240,
    params:
        library=library("trace_depth"),
        options=config["cone"]["depth"],
        seed=config["seed"],
    script:
        "../scripts/trace_depth.py"


rule check_theorems:
    """Try Theorems 1 and 2 on random draws, and compute how much of a sphere a cone covers."""
    input:
        reference=shipped("workflow/reference/theorems.csv"),
    output:
        growth=shown_table("cone", "growth"),
        variance=shown_table("cone", "variance"),
        caps=shown_table("cone", "caps"),
        points="results/{run}/cone/theorem_points.csv",
        curves="results/{run}/cone/theorem_curves.csv",
    log:
        "results/{run}/logs/check_theorems.log",
    benchmark:
        "results/{run}/benchmarks/check_theorems.tsv"
    threads: config["threads"]
    resources:
        mem_mb=memory(4),
        runtime=120,
    params:
        library=library("check_theorems"),
        options=config["cone"]["theorems"],
        seed=config["seed"],
    script:
        "../scripts/check_theorems.py"


rule plot_cone:
    """Draw one figure of the chapter from its tables."""
    input:
        lambda w: [f"results/{RUN}/cone/{table}.csv" for table in CONE_FIGURES[w.figure]],
    output:
        png=report(
            "results/{run}/figures/cone/{figure}.png",
            caption=caption("cone"),
            category="cone",
            labels={"what": "{figure}", "kind": "figure"},
        ),
        pdf="results/{run}/figures/cone/{figure}.pdf",
    log:
        "results/{run}/logs/plot_cone/{figure}.log",
    benchmark:
        "results/{run}/benchmarks/plot_cone/{figure}.tsv"
    wildcard_constraints:
        figure=one_of(CONE_FIGURES),
    localrule: True
    params:
        library=library("plot_cone"),
    script:
        "../scripts/plot_cone.py"
