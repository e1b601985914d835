"""Do the claims hold?

Reads the tables of the other chapters and writes the scorecard, once for people (scorecard.md) and
twice for programs (scorecard.json, scorecard.csv), and its counts as metrics.json.
"""

from mindgap.report.summary import read_errors, read_summary


rule score_claims:
    """Compare each published claim with the tables of this run."""
    input:
        claims="workflow/claims.yaml",
        schema="workflow/schemas/claims.schema.yaml",
        tables=[f"results/{RUN}/gap/gap.csv"],
    output:
        json="results/{run}/scorecard.json",
        csv=report(
            "results/{run}/scorecard.csv",
            caption=caption("scorecard"),
            category="scorecard",
            labels={"what": "claims, published and measured", "kind": "table"},
        ),
        md="results/{run}/scorecard.md",
        metrics="results/{run}/metrics.json",
    log:
        "results/{run}/logs/score_claims.log",
    localrule: True
    params:
        library=library("score_claims"),
    script:
        "../scripts/score_claims.py"
