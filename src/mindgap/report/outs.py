"""Which artifacts DVC versions: the outs of dvc.yaml, some families left out."""

from __future__ import annotations

from mindgap.config import read_yaml


def list_outs(path: str, without: tuple[str, ...] = ()) -> list[str]:
    """Outs and metrics of the one stage of `path`, with its variables filled in.

    Parameters
    ----------
    without
        Families to leave out, by the last part of their path.
    """
    given = read_yaml(path)
    run = given["vars"][0]["run"]
    stage = given["stages"]["snakemake"]
    names = [next(iter(out)).replace("${run}", run) for out in stage["outs"] + stage["metrics"]]
    return [name for name in names if name.rpartition("/")[2] not in without]
