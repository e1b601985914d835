"""What do temperature and initialisation do to the gap?

Trains dual encoders, writes each as a checkpoint that the model kind `trained` names
(results/{run}/checkpoints/{training}/) and what it makes of held-out data at some steps
(train/rows/{training}.safetensors), then measures these rows and compares the trainings.
"""

from mindgap.train.trainings import inputs_of, zero_shot_prompts


rule train_model:
    """Train one dual encoder; a restart goes on from the last saved state."""
    input:
        unpack(lambda w: inputs_of(TRAININGS[w.training], RUN)),
    output:
        weights="results/{run}/checkpoints/{training}/model.safetensors",
        config="results/{run}/checkpoints/{training}/config.json",
        about="results/{run}/checkpoints/{training}/training.json",
        rows="results/{run}/train/rows/{training}.safetensors",
    log:
        "results/{run}/logs/train_model/{training}.log",
    benchmark:
        "results/{run}/benchmarks/train_model/{training}.tsv"
    wildcard_constraints:
        training=one_of(TRAININGS),
    priority: lambda w: -10 if any(t.start == w.training for t in TRAININGS.values()) else -20
    threads: lambda w: config["train"]["threads"] * TRAININGS[w.training].options.processes
    resources:
        gpu=lambda w: GPU * TRAININGS[w.training].options.processes,
        mem_mb=memory(32),
        runtime=2880,
    params:
        library=library("train_model"),
        options=lambda w: TRAININGS[w.training].recipe,
        seed=lambda w: TRAININGS[w.training].seed,
        definition=lambda w: TRAININGS[w.training].definition,
        sizes=lambda w: config["train"]["models"].get(TRAININGS[w.training].options.model),
        start=lambda w: TRAININGS[w.training].checkpoint,
        prompts=lambda w: zero_shot_prompts(TRAININGS[w.training], THIS.config, PROMPTS),
        device=config["device"],
        # Decides no number: parameters that are functions of `threads` are no rerun trigger.
        save_every=lambda w, threads: TRAININGS[w.training].options.save_every,
    script:
        "../scripts/train_model.py"


rule measure_training:
    """Measure what a training made of held-out data at each of its steps."""
    input:
        rows="results/{run}/train/rows/{training}.safetensors",
    output:
        trajectory="results/{run}/train/parts/{training}.trajectory.csv",
        final="results/{run}/train/parts/{training}.final.csv",
    log:
        "results/{run}/logs/measure_training/{training}.log",
    benchmark:
        "results/{run}/benchmarks/measure_training/{training}.tsv"
    wildcard_constraints:
        training=one_of(TRAININGS),
    threads: config["train"]["threads"]
    resources:
        mem_mb=memory(8),
        runtime=240,
    params:
        library=library("measure_training"),
        facts=lambda w: TRAININGS[w.training].facts,
        definition=lambda w: TRAININGS[w.training].definition,
    script:
        "../scripts/measure_training.py"


rule compare_trainings:
    """Put the trainings together and measure the effects of each experiment."""
    input:
        trajectories=expand(
            "results/{run}/train/parts/{training}.trajectory.csv", run=RUN, training=TRAININGS
        ),
        finals=expand("results/{run}/train/parts/{training}.final.csv", run=RUN, training=TRAININGS),
    output:
        trajectories=report(
            "results/{run}/train/trajectories.csv",
            caption=caption("tables"),
            category="train",
            labels={"what": "trajectories.csv", "kind": "table"},
        ),
        trainings=report(
            "results/{run}/train/trainings.csv",
            caption=caption("tables"),
            category="train",
            labels={"what": "trainings.csv", "kind": "table"},
        ),
        effects=report(
            "results/{run}/train/effects.csv",
            caption=caption("tables"),
            category="train",
            labels={"what": "effects.csv", "kind": "table"},
        ),
    log:
        "results/{run}/logs/compare_trainings.log",
    localrule: True
    params:
        library=library("compare_trainings"),
        experiments=THIS.experiments,
        confidence=config["gap"]["confidence"],
    script:
        "../scripts/compare_trainings.py"


rule plot_trainings:
    """Draw the gap over the steps of every training, and each experiment."""
    input:
        trajectories="results/{run}/train/trajectories.csv",
        trainings="results/{run}/train/trainings.csv",
    output:
        steps_png=report(
            "results/{run}/figures/trajectories.png",
            caption=caption("trajectories"),
            category="train",
            labels={"what": "gap over the steps", "kind": "figure"},
        ),
        steps_pdf="results/{run}/figures/trajectories.pdf",
        experiments_png=report(
            "results/{run}/figures/trainings.png",
            caption=caption("trainings"),
            category="train",
            labels={"what": "experiments", "kind": "figure"},
        ),
        experiments_pdf="results/{run}/figures/trainings.pdf",
    log:
        "results/{run}/logs/plot_trainings.log",
    benchmark:
        "results/{run}/benchmarks/plot_trainings.tsv"
    localrule: True
    params:
        library=library("plot_trainings"),
        experiments=THIS.experiments,
    script:
        "../scripts/plot_trainings.py"
