"""Score the claims against the tables of this run."""

from pathlib import Path

import pandas as pd

from mindgap.config import read_yaml
from mindgap.report.audit import measure_powers
from mindgap.report.claims import FIELDS, check_claims, score_claims
from mindgap.report.curves import find_summaries
from mindgap.report.decisions import read_decisions, summarise_all
from mindgap.report.pages import metrics, to_html, to_markdown, to_rst
from mindgap.report.rollup import roll_up
from mindgap.report.tables import Tables
from mindgap.runtime.files import write_csv, write_json, write_text
from mindgap.runtime.job import run


def main(job):
    """Write the scorecard in three formats, and its counts."""
    claims = read_yaml(job.input.claims)
    check_claims(claims, read_yaml(job.input.schema))
    tables = Tables(Path(job.output.json).parent, Path(job.input.claims).parent / "reference")
    asked = tables, job.wildcards.run, job.params.present
    scores = score_claims(claims, *asked)
    summaries = find_summaries(claims, tables, job.params.present, job.params.options)
    powers = measure_powers(claims, *asked, summaries)
    scores = [{**score, "power": powers.get(score["id"])} for score in scores]
    # Figures are drawn later: what the run will have is known from its rules.
    lines = roll_up(scores, read_yaml(job.input.figures), set(job.params.files).__contains__)
    own = read_decisions(tables.results, job.params.decided)
    write_json(job.output.json, scores)
    write_csv(job.output.csv, pd.DataFrame(scores, columns=FIELDS))
    write_text(job.output.md, to_markdown(scores, job.wildcards.run, lines, own))
    write_text(job.output.html, to_html(scores, job.wildcards.run, lines, own))
    about = Path(job.input.about).read_text(encoding="utf-8")
    write_text(job.output.rst, "\n".join([about, *to_rst(lines, own), ""]))
    write_json(job.output.metrics, metrics(scores, summarise_all(tables, own)))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
