"""What the chapter makes of a configuration: which model answers which task, from which files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from mindgap.config import paths
from mindgap.config.downstream import TaskOptions
from mindgap.config.expand import Model
from mindgap.config.problems import nearest
from mindgap.config.root import Config
from mindgap.data.definitions import class_prompts
from mindgap.data.sources import carried_places, record_of
from mindgap.runtime.errors import UserError, refuse


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
    options: TaskOptions = field(hash=False)
    source: dict[str, Any] = field(hash=False)
    templates: tuple[str, ...] | None

    @property
    def facts(self) -> dict[str, Any]:
        """What a job must know of it."""
        templates = None if self.templates is None else list(self.templates)
        own = {"name": self.name, "dataset": self.dataset, "templates": templates}
        return {**self.options.model_dump(), **own, "source": self.source}

    def inputs(self, run: str) -> dict[str, str]:
        """Role -> file that the task is measured on."""
        files = {
            "embeddings": paths.embeddings(run, self.model, self.dataset),
            "labels": self.source["file"],
        }
        if self.templates is not None:
            files["prompts"] = paths.embeddings(run, self.model, f"{self.dataset}.prompts")
        if self.options.direction != "own":
            files["direction"] = paths.embeddings(run, self.model, self.options.direction)
        return files


def find_tasks(
    config: Config, group: str, models: Iterable[Model], prompts: dict[str, Any]
) -> dict[tuple[str, str], Task]:
    """(model, name) -> task, for each selected task (or audit) and each model that can answer it.

    A model can if it embeds the set in two modalities, of which the second is text; embeddings that
    somebody else made need labels, and serve as their own prompts.
    """
    found, problems = {}, []
    brought = {getattr(one, "dataset", None) for one in config.models.values()}
    for name in getattr(config.select, group):
        options = getattr(config.downstream, group)[name]
        where, dataset = f"config: downstream.{group}.{name}", options.dataset
        if dataset not in {*config.datasets, *brought}:
            near = nearest(dataset, config.datasets)
            problems.append(f"{where}.dataset: no data set is called {dataset!r}{near}")
            continue
        for model in models:
            if model.modalities[1:] != ("text",) or dataset not in model.datasets:
                continue
            try:
                _check_answer(where, group, options, model)
                task = _task(where, name, options, model, config, prompts)
                if group == "audits":
                    labels = {"labels": _labels(where, task, prompts)}
                    task = replace(task, options=options.model_copy(update=labels))
                found[model.name, name] = task
            except UserError as error:
                problems.append(str(error))
    refuse(problems)
    return found


def _check_answer(where: str, group: str, options: TaskOptions, model: Model) -> None:
    """Refuse a task about embeddings that lack what it needs."""
    if options.direction not in ("own", *model.datasets):
        raise UserError(
            f"{where}.direction: {model.name} does not embed {options.direction!r}; name a set "
            "that it embeds, or own"
        )
    if model.embeds:
        return
    if group == "audits":
        raise UserError(f"{where}: an audit embeds its labels, which {model.name} cannot do")
    if options.prompts != "rows":
        raise UserError(
            f"{where}.prompts: {model.name} brings its embeddings and cannot embed prompts; set "
            "prompts: rows, where the text of an item is the prompt of its class"
        )
    if "labels" not in model.options:
        raise UserError(
            f"{where}: the set {options.dataset!r} has no labels; add labels to "
            f"models.{model.name}, or take the task out of select.{group}"
        )


def _task(
    where: str,
    name: str,
    options: TaskOptions,
    model: Model,
    config: Config,
    prompts: dict[str, Any],
) -> Task:
    dataset = options.dataset
    key = name, model.name, dataset, options
    if not model.embeds:
        own = {key: model.options.get(key) for key in ("labels", "classes", "groups")}
        return Task(*key, {**own, "file": label_file(model.options)}, None)
    definition = config.datasets[dataset].given()
    usual = class_prompts(definition, prompts)
    pairs = paths.pairs(config.run, dataset)
    names = {k: usual[k] for k in ("classes", "folders", "races", "genders") if k in usual}
    source = {"pairs": pairs, "prompts": names, "file": pairs, "kind": definition["kind"]}
    if options.prompts == "rows":
        return Task(*key, source, None)
    return Task(*key, source, _templates(where, options.prompts, usual))


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
        raise UserError(f"{where}.prompts: rows have no prompts for further labels; give templates")
    wanted, known = task.options.labels, prompts.get(task.source["kind"], {})
    if isinstance(wanted, str) and not isinstance(known.get(wanted), dict):
        raise UserError(
            f"{where}.labels: workflow/prompts.yaml has no labels {wanted!r} for the kind "
            f"{task.source['kind']!r}; give categories with lists of labels"
        )
    return known[wanted] if isinstance(wanted, str) else wanted


def label_file(options: dict[str, Any]) -> str | None:
    """File of the labels of somebody else's arrays, or the record of a downloaded one, if any."""
    if "labels" not in options:
        return None
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
        labels = getattr(task.options, "labels", {})
        more = [label for part in labels.values() for label in part]
        one["labels"] += [label for label in more if label not in one["labels"]]
    return wanted


def find_pairs(config: Config, models: Iterable[Model]) -> list[tuple[str, str]]:
    """(model, set) whose retrieval is shifted and whose methods are compared."""
    chosen = config.downstream.datasets
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
        cls, config: Config, models: Iterable[Model], trainings: dict, prompts: dict[str, Any]
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
        return {"embeddings": paths.embeddings(run, model, dataset)}

    def parts(self, run: str) -> dict[str, list[str]]:
        """Table of the chapter -> the parts that it is put together from."""
        places = {
            **dict.fromkeys(("curves", "tests"), (self.tasks, "task")),
            **dict.fromkeys(("rates", "confusion"), (self.audits, "audit")),
            **dict.fromkeys(("retrieval", "methods", "mixed"), (self.pairs, "pairs")),
        }
        return {
            table: [paths.downstream_part(run, kind, *key, table) for key in keys]
            for table, (keys, kind) in places.items()
            if keys
        }

    def figures(self) -> dict[str, list[str]]:
        """Figures that there is something to draw in -> their tables."""
        made = {*self.parts(""), *(["models"] if self.ranked else [])}
        return {name: tables for name, tables in FIGURES.items() if tables[0] in made}
