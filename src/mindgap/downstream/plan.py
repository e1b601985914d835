"""What the chapter makes of a configuration: which model answers which task, from which files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from mindgap.data.sources import carried_places, record_of
from mindgap.runtime.errors import UserError

#: Template of a labelled set that workflow/prompts.yaml does not know.
TEMPLATE = "a photo of {a} {}."


@dataclass(frozen=True)
class Task:
    """One model on one labelled set.

    Attributes
    ----------
    name, model, dataset
        Names in the configuration.
    options
        The definition of the task or audit.
    source
        Where labels and groups come from, as `classes.load_labelled` takes it.
    templates
        Prompts of a class, or None where the texts of the items are the prompts.
    """

    name: str
    model: str
    dataset: str
    options: dict[str, Any] = field(hash=False)
    source: dict[str, Any] = field(hash=False)
    templates: tuple[str, ...] | None

    @property
    def facts(self) -> dict[str, Any]:
        """What a job must know of it."""
        templates = None if self.templates is None else list(self.templates)
        own = {"name": self.name, "dataset": self.dataset, "templates": templates}
        return {**self.options, **own, "source": self.source}

    def inputs(self, run: str) -> dict[str, str]:
        """Role -> file that the task is measured on."""
        folder = f"results/{run}/embeddings/{self.model}"
        files = {
            "embeddings": f"{folder}/{self.dataset}.safetensors",
            "labels": self.source["file"],
        }
        if self.templates is not None:
            files["prompts"] = f"{folder}/{self.dataset}.prompts.safetensors"
        if self.options.get("direction", "own") != "own":
            files["direction"] = f"{folder}/{self.options['direction']}.safetensors"
        return files


def find_tasks(
    config: dict[str, Any], group: str, models: Iterable[Any], prompts: dict[str, Any]
) -> dict[tuple[str, str], Task]:
    """(model, name) -> task, for each selected task (or audit) and each model that can answer it.

    A model can if it embeds the set in two modalities, of which the second is text; embeddings that
    somebody else made need labels, and serve as their own prompts.
    """
    found = {}
    models = list(models)
    for name in config["select"][group]:
        options = config["downstream"][group][name]
        where = f"config: downstream.{group}.{name}"
        _check_set(where, options["dataset"], config, models)
        for model in models:
            if model.modalities[1:] != ("text",) or options["dataset"] not in model.datasets:
                continue
            own = options["prompts"] == "rows" and "labels" in model.options
            if not model.embeds and (group == "audits" or not own):
                continue
            if options["direction"] not in ("own", *model.datasets):
                raise UserError(
                    f"{where}.direction: {model.name} does not embed {options['direction']!r}; "
                    "name a set that it embeds, or own"
                )
            task = _task(where, name, options, model, config, prompts)
            if group == "audits":
                task = replace(task, options={**options, "labels": _labels(where, task, prompts)})
            found[model.name, name] = task
    return found


def _check_set(where: str, dataset: str, config: dict[str, Any], models: list[Any]) -> None:
    brought = {one.get("dataset", "own") for one in config["models"].values() if "kind" in one}
    if dataset not in config["datasets"] and dataset not in brought:
        raise UserError(f"{where}.dataset: no data set is called {dataset!r}")


def _task(
    where: str,
    name: str,
    options: dict[str, Any],
    model: Any,
    config: dict[str, Any],
    prompts: dict[str, Any],
) -> Task:
    dataset = options["dataset"]
    key = name, model.name, dataset, options
    if not model.embeds:
        own = {key: model.options.get(key) for key in ("labels", "classes", "groups")}
        return Task(*key, {**own, "file": label_file(model.options)}, None)
    definition = config["datasets"][dataset]
    known = prompts.get(definition["kind"], {"template": TEMPLATE})
    usual = {**known, "template": definition.get("template", known["template"])}
    pairs = f"results/{config['run']}/pairs/{dataset}.parquet"
    names = {k: usual[k] for k in ("classes", "folders", "races", "genders") if k in usual}
    source = {"pairs": pairs, "prompts": names, "file": pairs, "kind": definition["kind"]}
    if options["prompts"] == "rows":
        return Task(*key, source, None)
    return Task(*key, source, _templates(where, options["prompts"], usual))


def _templates(where: str, wanted: str | list[str], usual: dict[str, Any]) -> tuple[str, ...]:
    """Templates by name: `template`, `ensemble` or a variant; or the list that the task gives."""
    if not isinstance(wanted, str):
        return tuple(wanted)
    known = {"template": [usual["template"]]}
    known |= {variant: [one] for variant, one in usual.get("variants", {}).items()}
    known |= {key: usual[key] for key in ("ensemble",) if key in usual}
    if wanted not in known:
        raise UserError(
            f"{where}.prompts: the set has no prompts {wanted!r} (it has: {', '.join(known)}, and "
            "rows); workflow/prompts.yaml names them, or give a list of templates"
        )
    return tuple(known[wanted])


def _labels(where: str, task: Task, prompts: dict[str, Any]) -> dict[str, list[str]]:
    """Labels that belong to nobody, by category: the task's own, or those that the kind knows."""
    if task.templates is None:
        raise UserError(f"{where}.prompts: the texts of the items say nothing of further labels")
    wanted, known = task.options["labels"], prompts.get(task.source["kind"], {})
    if isinstance(wanted, str) and not isinstance(known.get(wanted), dict):
        raise UserError(
            f"{where}.labels: workflow/prompts.yaml has no labels {wanted!r} for the kind "
            f"{task.source['kind']!r}; give categories with lists of labels"
        )
    return known[wanted] if isinstance(wanted, str) else wanted


