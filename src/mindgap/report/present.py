"""Which rows the tables of a run should have, after its configuration.

A claim about a row that should be there and is not is broken; one about a row that nobody asked for
was not run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mindgap.codebook.plan import expand_codebooks
from mindgap.cone.plan import cone_datasets, initialisations
from mindgap.config import expand_models
from mindgap.downstream.plan import Plan
from mindgap.train.trainings import Training, expand_trainings

Block = dict[str, list[Any]]

#: Table of a summary -> the tables that it is made from.
BEHIND = {
    "train/effects.csv": ("train/trainings.csv", "train/trajectories.csv"),
    "codebook/effects.csv": ("codebook/codebooks.csv",),
    "shift/sphere_minima.csv": ("shift/sphere_azimuth.csv",),
}
#: Tables of all landscapes together; see `curve_table` for what is behind them.
LANDSCAPES = ("shift/minima.csv", "shift/trends.csv")


def present(config: dict[str, Any], prompts: dict[str, Any]) -> dict[str, list[Block]]:
    """Rows of the tables that claims may read, block by block: column -> values that it has.

    A block stands for every combination of its values. What it does not name, such as the column
    `direction`, has all values that there are. A table that the run does not make is left out.
    """
    models = expand_models(config)
    trainings = expand_trainings(config)
    plan = Plan.of(config, models, trainings, prompts)
    found: dict[str, list[Block]] = {"gap/gap.csv": []}
    for model in models:
        if len(model.modalities) > 1:
            block = {"model": [model.name], "dataset": list(model.datasets)}
            found["gap/gap.csv"].append(block)
            _landscapes(found, config, block, learned=model.kind == "trained")
    found |= _spheres(config) | _cone(config) | _train(config, trainings)
    found |= _downstream(plan) | _codebook(config)
    return {table: blocks for table, blocks in found.items() if blocks}


def read_tables(
    claims: list[dict[str, Any]], present: Mapping[str, list[Block]], run: str
) -> list[str]:
    """Tables that the claims about a run are read from, and those behind them; in order."""
    own = [c for c in claims if "model" in c["measured"]["where"] or run in c["runs"]]
    names = {claim["measured"]["table"] for claim in own} & set(present)
    behind = {part for name in names for part in BEHIND.get(name, ())}
    return sorted(names | behind | {curve_table(*curve) for curve in curves_of(own, present)})


def curves_of(
    claims: list[dict[str, Any]], present: Mapping[str, list[Block]]
) -> list[tuple[str, str]]:
    """(model, data set) of the landscapes whose minima or trends claims are about."""
    found = {}
    for claim in claims:
        where = claim["measured"]["where"]
        if claim["measured"]["table"] in LANDSCAPES:
            for model in where["model"] if isinstance(where["model"], list) else [where["model"]]:
                if curve_table(model, where["dataset"]) in present:
                    found[model, where["dataset"]] = None
    return list(found)


def curve_table(model: str, dataset: str) -> str:
    """Table of the loss of one model on one data set at every shift."""
    return f"shift/parts/{model}/{dataset}.landscape.csv"


def _landscapes(
    found: dict[str, list[Block]], config: dict[str, Any], block: Block, learned: bool
) -> None:
    shift = config["shift"]
    for name in config["select"]["landscapes"]:
        options = shift["landscapes"][name]
        scales = options.get("inverse_temperatures", shift["inverse_temperatures"])
        curves = {**block, "landscape": [name], "inverse_temperature": scales}
        if scales == "learned":
            del curves["inverse_temperature"]  # known once the model is trained
            if not learned:
                continue
        found.setdefault("shift/minima.csv", []).append(curves)
        found.setdefault("shift/trends.csv", []).append({**block, "landscape": [name]})
        points = {**curves, "shift": grid(options["start"], options["stop"], options["step"])}
        for dataset in block["dataset"]:
            found.setdefault(curve_table(block["model"][0], dataset), []).append(points)


def grid(start: float, stop: float, step: float) -> list[float]:
    """Shifts of a landscape, as `mindgap.shift.tables.shift_grid` has them."""
    return [round(start + k * step, 10) for k in range(int((stop - start) / step + 1.5))]


def _spheres(config: dict[str, Any]) -> dict[str, list[Block]]:
    options = config["shift"]["spheres"]
    scales, spacings = list(options["inverse_temperatures"]), list(options["spacings"])
    minima = {"spacing": spacings, "inverse_temperature": scales}
    return {"shift/sphere_minima.csv": [minima], "shift/sphere_points.csv": [{}]}


def _cone(config: dict[str, Any]) -> dict[str, list[Block]]:
    chosen, found = config["select"]["cone"], {}
    if options := initialisations(config):
        inputs = ["noise", *cone_datasets(config)]
        built = {"model": list(options["models"]), "weights": ["random"], "inputs": inputs}
        trained = [
            {"model": [one["model"]], "weights": ["trained"], "inputs": list(options["datasets"])}
            for one in options["trained"].values()
        ]
        mlp = {"model": ["mlp"], "weights": ["random"], "inputs": ["noise"]}
        # Second drawings are for a few initialisations alone.
        whole = {**built, "inputs": ["noise", *options["datasets"]]}
        several = [whole, mlp] if options["seeds"] > 1 else []
        sizes = list(options["sizes"])
        gaps = [{**whole, "variant": ["projected"], "size": sizes}]
        gaps += [{**whole, "variant": ["built"]}, {**whole, "variant": ["unnormalised"]}]
        twins = {"model": [*options["models"], "mlp"], "weights": ["random"]}
        found |= {
            "cone/cone_summary.csv": [built, mlp, *trained],
            "cone/separation.csv": [*several, *trained],
            "cone/gap_summary.csv": gaps,
            "cone/twins.csv": [{**twins, "inputs_a": whole["inputs"]}] if several else [],
        }
    if "depth" in chosen:
        options = config["cone"]["depth"]
        kinds = {"activation": list(options["activations"]), "bias": list(options["biases"])}
        depths = list(range(options["depth"] + 1))
        cells = {**kinds, "depth": depths, "width": [options["width"]], "study": ["activations"]}
        # The published curves are of width 512.
        points = [{**kinds, "depth": depths}] if options["width"] == 512 else []
        found |= {"cone/depth.csv": [cells], "cone/depth_points.csv": points}
    if "theorems" in chosen:
        found |= _theorems(config["cone"]["theorems"])
    return found


def _theorems(options: dict[str, Any]) -> dict[str, list[Block]]:
    growth, variance = options["growth"], options["variance"]
    layers = list(range(1, variance["depth"] + 1))
    cells = [
        {"width": list(growth["widths"]), "ratio": [ratio], "cosine": some, "below": [below]}
        for ratio in growth["ratios"]
        for below in (0, 1)
        if (some := [c for c in growth["cosines"] if (c < 2 * ratio / (1 + ratio**2)) == below])
    ]
    first = [{**{k: v for k, v in cell.items() if k != "below"}, "theorem": [1]} for cell in cells]
    second = [{"theorem": [2], "layer": layers}] if variance["width"] == 512 else []
    return {
        "cone/growth.csv": cells,
        "cone/variance.csv": [{"layer": layers}],
        "cone/caps.csv": [{"dimension": list(options["cap"]["dimensions"])}],
        "cone/theorem_points.csv": [*first, *second],
    }


def _train(config: dict[str, Any], trainings: Mapping[str, Training]) -> dict[str, list[Block]]:
    if not trainings:
        return {}
    each = [
        {"training": [name], "definition": [one.definition], "seed": [one.options["seed"]]}
        for name, one in trainings.items()
    ]
    effects = []
    for name in config["select"]["experiments"]:
        labels = list(effects_of(config["train"]["experiments"][name], trainings.values()))
        effects.append({"experiment": [name], "effect": labels})
    last = [
        {**block, "step": [0, one.options["steps"]]}
        for block, one in zip(each, trainings.values(), strict=True)
    ]
    return {
        "train/trainings.csv": each,
        "train/trajectories.csv": last,
        "train/effects.csv": effects,
    }


def effects_of(experiment: dict[str, Any], trainings: Iterable[Training]) -> Iterable[str]:
    """Names of the effects of an experiment, as `mindgap.train.effects` calls them."""
    if "over" in experiment:
        over = experiment["over"]
        some = [t for t in trainings if t.definition in experiment["trainings"]]
        values = [one.options[over] for one in some]
        yield f"{over} {min(values):g} to {max(values):g}"
        yield f"Kendall's tau with {over}"
        return
    for other in experiment["others"]:
        yield f"{other} minus {experiment['plain']}"
    for definition in (experiment["plain"], *experiment["others"]):
        yield f"{definition} at its end minus its start"


def _downstream(plan: Plan) -> dict[str, list[Block]]:
    tasks = [{"model": [model], "task": [task]} for model, task in plan.tasks]
    pairs = [{"model": [model], "dataset": [dataset]} for model, dataset in plan.pairs]
    audits = [
        {"model": [model], "audit": [name], "shift": list(one.options["shifts"])}
        for (model, name), one in plan.audits.items()
    ]
    published = ("drops", "intervals", "rates", "tests")
    return {
        **{f"downstream/{table}.csv": tasks for table in ("curves", "tests")},
        **{f"downstream/{table}.csv": pairs for table in ("retrieval", "methods", "mixed")},
        "downstream/rates.csv": audits,
        **{f"downstream/published_{table}.csv": [{}] for table in published},
    }


def _codebook(config: dict[str, Any]) -> dict[str, list[Block]]:
    trained = expand_codebooks(config).values()
    effects = []
    for task in dict.fromkeys(one.task for one in trained):
        there = list(dict.fromkeys(one.variant for one in trained if one.task == task))
        contrasts = config["codebook"]["contrasts"]
        pairs = [f"{a} minus {b}" for a, b in contrasts if {a, b} <= set(there)]
        effects.append({"task": [task], "effect": [*there, *pairs]})
    each = [
        {"task": [one.task], "variant": [one.variant], "seed": [one.options["seed"]]}
        for one in trained
    ]
    return {"codebook/effects.csv": effects, "codebook/codebooks.csv": each}
