"""Where the files of a run are, below results/{run}."""

from __future__ import annotations

#: Files of a training's checkpoint that the workflow goes by.
CHECKPOINT = ("config.json", "model.safetensors", "training.json")


def pairs(run: str, dataset: str) -> str:
    """Pairs of a data set."""
    return f"results/{run}/pairs/{dataset}.parquet"


def embeddings(run: str, model: str, dataset: str) -> str:
    """Embeddings of a data set by a model; those of class prompts are `{dataset}.prompts`."""
    return f"results/{run}/embeddings/{model}/{dataset}.safetensors"


def checkpoint(run: str, training: str) -> str:
    """Folder of the checkpoint that a training leaves."""
    return f"results/{run}/checkpoints/{training}"


def landscape(model: str, dataset: str) -> str:
    """Table, below the results, of the loss of one model on one data set at every shift."""
    return f"shift/parts/{model}/{dataset}.landscape.csv"


def downstream_part(run: str, kind: str, model: str, name: str, table: str) -> str:
    """Part of a table of the chapter `downstream`: of a task, an audit, or pairs."""
    return f"results/{run}/downstream/parts/{kind}/{model}/{name}.{table}.csv"


def decision(model: str, dataset: str) -> str:
    """Decision about embeddings of the user's own, below the results and without its suffix."""
    return f"downstream/decisions/{model}/{dataset}"