def label_file(options: dict[str, Any]) -> str:
    """File of the labels of somebody else's arrays, or the record of a downloaded one."""
    path = options["labels"].partition("#")[0]
    for source, name in carried_places(options):
        if path.endswith(f"/{source}/{name}"):
            return record_of(source, name)
    return path


def wanted_prompts(tasks: Iterable[Task]) -> dict[tuple[str, str], dict[str, Any]]:
    """(model, set) -> what its file of prompts must hold: source, templates, and further labels."""
    wanted: dict[tuple[str, str], dict[str, Any]] = {}
    for task in tasks:
        if task.templates is None:
            continue
        one = wanted.setdefault(
            (task.model, task.dataset), {"source": task.source, "templates": [], "labels": []}
        )
        one["templates"] += [t for t in task.templates if t not in one["templates"]]
        more = [label for part in task.options.get("labels", {}).values() for label in part]
        one["labels"] += [label for label in more if label not in one["labels"]]
    return wanted


def find_pairs(config: dict[str, Any], models: Iterable[Any]) -> list[tuple[str, str]]:
    """(model, set) whose retrieval is shifted and whose methods are compared."""
    chosen = config["downstream"]["datasets"]
    return [
        (model.name, dataset)
        for model in models
        if len(model.modalities) == 2
        for dataset in model.datasets
        if chosen is None or dataset in chosen
    ]


#: Below this number of models no ranking is far from chance.
LEAST_MODELS = 4

#: Figure -> the tables that it is drawn from.
FIGURES = {
    "zero_shot": ["curves", "tests"],
    "fairness": ["rates"],
    "retrieval": ["retrieval"],
    "methods": ["methods", "mixed"],
    "mixed": ["mixed"],
    "models": ["models", "correlations"],
}


@dataclass(frozen=True)
class Plan:
    """Everything that a run makes of the chapter.

    Attributes
    ----------
    tasks, audits
        (model, name) -> task.
    pairs
        (model, set) whose retrieval is shifted and whose methods are compared.
    prompted
        (model, set) -> the class prompts that are to be embedded.
    ranked
        Whether enough models are compared on one set to be drawn.
    """

    tasks: dict[tuple[str, str], Task]
    audits: dict[tuple[str, str], Task]
    pairs: list[tuple[str, str]]
    prompted: dict[tuple[str, str], dict[str, Any]]
    ranked: bool

    @classmethod
    def of(
        cls, config: dict[str, Any], models: Iterable[Any], trainings: dict, prompts: dict[str, Any]
    ) -> Plan:
        """Expand a checked configuration."""
        models = list(models)
        tasks, audits = (find_tasks(config, g, models, prompts) for g in ("tasks", "audits"))
        wanted = wanted_prompts([*tasks.values(), *audits.values()])
        dual = [model for model in models if len(model.modalities) == 2]
        sizes = [sum(d in model.datasets for model in dual) for m in dual for d in m.datasets]
        ranked = max([*sizes, len(trainings)]) >= LEAST_MODELS
        return cls(tasks, audits, find_pairs(config, models), wanted, ranked)

    def _first(self, model: str, dataset: str) -> Task | None:
        """The task whose classes stand in the table of methods: the first one of the set."""
        some = (t for (m, _), t in self.tasks.items() if m == model and t.dataset == dataset)
        return next(some, None)

    def classes(self, model: str, dataset: str) -> dict[str, Any] | None:
        """Facts of the classes of a set; None where it has none."""
        task = self._first(model, dataset)
        return task.facts if task else None

    def compared(self, model: str, dataset: str, run: str) -> dict[str, str]:
        """Files that the methods are compared on: embeddings, and classes if there are any."""
        task = self._first(model, dataset)
        if task:
            return {role: file for role, file in task.inputs(run).items() if role != "direction"}
        return {"embeddings": f"results/{run}/embeddings/{model}/{dataset}.safetensors"}

    def parts(self, run: str) -> dict[str, list[str]]:
        """Table of the chapter -> the parts that it is put together from."""
        places = {
            **dict.fromkeys(("curves", "tests"), (self.tasks, "task")),
            **dict.fromkeys(("rates", "confusion"), (self.audits, "audit")),
            **dict.fromkeys(("retrieval", "methods", "mixed"), (self.pairs, "pairs")),
        }
        return {
            table: [
                f"results/{run}/downstream/parts/{kind}/{model}/{name}.{table}.csv"
                for model, name in keys
            ]
            for table, (keys, kind) in places.items()
            if keys
        }

    def figures(self) -> dict[str, list[str]]:
        """Figures that there is something to draw in -> their tables."""
        made = {*self.parts(""), *(["models"] if self.ranked else [])}
        return {name: tables for name, tables in FIGURES.items() if tables[0] in made}
