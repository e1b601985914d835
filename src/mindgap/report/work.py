"""What a job of a neural network has to compute, in floating-point operations, before it runs.

A transformer takes about 2 x parameters x tokens for an item forward, and three times that with the
gradients; attention itself is left out, a tenth at most at these lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mindgap.config.run import Run
from mindgap.report.dry import Job
from mindgap.train.rows import grid

#: Tokens of a caption where a batch is padded to its longest.
_CAPTION = 24
#: Class prompts of a task, where they are not counted one by one.
_PROMPTS = 1000
_FORWARD, _TRAIN = 2.0, 6.0


@dataclass(frozen=True)
class Tower:
    """A tower of an encoder: parameters that every token meets, and tokens of an item."""

    parameters: float
    tokens: float

    @property
    def forward(self) -> float:
        """Operations of one item forward."""
        return _FORWARD * self.parameters * self.tokens


@dataclass(frozen=True)
class Work:
    """Operations of a job, the steps or batches that it takes, and the arithmetic in words."""

    operations: float
    steps: int
    words: str

    @property
    def network(self) -> bool:
        """Whether there is anything to compute."""
        return self.operations > 0


def transformer(layers: int, width: int, tokens: float) -> Tower:
    """Tower of a plain transformer: 12 width^2 parameters in each layer."""
    return Tower(12.0 * layers * width**2, tokens)


def convolutions(operations: float) -> Tower:
    """Tower that is known by its operations for one item."""
    return Tower(operations / _FORWARD, 1)


_B32, _B16 = transformer(12, 768, 50), transformer(12, 768, 197)
_L14, _TEXT = transformer(24, 1024, 257), transformer(12, 512, _CAPTION)
_BERT = transformer(12, 768, _CAPTION)
#: Checkpoint -> its towers (the medium first), after the architectures as published.
TOWERS: dict[str, tuple[Tower, ...]] = {
    "openai/clip-vit-base-patch32": (_B32, _TEXT),
    "openai/clip-vit-base-patch16": (_B16, _TEXT),
    "openai/clip-vit-large-patch14": (_L14, transformer(12, 768, _CAPTION)),
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": (_B32, _TEXT),
    "laion/CLIP-ViT-B-16-laion2B-s34B-b88K": (_B16, _TEXT),
    "google/siglip-base-patch16-224": (transformer(12, 768, 196), transformer(12, 768, 64)),
    "google/siglip2-base-patch16-256": (transformer(12, 768, 256), transformer(12, 768, 64)),
    "google/siglip2-large-patch16-256": (transformer(24, 1024, 256), transformer(24, 1024, 64)),
    # EfficientNet-B7: 37 billion multiplications at 600 pixels, here at 289.
    "kakaobrain/align-base": (convolutions(2 * 37e9 * (289 / 600) ** 2), _BERT),
    "BAAI/AltCLIP": (_L14, transformer(24, 1024, _CAPTION)),
    "OFA-Sys/chinese-clip-vit-base-patch16": (_B16, _BERT),
    "facebook/flava-full": (_B16, _BERT),
    "microsoft/xclip-base-patch32": (transformer(12, 768, 8 * 50), _TEXT),
    "microsoft/resnet-18": (convolutions(2 * 1.8e9),),
    "google/vit-base-patch16-224-in21k": (_B16,),
    "google-bert/bert-base-uncased": (_BERT,),
}
_DRAWN = {
    "vit-b-32": (_B32, _TEXT),
    "vit-b-16": (_B16, _TEXT),
    "resnet-18": TOWERS["microsoft/resnet-18"],
    "tiny": (transformer(2, 64, 17), transformer(2, 64, _CAPTION)),
    "resnet-tiny": (convolutions(2e6),),
    "mlp": (Tower(2.6e6, 1),),
}


def towers_of(options: dict[str, Any], run: Run) -> tuple[Tower, ...] | None:
    """Towers of a model by its options; None where nobody knows them."""
    if "architecture" in options:
        return _DRAWN[options["architecture"]]
    if "checkpoint" in options:
        return TOWERS.get(options["checkpoint"])
    if (name := options.get("training")) in run.trainings:
        one = run.trainings[name]
        return towers_of(one.checkpoint, run) if one.checkpoint else _small(one.options.model, run)
    return None


def _small(name: str, run: Run) -> tuple[Tower, ...]:
    """Towers of a small CLIP of the run's own."""
    sizes = run.config.train.models[name]
    tokens = (sizes.image_size / sizes.patch_size) ** 2 + 1
    return (
        transformer(sizes.layers, sizes.width, tokens),
        transformer(sizes.layers, sizes.width, min(_CAPTION, sizes.context)),
    )


