"""mindgap: from sources to scorecard. `config/README.md` is the manual."""

from snakemake.utils import min_version

from mindgap.runtime.files import link_advice, own_copies
from mindgap.runtime.progress import announce_chapters

min_version("9.9")


configfile: "config/default.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/embed.smk"
include: "rules/gap.smk"
include: "rules/cone.smk"
include: "rules/shift.smk"
include: "rules/train.smk"
include: "rules/downstream.smk"
include: "rules/codebook.smk"
include: "rules/units.smk"
include: "rules/report.smk"


# The first page of the report is the scorecard at a glance, once there is one.
report: first_page(f"results/{RUN}/scorecard.rst")


# Snakemake writes its record in place, and DVC may have linked it into its cache.
if workflow.is_main_process:
    own_copies(".snakemake/metadata")
    announce_chapters({rule.name: rule.snakefile for rule in workflow.rules})
    if advice := link_advice(f"results/{RUN}/metrics.json"):
        print(f"note: {advice}", file=sys.stderr)


rule all:
    """Everything of the run: tables, figures, scorecard."""
    default_target: True
    input:
        THIS.results,
        f"results/{RUN}/record.json",
        f"results/{RUN}/checked.json",
    localrule: True


onsuccess:
    print(read_summary(RUN, ROOT))
