"""Put all codebooks of a run together and measure what their variants show."""

from pathlib import Path

import pandas as pd

from mindgap.codebook.summary import measure_contrasts, reading_row, wide_row
from mindgap.codebook.unit_tables import unit_row
from mindgap.runtime.files import read_csv, write_csv
from mindgap.runtime.job import run

KEY = ["task", "variant", "seed"]


def main(job):
    """Write the joined tables, one row per codebook, and the effects."""
    tables = {}
    for path in map(Path, [*job.input.trained, *job.input.read, *job.input.units]):
        name = path.suffixes[-2].removeprefix(".")
        tables.setdefault(name, {})[path.name.removesuffix(f".{name}.csv")] = read_csv(path)
    rows = []
    for codebook, final in tables["final"].items():
        row = {**final[KEY].iloc[0].to_dict(), "codebook": codebook}
        row |= wide_row(final, tables["retrieval"][codebook])
        if codebook in tables.get("concepts", {}):
            parts = [tables[name][codebook] for name in ("concepts", "generalisation", "places")]
            row |= reading_row(*parts) | tables["agreement"][codebook].iloc[0, 3:].to_dict()
        if codebook in tables.get("units", {}):
            row |= unit_row(*(tables[name][codebook] for name in ("units", "crossings", "queries")))
        rows.append(row)
    whole = pd.DataFrame(rows)
    write_csv(job.output.codebooks, whole)
    effects = measure_contrasts(whole, job.params.contrasts, job.params.confidence)
    write_csv(job.output.effects, effects)
    tables["trajectories"] = tables.pop("trajectory")
    for name, output in job.output.items():
        if name not in ("codebooks", "effects"):
            parts = [one for one in tables.get(name, {}).values() if len(one)]
            write_csv(output, pd.concat(parts) if parts else pd.DataFrame(columns=KEY))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
