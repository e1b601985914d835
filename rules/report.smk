"""Do the claims hold?

Reads the tables of the other chapters and writes the scorecard, once for people (scorecard.md) and
twice for programs (scorecard.json, scorecard.csv), and its counts as metrics.json. index.html is the
page to open first.
"""

from functools import cache

from mindgap.config import paths
from mindgap.data.sources import record_of
from mindgap.report.front import find_pictures
from mindgap.report.present import present, read_tables
from mindgap.report.summary import read_summary

# Rows that the tables of this run should have, and the tables that its claims are judged by.
rows_present = cache(lambda: present(THIS))
claim_tables = cache(
    lambda: read_tables(read_yaml(ROOT / "workflow/claims.yaml"), rows_present(), RUN)
)


rule collect_tables:
    """Put one table of all models and data sets, or tasks, together."""
    input:
        lambda w: (
            DOWNSTREAM.parts(RUN)[w.table]
            if w.chapter == "downstream"
            else (
                expand(
                    "results/{run}/gap/parts/{origin}.projection.csv", run=RUN, origin=THIS.origins
                )
                if w.table == "projection"
                else each_embedding(
                    f"results/{{run}}/{w.chapter}/parts/{{model}}/{{dataset}}.{w.table}.csv",
                    THIS.gapped if w.chapter == "gap" else THIS.paired(),
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


# What the tables of effects were made with, so that they can be made again from changed parts.
EFFECTS = {
    "experiments": THIS.experiments,
    "contrasts": config["codebook"]["contrasts"],
    "confidence": config["gap"]["confidence"],
    "labels": PROMPTS["fairface"]["denigrating"],
}
DECISIONS = [paths.decision(*one) for one in THIS.decided]
REFERENCES = sorted(path.name for path in (ROOT / "workflow/reference").glob("*.csv"))
shown_files = cache(lambda: [*(f"figures/{name}" for name in THIS.figures), *claim_tables()])


rule score_claims:
    """Compare each claim with the tables of this run."""
    input:
        claims=shipped("workflow/claims.yaml"),
        schema=shipped("workflow/schemas/claims.schema.yaml"),
        figures=shipped("workflow/figures.yaml"),
        about=shipped("workflow/report/workflow.rst"),
        references=[shipped(f"workflow/reference/{name}") for name in REFERENCES],
        tables=lambda w: [f"results/{RUN}/{table}" for table in claim_tables()],
        gaps=["results/{run}/gap/gap.csv"] if THIS.decided else [],
        decisions=expand("results/{{run}}/{file}.{kind}", file=DECISIONS, kind=["csv", "md"]),
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
        files=lambda w: shown_files(),
        present=lambda w: rows_present(),
        options=EFFECTS,
        decided=THIS.decided,
    script:
        "../scripts/score_claims.py"


rule write_index:
    """Write the front page: what the run found, in claims, pictures and links."""
    input:
        scores="results/{run}/scorecard.json",
        metrics="results/{run}/metrics.json",
        decisions=expand("results/{{run}}/{file}.md", file=DECISIONS),
        figures=shipped("workflow/figures.yaml"),
        story=shipped("workflow/story.yaml"),
        template=shipped("src/mindgap/report/front.html"),
        pictures=lambda w: [
            f"results/{RUN}/{name}"
            for name in find_pictures(read_yaml(ROOT / "workflow/story.yaml"), shown_files())
            if name
        ],
    output:
        "results/{run}/index.html",
    log:
        "results/{run}/logs/write_index.log",
    localrule: True
    params:
        library=library("write_index"),
        files=lambda w: [
            *shown_files(),
            *(["gap/gap.csv"] if THIS.decided else []),
            *THIS.tables,
        ],
        decided=THIS.decided,
    script:
        "../scripts/write_index.py"


rule record_run:
    """Record what made a run, at what cost, and the checksum of every file; `make check` verifies it."""
    input:
        results=THIS.results,
        lock=shipped("requirements.lock"),
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
        sources=[record_of(*place) for place in THIS.places],
    script:
        "../scripts/record_run.py"


rule check_scorecard:
    """Fail where a cell that a claim is about is missing, after everything else is there."""
    input:
        scores="results/{run}/scorecard.json",
        record="results/{run}/record.json",
    output:
        "results/{run}/checked.json",
    log:
        "results/{run}/logs/check_scorecard.log",
    localrule: True
    params:
        library=library("check_scorecard"),
    script:
        "../scripts/check_scorecard.py"


rule audit_claims:
    """Change on purpose what each claim reads, and see which errors turn it."""
    input:
        claims=shipped("workflow/claims.yaml"),
        references=[shipped(f"workflow/reference/{name}") for name in REFERENCES],
        tables=lambda w: [f"results/{RUN}/{table}" for table in claim_tables()],
    output:
        "results/{run}/audit.csv",
    log:
        "results/{run}/logs/audit_claims.log",
    localrule: True
    params:
        library=library("audit_claims"),
        present=lambda w: rows_present(),
        options=EFFECTS,
    script:
        "../scripts/audit_claims.py"
