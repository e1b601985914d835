"""Check the configuration, name what a run makes, and hash the code that makes it."""

import os
import re
import sys
from pathlib import Path

from mindgap.config import check_config, check_files, check_folder, expand_models, read_yaml
from mindgap.data.sources import find_source
from mindgap.digest import code_digest
from mindgap.errors import UserError

ROOT = Path(workflow.basedir)

try:
    check_config(config, read_yaml(ROOT / "workflow/schemas/config.schema.yaml"))
    MODELS = {model.name: model for model in expand_models(config)}
    SOURCES = read_yaml(ROOT / "workflow/sources.yaml")
    for model in MODELS.values():
        if model.kind == "features":
            find_source(SOURCES, model.options["source"], model.options["file"])
        if model.kind == "arrays":
            check_files(model, f"results/{config['run']}/embeddings")
    for name in {d for model in MODELS.values() if model.kind == "clip" for d in model.datasets}:
        check_folder(name, config["datasets"][name], f"results/{config['run']}/pairs")
except UserError as error:
    sys.exit(f"error: {error}")

# Nothing but the download rules touches the network.
os.environ.update(HF_HUB_OFFLINE="1")

RUN = config["run"]
FIGURES = []  # names below results/{run}/figures; each chapter adds its own
ENCODERS = [name for name, model in MODELS.items() if model.kind == "clip"]
CARRIERS = [name for name in MODELS if name not in ENCODERS]


def one_of(names):
    """Wildcard constraint that matches the given names and, where there are none, nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    run=re.escape(RUN),
    model=one_of(MODELS),
    dataset=one_of({d for model in MODELS.values() for d in model.datasets}),


def library(script):
    """Digest of a script and of everything it imports from the package."""
    return code_digest(ROOT / "scripts" / f"{script}.py", ROOT / "src/mindgap")


def each_embedding(pattern):
    """Fill `{model}` and `{dataset}` of a pattern with every pair of this run."""
    return [
        pattern.format(run=RUN, model=model.name, dataset=dataset)
        for model in MODELS.values()
        for dataset in model.datasets
    ]


def folder_files(definition):
    """Files behind a data set of the kind `folder`; none for the others."""
    return [definition[key] for key in ("media", "table") if key in definition]


def carried_files(wildcards):
    """Files behind a model that brings its own embeddings."""
    options = MODELS[wildcards.model].options
    if "source" in options:
        return [f"data/{options['source']}/{options['file']}"]
    return [address.partition("#")[0] for address in options["modalities"].values()]


def expected_sum(options):
    """Checksum that sources.yaml gives for a model's feature file; None for a user's own files."""
    if "source" in options:
        return find_source(SOURCES, options["source"], options["file"]).sha256
    return None


def caption(name):
    """Path of a caption of the report."""
    return str(ROOT / f"workflow/report/{name}.rst")
