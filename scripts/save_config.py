"""Save the merged configuration of a run."""

import yaml

from mindgap.runtime.files import write_text
from mindgap.runtime.job import run


def main(job):
    """Write the configuration as YAML, keys in the order of the default."""
    text = yaml.safe_dump(job.params.config, sort_keys=False, allow_unicode=True)
    write_text(job.output[0], "# The configuration of this run, merged and checked.\n" + text)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