def work_of(
    job: Job, run: Run, items: dict[str, int | None], captions: dict[str, int]
) -> Work | None:
    """Work of a job about a network; None where it is unknown.

    Parameters
    ----------
    items, captions
        Items of each data set, and captions of an item.
    """
    makers = {
        "embed_pairs": _embedding,
        "embed_prompts": _prompts,
        "embed_initialisations": _initialisations,
        "train_model": _training,
        "train_codebook": _codebook,
        "trace_depth": _depth,
    }
    return makers[job.rule](job, run, items, captions) if job.rule in makers else None


def _embedding(job: Job, run: Run, items: dict, captions: dict) -> Work | None:
    model, dataset = run.models[job.wildcards["model"]], job.wildcards["dataset"]
    towers, count = towers_of(model.options, run), items.get(dataset)
    if towers is None or count is None:
        return None
    texts = captions.get(dataset, 1) if model.options.get("captions") == "all" else 1
    each = towers[0].forward + (texts * towers[1].forward if len(towers) > 1 else 0)
    size = model.options.get("batch_size", 32)
    words = f"{count:,} items x {_giga(each)}"
    return Work(count * each, -(-count // size), words)


def _prompts(job: Job, run: Run, items: dict, captions: dict) -> Work | None:
    towers = towers_of(run.models[job.wildcards["model"]].options, run)
    if towers is None or len(towers) < 2:
        return None
    each = towers[1].forward
    return Work(_PROMPTS * each, _PROMPTS // 32, f"{_PROMPTS:,} prompts x {_giga(each)}")


def _initialisations(job: Job, run: Run, items: dict, captions: dict) -> Work | None:
    options, name = run.config.cone.initialisations, job.wildcards["tower"]
    if name not in _DRAWN:
        return None
    inputs = options.noise_items + options.items * len(options.datasets)
    each = sum(tower.forward for tower in _DRAWN[name])
    words = f"{options.seeds} seeds x {inputs:,} inputs x {_giga(each)}"
    steps = options.seeds * -(-inputs // options.batch_size)
    return Work(options.seeds * inputs * each, steps, words)


def _training(job: Job, run: Run, items: dict, captions: dict) -> Work | None:
    one = run.trainings[job.wildcards["training"]]
    options, at = one.options, one
    while at.start in run.trainings:
        at = run.trainings[at.start]
    start = at.checkpoint
    towers = towers_of(start, run) if start else _small(at.options.model, run)
    if towers is None:
        return None
    each = sum(tower.forward for tower in towers)
    steps, looks = options.steps, len(grid(options.steps))
    held = sum(items.get(d) or 0 for role, d in one.datasets.items() if role != "train")
    words = (
        f"{steps:,} steps x {options.batch} pairs x 3 x {_giga(each)} and {looks} looks at "
        f"{held:,} held-out items"
    )
    return Work(each * (3 * steps * options.batch + looks * held), steps + looks, words)


def _codebook(job: Job, run: Run, items: dict, captions: dict) -> Work | None:
    options = run.codebooks[job.wildcards["codebook"]].options
    if run.codebooks[job.wildcards["codebook"]].arrays.files():
        return None
    each = sum(_tokens(m, options) for m in options.modalities) * _FORWARD * options.width**2
    # A convolution over two axes has nine weights for each pair of channels.
    each *= 9.0 * max(1, options.layers)
    steps = options.steps
    words = f"{steps:,} steps x {options.batch} pairs x 3 x {_giga(each)}"
    return Work(3 * each * steps * options.batch, steps, words)


def _depth(job: Job, run: Run, items: dict, captions: dict) -> Work:
    options = run.config.cone.depth
    kinds = len(options.activations) * len(options.biases)
    sizes = [options.width**2 * options.inputs * options.seeds * kinds]
    sizes += [w**2 * options.widths.inputs * options.widths.seeds for w in options.widths.widths]
    # Drawing a weight costs about as much as twenty operations on it.
    drawn = 20 * sum(w**2 for w in options.widths.widths) * options.widths.seeds
    drawn += 20 * options.width**2 * options.seeds * kinds
    layers = options.depth
    words = f"{layers} layers of {options.width:,} units and of {max(options.widths.widths):,}"
    return Work(layers * (_FORWARD * sum(sizes) + drawn), layers, words)


def _tokens(modality: str, options: Any) -> float:
    """Tokens of an item."""
    inputs = options.inputs
    cells = (inputs.size / 8) ** 2
    return {
        "image": cells,
        "video": cells * inputs.frames / inputs.span,
        "audio": inputs.rate * inputs.seconds / inputs.hop / 4,
        "text": inputs.context / 3,
    }.get(modality, 100.0)


def _giga(operations: float) -> str:
    return f"{operations / 1e9:.3g} GFLOP"
