"""Check the configuration, name what a run makes, and hash the code that makes it."""

import os
import re
import shutil
import sys
from pathlib import Path

from mindgap.config import merge, read_yaml
from mindgap.config.files import file_problems, name_problems
from mindgap.config.read import read_config
from mindgap.config.run import Run
from mindgap.data.definitions import describe, find_files, find_inputs
from mindgap.data.sources import carried_files, carried_places, expected_sums, find_source, manifest
from mindgap.digest import code_digest, tree_digest
from mindgap.runtime.errors import UserError, refuse
from mindgap.train.trainings import checkpoint_of, outputs_of

# Where this project is: another workflow may have it as a module and run in a folder of its own.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
HERE = Path(os.path.relpath(ROOT))
os.environ.update(MINDGAP_HOME=HERE.as_posix())
SOURCES = read_yaml(ROOT / "workflow/sources.yaml")
PROMPTS = read_yaml(ROOT / "workflow/prompts.yaml")


def resolve():
    """The run that the merged configuration asks for, checked before the first job."""
    try:
        if workflow.is_main_process:
            for path in workflow.configfiles:
                read_config(path)
        # A module has no configfile of its own.
        given = merge(read_yaml(ROOT / "config/default.yaml"), config)
        run = Run.resolve(given, PROMPTS)
        # Jobs need not look again: what they wait for may be made on another machine.
        if workflow.is_main_process:
            saved = Path(f"results/{run.name}/config.yaml")
            before = read_yaml(saved) if saved.exists() else {}
            refuse([*file_problems(run, SOURCES), *name_problems(run, before)])
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename} cannot be read ({error.strerror.lower()})")
    return run


THIS = resolve()
config.update(THIS.options)

# Nothing but the download rules touches the network. Threads that wait give their core away: on a
# shared machine the busy waiting of OpenMP makes small batches ten times slower.
os.environ.update(HF_HUB_OFFLINE="1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Large arrays come and go in every step of a training; without these glibc gives their memory back to
# the system each time and faults it in again.
for setting in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_"):
    os.environ.setdefault(setting, str(256 * 2**20 if setting != "MALLOC_TOP_PAD_" else 64 * 2**20))
# Bars of jobs go to their logs, where one line in ten seconds is enough.
os.environ.setdefault("TQDM_MININTERVAL", "10")

# Jobs share an accelerator one at a time; where there is none they share the cores alone.
GPU = int(config["device"] not in ("auto", "cpu") or shutil.which("nvidia-smi") is not None)
RUN, MODELS, SETS = THIS.name, THIS.models, THIS.sets
TRAININGS, CODEBOOKS, DOWNSTREAM = THIS.trainings, THIS.codebooks, THIS.downstream
CARRIERS = [name for name, model in MODELS.items() if not model.embeds]
JOINT = [name for name, model in MODELS.items() if model.kind == "joint"]
ENCODERS = [name for name in MODELS if name not in (*CARRIERS, *JOINT)]
SHARDS, SHARDED = config["embed"]["shards"], THIS.sharded


def shipped(path):
    """Path of a file that comes with this project."""
    return local((HERE / path).as_posix())


def memory(gigabytes):
    """Memory of a job in MB; a second attempt, after a job ran out of it, gets twice as much."""
    return lambda wildcards, attempt: 1000 * gigabytes * attempt


def one_of(names):
    """Wildcard constraint that matches the given names and, where there are none, nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    run=re.escape(RUN),
    model=one_of(MODELS),
    dataset=one_of({*SETS, *(d for model in MODELS.values() for d in model.datasets)}),


def trees(definition):
    """Names and sizes of the files in each folder behind a set: Snakemake sees the folder alone."""
    paths = find_files(definition).values()
    # A link is a mirror's folder, which is there only once it has been asked for.
    return {p: tree_digest(p) for p in paths if Path(p).is_dir() and not Path(p).is_symlink()}


def library(script):
    """Digest of a script and of everything it imports from the package, once a job needs it.

    A process that runs one job reads the modules of that job alone.
    """
    return lambda wildcards: code_digest(ROOT / "scripts" / f"{script}.py", ROOT / "src/mindgap")


def each_embedding(pattern, pairs):
    """Fill `{model}` and `{dataset}` of a pattern with each of some (model, data set)."""
    return [pattern.format(run=RUN, model=m, dataset=d) for m, d in pairs]


def sooner(wildcards):
    """Priority of a job about one model: what needs no encoder comes first."""
    return 0 if MODELS[wildcards.model].embeds else 50


def carried(model, records=False):
    """Files behind a model that brings its own embeddings; shipped ones lie beside the code."""
    files = carried_files(MODELS[model].options, records)
    return [local(f) if f.startswith((HERE / "resources").as_posix()) else f for f in files]


def reader(definition):
    """Digest of the module that reads a data set; the script imports it by name."""
    name = describe(definition)["reader"].partition(":")[0]
    file = ROOT / "src" / f"{name.replace('.', '/')}.py"
    return code_digest(file, ROOT / "src/mindgap") if name else None


def page_parts(name):
    """Template, style and script of a page, which no digest of Python code covers."""
    return [shipped(f"src/mindgap/explorer/{name}.{kind}") for kind in ("html", "css", "js")]


def caption(name):
    """Path of a caption of the report."""
    return str(ROOT / f"workflow/report/{name}.rst")


def first_page(made):
    """Text of the report's first page: what a run made, or what holds for any."""
    return os.path.abspath(made) if os.path.exists(made) else "workflow/report/workflow.rst"


def shown_table(chapter, name):
    """One table of a chapter, shown in the report."""
    labels = {"what": f"{name}.csv", "kind": "table"}
    path = f"results/{{run}}/{chapter}/{name}.csv"
    return report(path, caption=caption(f"{chapter}_tables"), category=chapter, labels=labels)


def checkpoint_files(wildcards):
    """Files behind an encoder: the manifest of a fetched checkpoint, or the user's own files."""
    options, kind = MODELS[wildcards.model].options, MODELS[wildcards.model].kind
    if kind == "trained":
        return outputs_of(options["training"], RUN)
    return checkpoint_of(options) if kind == "encoder" else []


def own_training(model):
    """Record of the training of a model that this run trains, its temperature among it."""
    own = MODELS[model].options.get("training") if MODELS[model].kind == "trained" else None
    return [f"results/{RUN}/checkpoints/{own}/training.json"] if own else []


def shards_of(pattern):
    """Input function: a pattern with `{shard}` for every shard of a data set."""
    return lambda w: [
        pattern.format(**w, shard=f"{k}-of-{SHARDS[w.dataset]}") for k in range(SHARDS[w.dataset])
    ]
