"""What does the gap do to accuracy and fairness, and can it be closed?

Writes results/{run}/downstream/: zero-shot accuracy over the gap (curves, tests), offensive labels by group
(rates, confusion), retrieval over the gap (retrieval), ways of changing the gap without training (methods,
mixed), the decision about embeddings of one's own (decisions/), all models side by side (models,
correlations), and the paper's statistics from its own counts (published_*). `collect_tables` puts the
parts together.
"""

from mindgap.downstream.plan import label_file


rule shift_classes:
    """Classify a labelled set under every shift, and test whether one helps (Table 1)."""
    input:
        unpack(lambda w: DOWNSTREAM.tasks[w.model, w.task].inputs(RUN)),
    output:
        curve="results/{run}/downstream/parts/task/{model}/{task}.curves.csv",
        tests="results/{run}/downstream/parts/task/{model}/{task}.tests.csv",
    log:
        "results/{run}/logs/shift_classes/{model}/{task}.log",
    benchmark:
        "results/{run}/benchmarks/shift_classes/{model}/{task}.tsv"
    threads: config["threads"]
    resources:
        mem_mb=memory(16),
        runtime=240,
    params:
        library=library("shift_classes"),
        task=lambda w: DOWNSTREAM.tasks[w.model, w.task].facts,
        options={k: config["downstream"][k] for k in ("shifts", "sides")},
        confidence=config["gap"]["confidence"],
        seed=config["seed"],
    script:
        "../scripts/shift_classes.py"


rule measure_fairness:
    """Measure the rates of offensive labels by group under shifts (Table 2)."""
    input:
        unpack(lambda w: DOWNSTREAM.audits[w.model, w.audit].inputs(RUN)),
    output:
        rates="results/{run}/downstream/parts/audit/{model}/{audit}.rates.csv",
        confusion="results/{run}/downstream/parts/audit/{model}/{audit}.confusion.csv",
    log:
        "results/{run}/logs/measure_fairness/{model}/{audit}.log",
    benchmark:
        "results/{run}/benchmarks/measure_fairness/{model}/{audit}.tsv"
    threads: config["threads"]
    resources:
        mem_mb=memory(16),
        runtime=240,
    params:
        library=library("measure_fairness"),
        audit=lambda w: DOWNSTREAM.audits[w.model, w.audit].facts,
        confidence=config["gap"]["confidence"],
    script:
        "../scripts/measure_fairness.py"


rule compare_methods:
    """Retrieve under every shift, and compare the ways of closing the gap without training."""
    input:
        unpack(lambda w: DOWNSTREAM.compared(w.model, w.dataset, RUN)),
    output:
        retrieval="results/{run}/downstream/parts/pairs/{model}/{dataset}.retrieval.csv",
        methods="results/{run}/downstream/parts/pairs/{model}/{dataset}.methods.csv",
        mixed="results/{run}/downstream/parts/pairs/{model}/{dataset}.mixed.csv",
    log:
        "results/{run}/logs/compare_methods/{model}/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/compare_methods/{model}/{dataset}.tsv"
    priority: sooner
    threads: config["threads"]
    resources:
        mem_mb=memory(16),
        runtime=240,
    params:
        library=library("compare_methods"),
        task=lambda w: DOWNSTREAM.classes(w.model, w.dataset),
        axis={k: config["downstream"][k] for k in ("shifts", "sides")},
        options={**config["downstream"]["methods"], "queries": config["downstream"]["queries"]},
        seed=config["seed"],
    script:
        "../scripts/compare_methods.py"


rule decide_fix:
    """Decide which way of closing the gap to take, between each two modalities of one's own arrays."""
    input:
        embeddings="results/{run}/embeddings/{model}/{dataset}.safetensors",
        labels=lambda w: label_file(MODELS[w.model].options) or [],
    output:
        table="results/{run}/downstream/decisions/{model}/{dataset}.csv",
        page=report(
            "results/{run}/downstream/decisions/{model}/{dataset}.md",
            caption=caption("decision"),
            category="downstream",
            labels={"what": "decision, {model} on {dataset}", "kind": "text"},
        ),
    log:
        "results/{run}/logs/decide_fix/{model}/{dataset}.log",
    benchmark:
        "results/{run}/benchmarks/decide_fix/{model}/{dataset}.tsv"
    priority: sooner
    threads: config["threads"]
    resources:
        mem_mb=memory(16),
        runtime=240,
    params:
        library=library("decide_fix"),
        labels=lambda w: MODELS[w.model].options.get("labels"),
        files=lambda w: MODELS[w.model].options["modalities"],
        options={
            k: config["downstream"]["methods"][k]
            for k in ("shares", "calibration", "mixed_queries")
        },
        confidence=config["gap"]["confidence"],
        seed=config["seed"],
    script:
        "../scripts/decide_fix.py"


rule compare_models:
    """Put gap and downstream scores of all models side by side, and correlate them."""
    input:
        gaps=["results/{run}/gap/gap.csv"],
        curves=["results/{run}/downstream/curves.csv"] if DOWNSTREAM.tasks else [],
        trainings=["results/{run}/train/trainings.csv"] if TRAININGS else [],
    output:
        models="results/{run}/downstream/models.csv",
        correlations=shown_table("downstream", "correlations"),
    log:
        "results/{run}/logs/compare_models.log",
    localrule: True
    params:
        library=library("compare_models"),
        options={"resamples": config["downstream"]["permutations"], "seed": config["seed"]},
    script:
        "../scripts/compare_models.py"


rule audit_published:
    """Recompute the paper's own statistics from the counts and accuracies that it gives."""
    input:
        zero_shot=shipped("workflow/reference/zero_shot.csv"),
        initialisation=shipped("workflow/reference/initialisation.csv"),
        fairface=shipped("workflow/reference/fairface.csv"),
        accuracy=shipped("workflow/reference/fairface_accuracy.csv"),
    output:
        tests=shown_table("downstream", "published_tests"),
        intervals=shown_table("downstream", "published_intervals"),
        rates=shown_table("downstream", "published_rates"),
        drops=shown_table("downstream", "published_drops"),
    log:
        "results/{run}/logs/audit_published.log",
    priority: 30
    localrule: True
    params:
        library=library("audit_published"),
        labels=PROMPTS["fairface"]["denigrating"],
        confidence=config["gap"]["confidence"],
    script:
        "../scripts/audit_published.py"


rule plot_downstream:
    """Draw one figure of the chapter from its tables."""
    input:
        lambda w: [f"results/{RUN}/downstream/{t}.csv" for t in DOWNSTREAM.figures()[w.figure]],
    output:
        png=report(
            "results/{run}/figures/downstream/{figure}.png",
            caption=caption("downstream"),
            category="downstream",
            labels={"what": "{figure}", "kind": "figure"},
        ),
        pdf="results/{run}/figures/downstream/{figure}.pdf",
    log:
        "results/{run}/logs/plot_downstream/{figure}.log",
    benchmark:
        "results/{run}/benchmarks/plot_downstream/{figure}.tsv"
    localrule: True
    params:
        library=library("plot_downstream"),
    script:
        "../scripts/plot_downstream.py"
