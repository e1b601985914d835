"""Why does the loss keep the gap?

Sweeps the contrastive loss of every model on every data set over shift and temperature
(shift/parts/{model}/{dataset}.landscape.csv; minima.csv and trends.csv for all) and traces the two worlds on
the sphere (shift/sphere_*.csv). explorer/{model}/{dataset}.html lets a reader move the gap of a trained model.
"""

from mindgap.config import paths


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


# The pages of a run and what each is made of. Published features have no pairs table of their own.
PAGES = [
    {
        "model": model,
        "dataset": dataset,
        "embeddings": paths.embeddings(RUN, model, dataset),
        "landscape": (
            f"results/{RUN}/{paths.landscape(model, dataset)}"
            if (model, dataset) in THIS.paired()
            else None
        ),
        "pairs": paths.pairs(RUN, dataset) if MODELS[model].embeds else None,
    }
    for model, dataset in THIS.explored
]


if PAGES:

    rule explore_pairs:
        """Write the pages in which a reader moves the gap, in one process for one warm-up."""
        input:
            [one[k] for one in PAGES for k in ("embeddings", "landscape", "pairs") if one[k]],
            parts=page_parts("explorer"),
        output:
            [f"results/{{run}}/explorer/{one['model']}/{one['dataset']}.html" for one in PAGES],
        log:
            "results/{run}/logs/explore_pairs.log",
        benchmark:
            "results/{run}/benchmarks/explore_pairs.tsv"
        threads: config["threads"]
        resources:
            mem_mb=memory(8),
            runtime=240,
        params:
            library=library("explore_pairs"),
            pages=PAGES,
            seed=config["seed"],
        script:
            "../scripts/explore_pairs.py"


rule trace_spheres:
    """Compute the loss of the two worlds on the sphere beside the published curves."""
    input:
        reference=shipped("workflow/reference/spheres.csv"),
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
