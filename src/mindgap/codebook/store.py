"""A trained codebook on disk: weights, what made it, and the codes of the held-out pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from mindgap.runtime.files import open_tensors, replacing, write_csv


def save_codes(path: str | Path, codes: tuple[np.ndarray, np.ndarray] | None, about: dict) -> None:
    """Write the codes of both modalities, int16 (n, L) each, with a header of facts."""
    tensors = {} if codes is None else dict(zip("ab", codes, strict=True))
    with replacing(path) as part:
        save_file(tensors, part, metadata={"mindgap": json.dumps(about, sort_keys=True)})


def read_codes(path: str | Path) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, Any]]:
    """Codes of both modalities and the facts beside them."""
    with open_tensors(path) as file:
        about = json.loads(file.metadata()["mindgap"])
        return (file.get_tensor("a"), file.get_tensor("b")), about


def save_model(folder: str | Path, model: Any, about: dict[str, Any]) -> None:
    """Write weights and, last, what is needed to build the model again."""
    from safetensors.torch import save_file as save_tensors

    folder = Path(folder)
    with replacing(folder / "model.safetensors") as part:
        save_tensors({k: v.contiguous().cpu() for k, v in model.state_dict().items()}, part)
    with replacing(folder / "codebook.json") as part:
        part.write_text(json.dumps(about, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def leave(found: Any, job: Any) -> None:
    """Write what a training (`fit.Result`) leaves: tables, held-out codes, and the model last."""
    import pandas as pd

    from mindgap.codebook.encoders import Frames

    tables = {"trajectory": found.steps, "final": found.final, "retrieval": found.retrieval}
    for name, rows in tables.items():
        write_csv(job.outputs[name], pd.DataFrame([{**job.key, **row} for row in rows]))
    quantiser, inputs = found.model.quantiser, job.options["inputs"]
    about = {
        "size": 0 if quantiser is None else len(quantiser.table()),
        "modalities": job.options["modalities"],
        "shapes": {m: getattr(e, "shape", ()) for m, e in found.model.encoders.items()},
        "token_s": Frames.STRIDE * inputs["hop"] / inputs["rate"],
        "kinds": {m: facts["kind"] for m, facts in found.facts.items()},
    }
    save_codes(job.outputs["codes"], found.held.codes, about)
    folder = Path(job.outputs["weights"]).parent
    save_model(folder, found.model, {**job.key, "facts": found.facts, "options": job.options})


def load_model(folder: str | Path, device: str = "cpu") -> Any:
    """The model that `save_model` wrote, in eval mode."""
    from safetensors.torch import load_file as load_tensors

    from mindgap.codebook.model import TwoPaths

    about = json.loads((Path(folder) / "codebook.json").read_text(encoding="utf-8"))
    model = TwoPaths(about["facts"], about["options"], about["options"]["seed"])
    model.load_state_dict(load_tensors(Path(folder) / "model.safetensors"))
    return model.eval().to(device)
