"""Why does the loss keep the gap?

Sweeps the contrastive loss of every model on every data set over shift and temperature
(shift/parts/{model}/{dataset}.landscape.csv; minima.csv and trends.csv for all) and traces the two worlds on
the sphere (shift/sphere_*.csv). explorer/{model}/{dataset}.html lets a reader move the gap of a trained model.
"""


rule sweep_shift:
    """Sweep the loss of one model on one data set over shift and temperature."""
    input:
        embeddings="results/{run}/embeddings/{model}/{dataset}.safetensors",
        training=lambda w: own_training(w.model),
    output:
        landscape="results/{run}/shift/parts/{model}/{dataset}.landscape.csv",
        minima="results/{run}/shift/parts/{model}/{dataset}.minima.csv",
        trends="results/{run}/shift/parts/{model}/{dataset}.trends.csv",
    log:
        "results/{run}/logs/sweep_shift/{model}/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/sweep_shift/{model}/{dataset}.tsv"
    priority: sooner
    threads: config["threads"]
    resources:
        mem_mb=memory(16),
        runtime=240,
    params:
        library=library("sweep_shift"),
        landscapes=THIS.landscapes,
    script:
        "../scripts/sweep_shift.py"


rule explore_pairs:
    """Write the page in which a reader moves the gap of one model and sees what follows."""
    input:
        embeddings="results/{run}/embeddings/{model}/{dataset}.safetensors",
        landscape=lambda w: each_embedding(
            "results/{run}/shift/parts/{model}/{dataset}.landscape.csv",
            [pair for pair in THIS.paired() if pair == (w.model, w.dataset)],
        ),
        pairs=lambda w: (
            [f"results/{RUN}/pairs/{w.dataset}.parquet"] if MODELS[w.model].embeds else []
        ),
        parts=page_parts("explorer"),
    output:
        "results/{run}/explorer/{model}/{dataset}.html",
    log:
        "results/{run}/logs/explore_pairs/{model}/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/explore_pairs/{model}/{dataset}.tsv"
    priority: sooner
    threads: config["threads"]
    resources:
        mem_mb=memory(4),
        runtime=60,
    params:
        library=library("explore_pairs"),
        seed=config["seed"],
    script:
        "../scripts/explore_pairs.py"


rule trace_spheres:
    """Compute the loss of the two worlds on the sphere beside the published curves."""
    input:
        reference=local("workflow/reference/spheres.csv"),
    output:
        azimuth="results/{run}/shift/sphere_azimuth.csv",
        minima="results/{run}/shift/sphere_minima.csv",
        closed_form="results/{run}/shift/sphere_closed_form.csv",
        rings="results/{run}/shift/sphere_rings.csv",
        picture="results/{run}/shift/sphere_picture.csv",
        points="results/{run}/shift/sphere_points.csv",
        curves="results/{run}/shift/sphere_curves.csv",
    log:
        "results/{run}/logs/trace_spheres.log",
    benchmark:
        "results/{run}/benchmarks/trace_spheres.tsv"
    priority: 30
    threads: 1
    resources:
        mem_mb=memory(4),
        runtime=60,
    params:
        library=library("trace_spheres"),
        options=config["shift"]["spheres"],
    script:
        "../scripts/trace_spheres.py"


rule plot_landscape:
    """Draw the loss over distance and temperature, with its minima and its valley."""
    input:
        points="results/{run}/shift/parts/{model}/{dataset}.landscape.csv",
        minima="results/{run}/shift/parts/{model}/{dataset}.minima.csv",
        gap="results/{run}/gap/parts/{model}/{dataset}.gap.csv",
    output:
        landscape_png=report(
            "results/{run}/figures/landscape/{model}/{dataset}.png",
            caption=caption("landscape"),
            category="shift",
            labels={"what": "{model} on {dataset}: loss", "kind": "figure"},
        ),
        landscape_pdf="results/{run}/figures/landscape/{model}/{dataset}.pdf",
        valley_png=report(
            "results/{run}/figures/valley/{model}/{dataset}.png",
            caption=caption("valley"),
            category="shift",
            labels={"what": "{model} on {dataset}: valley", "kind": "figure"},
        ),
        valley_pdf="results/{run}/figures/valley/{model}/{dataset}.pdf",
    log:
        "results/{run}/logs/plot_landscape/{model}/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/plot_landscape/{model}/{dataset}.tsv"
    priority: sooner
    localrule: True
    params:
        library=library("plot_landscape"),
    script:
        "../scripts/plot_landscape.py"


rule plot_spheres:
    """Draw the points on the sphere, the loss over their tilt, and the closed form."""
    input:
        azimuth="results/{run}/shift/sphere_azimuth.csv",
        minima="results/{run}/shift/sphere_minima.csv",
        closed_form="results/{run}/shift/sphere_closed_form.csv",
        rings="results/{run}/shift/sphere_rings.csv",
        picture="results/{run}/shift/sphere_picture.csv",
    output:
        png=report(
            "results/{run}/figures/spheres.png",
            caption=caption("spheres"),
            category="shift",
            labels={"what": "spheres", "kind": "figure"},
        ),
        pdf="results/{run}/figures/spheres.pdf",
    log:
        "results/{run}/logs/plot_spheres.log",
    benchmark:
        "results/{run}/benchmarks/plot_spheres.tsv"
    priority: 30
    localrule: True
    params:
        library=library("plot_spheres"),
    script:
        "../scripts/plot_spheres.py"
