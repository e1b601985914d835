"""Which data sets a run reads, over all its chapters."""

from __future__ import annotations

from typing import Any

from mindgap.codebook.plan import codebook_sets, expand_codebooks
from mindgap.cone.plan import cone_datasets
from mindgap.config import expand_models
from mindgap.train.trainings import expand_trainings, needed_sets


def wanted_sets(config: dict[str, Any]) -> list[str]:
    """Names of the data sets whose pairs a checked configuration needs, each once."""
    names = [*config["select"]["datasets"], *cone_datasets(config)]
    names += needed_sets(expand_trainings(config))
    names += [d for model in expand_models(config) if model.embeds for d in model.datasets]
    return list(dict.fromkeys([*names, *codebook_sets(expand_codebooks(config))]))
