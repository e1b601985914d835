"""Do the claims hold?

Reads the tables of the other chapters and writes the scorecard, once for people (scorecard.md) and
twice for programs (scorecard.json, scorecard.csv), and its counts as metrics.json.
"""

from mindgap.cone.plan import absent_tables
from mindgap.data.sources import record_of
from mindgap.report.summary import read_summary

CLAIM_TABLES = [
    "codebook/effects",
    "cone/caps",
    "cone/cone_summary",
    "cone/depth",
    "cone/depth_curves",
    "cone/gap_summary",
    "cone/growth",
    "cone/separation",
    "cone/theorem_curves",
    "cone/twins",
    "cone/variance",
    "downstream/curves",
    "downstream/methods",
    "downstream/mixed",
    "downstream/published_drops",
    "downstream/published_intervals",
    "downstream/published_rates",
    "downstream/published_tests",
    "downstream/rates",
    "downstream/tests",
    "gap/gap",
    "shift/minima",
    "shift/trends",
    "shift/sphere_minima",
    "shift/sphere_curves",
    "train/effects",
    "train/trainings",
]
ABSENT = (
    DOWNSTREAM.absent()
    | absent_tables(config)
    | ({"train/effects", "train/trainings"} if not TRAININGS else set())
)
ABSENT |= {"codebook/effects"} if not CODEBOOKS else set()
READ_TABLES = [name for name in CLAIM_TABLES if name not in ABSENT]


rule collect_tables:
    """Put one table of all models and data sets, or tasks, together."""
    input:
        lambda w: (
            DOWNSTREAM.parts(RUN)[w.table]
            if w.chapter == "downstream"
            else (
                expand("results/{run}/gap/parts/{origin}.projection.csv", run=RUN, origin=ORIGINS)
                if w.table == "projection"
                else each_embedding(
                    f"results/{{run}}/{w.chapter}/parts/{{model}}/{{dataset}}.{w.table}.csv"
                )
            )
        ),
    output:
        report(
            "results/{run}/{chapter}/{table}.csv",
            caption=caption("tables"),
            category="{chapter}",
            labels={"what": "{table}.csv", "kind": "table"},
        ),
    log:
        "results/{run}/logs/collect_tables/{chapter}/{table}.log",
    wildcard_constraints:
        chapter="gap|shift|downstream",
        table=f"gap|cosines|projection|minima|trends|{one_of(DOWNSTREAM.parts(RUN))}",
    localrule: True
    params:
        library=library("collect_tables"),
    script:
        "../scripts/collect_tables.py"


rule score_claims:
    """Compare each published claim with the tables of this run."""
    input:
        claims=local("workflow/claims.yaml"),
        schema=local("workflow/schemas/claims.schema.yaml"),
        figures=local("workflow/figures.yaml"),
        about=local("workflow/report/workflow.rst"),
        tables=expand("results/{{run}}/{table}.csv", table=READ_TABLES),
    output:
        json="results/{run}/scorecard.json",
        csv="results/{run}/scorecard.csv",
        html=report(
            "results/{run}/scorecard.html",
            caption=caption("scorecard"),
            category="scorecard",
            labels={"what": "scorecard", "kind": "table"},
        ),
        md="results/{run}/scorecard.md",
        rst="results/{run}/scorecard.rst",
        metrics="results/{run}/metrics.json",
    log:
        "results/{run}/logs/score_claims.log",
    localrule: True
    params:
        library=library("score_claims"),
        files=lambda w: [f"figures/{name}" for name in FIGURES] + [f"{t}.csv" for t in READ_TABLES],
    script:
        "../scripts/score_claims.py"


DOWNLOADED = [place for name in SETS for place in sources(config["datasets"][name])]
DOWNLOADED += [place for name in CARRIERS for place in carried_places(MODELS[name].options)]
RESULTS = [
    f"results/{RUN}/config.yaml",
    f"results/{RUN}/scorecard.md",
    *expand("results/{run}/pairs/{dataset}.parquet", run=RUN, dataset=SETS),
    *expand("results/{run}/figures/{name}", run=RUN, name=FIGURES),
    *expand("results/{run}/{name}", run=RUN, name=TABLES),
]


rule record_run:
    """Record what made a run, at what cost, and the checksum of every file; `make check` verifies it."""
    input:
        results=RESULTS,
        lock=local("requirements.lock"),
    output:
        json="results/{run}/record.json",
        html=report(
            "results/{run}/record.html",
            caption=caption("record"),
            category="scorecard",
            labels={"what": "record of the run", "kind": "table"},
        ),
    log:
        "results/{run}/logs/record_run.log",
    localrule: True
    params:
        library=library("record_run"),
        sources=[record_of(*place) for place in DOWNLOADED],
    script:
        "../scripts/record_run.py"
