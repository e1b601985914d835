"""Which rows the tables of a run should have, after its configuration.

A claim about a row that should be there and is not is broken; one about a row that nobody asked for
was not run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mindgap.cone.plan import cone_datasets, initialisations
from mindgap.config import Config
from mindgap.config.cone import Theorems
from mindgap.config.paths import landscape
from mindgap.config.run import Run
from mindgap.train.trainings import Training

Block = dict[str, list[Any]]

#: Table of a summary -> the tables that it is made from.
BEHIND = {
    "train/effects.csv": ("train/trainings.csv", "train/trajectories.csv"),
    "codebook/effects.csv": ("codebook/codebooks.csv",),
    "shift/sphere_minima.csv": ("shift/sphere_azimuth.csv",),
}
#: Tables of all landscapes together; see `landscape` for what is behind them.
LANDSCAPES = ("shift/minima.csv", "shift/trends.csv")


def present(run: Run) -> dict[str, list[Block]]:
    """Rows of the tables that claims may read, block by block: column -> values that it has.

    A block stands for every combination of its values. What it does not name, such as the column
    `direction`, has all values that there are. A table that the run does not make is left out.
    """
    found: dict[str, list[Block]] = {"gap/gap.csv": []}
    for model in run.models.values():
        if len(model.modalities) > 1:
            block = {"model": [model.name], "dataset": list(model.datasets)}
            found["gap/gap.csv"].append(block)
        if len(model.modalities) == 2:
            _landscapes(found, run, block, learned=model.kind == "trained")
    found |= _spheres(run) | _cone(run.config) | _train(run) | _downstream(run) | _codebook(run)
    return {table: blocks for table, blocks in found.items() if blocks}


def read_tables(
    claims: list[dict[str, Any]], present: Mapping[str, list[Block]], run: str
) -> list[str]:
    """Tables that the claims about a run are read from, and those behind them; in order."""
    own = [c for c in claims if "model" in c["measured"]["where"] or run in c["runs"]]
    names = {claim["measured"]["table"] for claim in own} & set(present)
    behind = {part for name in names for part in BEHIND.get(name, ())}
    return sorted(names | behind | {landscape(*curve) for curve in curves_of(own, present)})


def curves_of(
    claims: list[dict[str, Any]], present: Mapping[str, list[Block]]
) -> list[tuple[str, str]]:
    """(model, data set) of the landscapes whose minima or trends claims are about."""
    found = {}
    for claim in claims:
        where = claim["measured"]["where"]
        if claim["measured"]["table"] in LANDSCAPES:
            for model in where["model"] if isinstance(where["model"], list) else [where["model"]]:
                if landscape(model, where["dataset"]) in present:
                    found[model, where["dataset"]] = None
    return list(found)


def _landscapes(found: dict[str, list[Block]], run: Run, block: Block, learned: bool) -> None:
    shift = run.config.shift
    for name in run.config.select.landscapes:
        options = shift.landscapes[name]
        scales = options.inverse_temperatures or shift.inverse_temperatures
        curves = {**block, "landscape": [name], "inverse_temperature": scales}
        if scales == "learned":
            del curves["inverse_temperature"]  # known once the model is trained
            if not learned:
                continue
        found.setdefault("shift/minima.csv", []).append(curves)
        found.setdefault("shift/trends.csv", []).append({**block, "landscape": [name]})
        points = {**curves, "shift": grid(options.start, options.stop, options.step)}
        for dataset in block["dataset"]:
            found.setdefault(landscape(block["model"][0], dataset), []).append(points)


def grid(start: float, stop: float, step: float) -> list[float]:
    """Shifts of a landscape, as `mindgap.shift.tables.shift_grid` has them."""
    return [round(start + k * step, 10) for k in range(int((stop - start) / step + 1.5))]


def _spheres(run: Run) -> dict[str, list[Block]]:
    if not run.has("shift"):
        return {}
    options = run.config.shift.spheres
    minima = {
        "spacing": options.spacings,
        "inverse_temperature": options.inverse_temperatures,
    }
    return {"shift/sphere_minima.csv": [minima], "shift/sphere_points.csv": [{}]}


def _cone(config: Config) -> dict[str, list[Block]]:
    chosen, found = config.select.cone, {}
    if options := initialisations(config):
        inputs = ["noise", *cone_datasets(config)]
        built = {"model": options.models, "weights": ["random"], "inputs": inputs}
        trained = [
            {"model": [one.model], "weights": ["trained"], "inputs": options.datasets}
            for one in options.trained.values()
        ]
        mlp = {"model": ["mlp"], "weights": ["random"], "inputs": ["noise"]}
        # Second drawings are for a few initialisations alone.
        whole = {**built, "inputs": ["noise", *options.datasets]}
        gaps = [{**whole, "variant": ["projected"], "size": options.sizes}]
        gaps += [{**whole, "variant": ["built"]}, {**whole, "variant": ["unnormalised"]}]
        twins = {"model": [*options.models, "mlp"], "weights": ["random"]}
        found |= {
            "cone/cone_summary.csv": [built, mlp, *trained],
            "cone/separation.csv": [whole, mlp, *trained],
            "cone/gap_summary.csv": gaps,
            "cone/twins.csv": [{**twins, "inputs_a": whole["inputs"]}],
        }
    if "depth" in chosen:
        options = config.cone.depth
        kinds = {"activation": list(options.activations), "bias": list(options.biases)}
        depths = list(range(options.depth + 1))
        cells = {**kinds, "depth": depths, "width": [options.width], "study": ["activations"]}
        # The published curves are of width 512.
        points = [{**kinds, "depth": depths}] if options.width == 512 else []
        found |= {"cone/depth.csv": [cells], "cone/depth_points.csv": points}
    if "theorems" in chosen:
        found |= _theorems(config.cone.theorems)
    return found


def _theorems(options: Theorems) -> dict[str, list[Block]]:
    growth, variance = options.growth, options.variance
    layers = list(range(1, variance.depth + 1))
    cells = [
        {"width": growth.widths, "ratio": [ratio], "cosine": some, "below": [below]}
        for ratio in growth.ratios
        for below in (0, 1)
        if (some := [c for c in growth.cosines if (c < 2 * ratio / (1 + ratio**2)) == below])
    ]
    first = [{**{k: v for k, v in cell.items() if k != "below"}, "theorem": [1]} for cell in cells]
    second = [{"theorem": [2], "layer": layers}] if variance.width == 512 else []
    return {
        "cone/growth.csv": cells,
        "cone/variance.csv": [{"layer": layers}],
        "cone/caps.csv": [{"dimension": options.cap.dimensions}],
        "cone/theorem_points.csv": [*first, *second],
    }


def _train(run: Run) -> dict[str, list[Block]]:
    trainings = run.trainings
    if not trainings:
        return {}
    each = [
        {"training": [name], "definition": [one.definition], "seed": [one.seed]}
        for name, one in trainings.items()
    ]
    effects = [
        {"experiment": [name], "effect": list(effects_of(experiment, trainings.values()))}
        for name, experiment in run.experiments.items()
    ]
    last = [
        {**block, "step": [0, one.options.steps]}
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
        values = [getattr(one.options, over) for one in some]
        yield f"{over} {min(values):g} to {max(values):g}"
        yield f"Kendall's tau with {over}"
        return
    for other in experiment["others"]:
        yield f"{other} minus {experiment['plain']}"
    for definition in (experiment["plain"], *experiment["others"]):
        yield f"{definition} at its end minus its start"


def _downstream(run: Run) -> dict[str, list[Block]]:
    plan = run.downstream
    tasks = [{"model": [model], "task": [task]} for model, task in plan.tasks]
    pairs = [{"model": [model], "dataset": [dataset]} for model, dataset in plan.pairs]
    audits = [
        {"model": [model], "audit": [name], "shift": list(one.options.shifts)}
        for (model, name), one in plan.audits.items()
    ]
    published = ("drops", "intervals", "rates", "tests") if run.has("downstream") else ()
    return {
        **{f"downstream/{table}.csv": tasks for table in ("curves", "tests")},
        **{f"downstream/{table}.csv": pairs for table in ("retrieval", "methods", "mixed")},
        "downstream/rates.csv": audits,
        **{f"downstream/published_{table}.csv": [{}] for table in published},
    }


def _codebook(run: Run) -> dict[str, list[Block]]:
    trained = run.codebooks.values()
    effects = []
    for task in dict.fromkeys(one.task for one in trained):
        there = list(dict.fromkeys(one.variant for one in trained if one.task == task))
        contrasts = run.config.codebook.contrasts
        pairs = [f"{a} minus {b}" for a, b in contrasts if {a, b} <= set(there)]
        effects.append({"task": [task], "effect": [*there, *pairs]})
    each = [{"task": [one.task], "variant": [one.variant], "seed": [one.seed]} for one in trained]
    return {"codebook/effects.csv": effects, "codebook/codebooks.csv": each}
