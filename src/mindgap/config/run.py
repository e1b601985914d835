"""What a run makes: its configuration resolved into names, once, for rules, plan and scorecard."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mindgap.codebook.plan import CodebookTraining, expand_codebooks, shown_codebooks
from mindgap.cone.plan import checkpoints, cone_datasets, cone_figures, cone_problems, towers
from mindgap.config import paths
from mindgap.config.expand import Model, expand_models
from mindgap.config.parse import complete, parse_config
from mindgap.config.root import Config
from mindgap.data.definitions import sources
from mindgap.data.kinds import snapshot_name
from mindgap.data.sources import carried_places, manifest
from mindgap.downstream.plan import Plan
from mindgap.runtime.errors import UserError, refuse
from mindgap.train.trainings import Training, expand_trainings, model_problems


@dataclass(frozen=True)
class Run:
    """Everything that a run makes.

    Attributes
    ----------
    config
        Its typed options.
    options
        The same as plain values, which rules hand to jobs and the run saves.
    models, trainings, codebooks
        By name, one for each seed.
    downstream
        Tasks, audits and pairs of the chapter `downstream`.
    """

    config: Config
    options: dict[str, Any] = field(hash=False)
    models: dict[str, Model] = field(hash=False)
    trainings: dict[str, Training] = field(hash=False)
    codebooks: dict[str, CodebookTraining] = field(hash=False)
    downstream: Plan = field(hash=False)

    @classmethod
    def resolve(cls, given: dict[str, Any], prompts: dict[str, Any]) -> Run:
        """Resolve a merged configuration; all problems are told at once.

        `prompts` are those of workflow/prompts.yaml.
        """
        config = parse_config(given)
        problems = list(cone_problems(config))

        def collected(make: Any, *args: Any, otherwise: Any) -> Any:
            try:
                return make(config, *args)
            except UserError as error:
                problems.append(str(error))
                return otherwise

        models = collected(expand_models, otherwise=[])
        trainings = collected(expand_trainings, otherwise={})
        codebooks = collected(expand_codebooks, otherwise={})
        downstream = collected(Plan.of, models, trainings, prompts, otherwise=None)
        refuse([*problems, *model_problems(models, trainings)])
        by_name = {model.name: model for model in models}
        options = complete(config)
        return cls(config, options, by_name, trainings, codebooks, downstream)

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.config.run

    @cached_property
    def sets(self) -> dict[str, dict[str, Any]]:
        """Data sets whose pairs the run needs -> their definitions.

        What is selected is for encoders: a run without any has no use for it.
        """
        jobs = (*self.trainings.values(), *self.codebooks.values())
        encoders = any(model.kind in ("clip", "encoder") for model in self.models.values())
        names = list(self.config.select.datasets) if encoders else []
        names += [d for model in self.models.values() if model.embeds for d in model.datasets]
        names += [m.options["train"] for m in self.models.values() if m.kind == "joint"]
        names += [*cone_datasets(self.config), *(d for one in jobs for d in one.datasets.values())]
        return {name: self.config.datasets[name].given() for name in dict.fromkeys(names)}

    @cached_property
    def snapshots(self) -> dict[str, dict[str, Any]]:
        """Folder of each data set of the hub -> what is fetched to it."""
        return {
            snapshot_name(options): {k: options.get(k) for k in ("name", "revision", "patterns")}
            for options in self.sets.values()
            if options["kind"] == "huggingface" and "name" in options
        }

    @cached_property
    def checkpoints(self) -> dict[str, dict[str, Any]]:
        """Manifest of each checkpoint of the hub -> the options that name it."""
        everyone = [model.options for model in self.models.values()]
        everyone += [one.checkpoint or {} for one in self.trainings.values()]
        everyone += [c for tower in towers(self.config) for c in checkpoints(self.config, tower)]
        return {manifest(options): options for options in everyone if "checkpoint" in options}

    @cached_property
    def places(self) -> list[tuple[str, str]]:
        """(source, file) of each file of workflow/sources.yaml that the run reads."""
        found = [place for definition in self.sets.values() for place in sources(definition)]
        found += [p for model in self.models.values() for p in carried_places(model.options)]
        return list(dict.fromkeys(found))

    @cached_property
    def landscapes(self) -> dict[str, dict[str, Any]]:
        """Selected landscapes -> their options, with the temperatures that hold for them."""
        shift, found = self.config.shift, {}
        for name in self.config.select.landscapes:
            own = shift.landscapes[name]
            scales = own.inverse_temperatures or shift.inverse_temperatures
            found[name] = {**own.model_dump(), "inverse_temperatures": scales}
        return found

    @cached_property
    def experiments(self) -> dict[str, dict[str, Any]]:
        """Selected comparisons of trainings -> their options."""
        defined = self.config.train.experiments
        names = self.config.select.experiments
        return {name: defined[name].model_dump(exclude_none=True) for name in names}

    def has(self, chapter: str) -> bool:
        """Whether the run computes what a chapter has that is about no model of the user's."""
        return chapter in self.config.select.chapters

    def paired(self, models: list[Model] | None = None) -> list[tuple[str, str]]:
        """(model, data set) of each model of two modalities, which most chapters are about."""
        models = list(self.models.values()) if models is None else models
        return [(m.name, d) for m in models if len(m.modalities) == 2 for d in m.datasets]

    @cached_property
    def gapped(self) -> list[tuple[str, str]]:
        """(model, data set) of each model that has a gap: single towers have none."""
        models = self.models.values()
        return [(m.name, d) for m in models if len(m.modalities) > 1 for d in m.datasets]

    @cached_property
    def several(self) -> list[tuple[str, str]]:
        """(model, data set) of each model of three modalities or more."""
        models = self.models.values()
        return [(m.name, d) for m in models if len(m.modalities) > 2 for d in m.datasets]

    @cached_property
    def decided(self) -> list[tuple[str, str]]:
        """(model, data set) of the user's own embeddings, which the run decides about."""
        return [(m.name, d) for m in self.models.values() if m.own for d in m.datasets]

    @cached_property
    def explored(self) -> list[tuple[str, str]]:
        """(model, data set) of each page in which a reader moves the gap.

        Trained models of two modalities, and the user's own embeddings of two or more.
        """
        trained = self.paired([m for m in self.models.values() if m.weights == "trained"])
        return list(dict.fromkeys([*trained, *self.decided]))

    @cached_property
    def coded(self) -> list[str]:
        """Codebooks whose codes have a figure and a page."""
        return shown_codebooks(self.codebooks, self.config.codebook.shown)

    @cached_property
    def origins(self) -> dict[str, list[Model]]:
        """Models that are projected together; published features, which need no encoder, first."""
        found = {
            "features": [m for m in self.models.values() if not m.embeds],
            "encoders": [m for m in self.models.values() if m.embeds],
        }
        return {name: models for name, models in found.items() if self.paired(models)}

    @cached_property
    def drawn(self) -> dict[str, list[Model]]:
        """Figure 1 of all models and, before anything is computed, of published features."""
        both = [model for model in self.models.values() if self.paired([model])]
        first = {"figure1": both} if both else {}
        alone = {"figure1_features": self.origins["features"]} if len(self.origins) > 1 else {}
        return first | alone

    @cached_property
    def units(self) -> list[str]:
        """Codebooks with codes whose held-out pairs know the place and time of each word."""
        return [
            name
            for name, one in self.codebooks.items()
            if one.discrete and self.sets[one.datasets["test"]]["kind"] == "spoken_scenes"
        ]

    @property
    def sharded(self) -> list[str]:
        """Data sets that several jobs embed."""
        return [name for name, count in self.config.embed.shards.items() if count > 1]

    @cached_property
    def figures(self) -> list[str]:
        """All figures, below results/{run}/figures."""
        methods = self.config.gap.projection.methods
        names = [f"{name}_{method}" for name in self.drawn for method in methods]
        names += ["cosines"] if self.gapped else []
        names += [f"gap/{model}/{dataset}" for model, dataset in self.several]
        names += [f"cone/{name}" for name in cone_figures(self.config)]
        names += [f"landscape/{model}/{dataset}" for model, dataset in self.paired()]
        names += ["spheres"] if self.has("shift") else []
        names += ["trajectories", "trainings"] if self.trainings else []
        names += [f"downstream/{name}" for name in self.downstream.figures()]
        names += ["codebooks"] if self.codebooks else []
        names += [f"codes/{name}" for name in self.coded]
        names += [f"units/{name}" for name in self.coded if name in self.units]
        return [f"{name}.png" for name in names]

    @cached_property
    def tables(self) -> list[str]:
        """Tables and embeddings that no figure and no claim asks for, below results/{run}."""
        each = [(model, d) for model in self.models.values() for d in model.datasets]
        names = [f"embeddings/{m.name}/{d}.safetensors" for m, d in each if len(m.modalities) == 1]
        names += ["gap/projection.csv"] if self.origins else []
        names += ["gap/rank_correlations.csv"] if self.several else []
        names += ["downstream/models.csv"] if self.gapped else []
        names += [f"{paths.decision(*one)}.md" for one in self.decided]
        names += [f"explorer/{model}/{dataset}.html" for model, dataset in self.explored]
        names += [f"explorer/codes/{name}.html" for name in self.coded]
        names += [
            f"gap/parts/{model.name}/{dataset}.sharded.csv"
            for model, dataset in each
            if model.embeds and dataset in self.sharded and len(model.modalities) == 2
        ]
        return [*names, *(f"downstream/{name}.csv" for name in self.downstream.parts(self.name))]

    @cached_property
    def results(self) -> list[str]:
        """Every file that a run is asked for, but for its record."""
        names = ["config.yaml", "scorecard.md", "index.html"]
        names += [*(f"pairs/{name}.parquet" for name in self.sets)]
        names += [*(f"figures/{name}" for name in self.figures), *self.tables]
        return [f"results/{self.name}/{name}" for name in names]
