"""Weights that come as a pickle alone: read without running it, and kept as safetensors."""

from __future__ import annotations

from pathlib import Path

from mindgap.embed.checkpoint import choose_files
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import replacing

_INDEX = "pytorch_model.bin.index.json"


def convert_pickled(folder: str | Path) -> bool:
    """Rewrite the pickled weights of a checkpoint folder as model.safetensors, if it has no others.

    PyTorch's restricted reader (`weights_only=True`) makes tensors and plain containers and refuses
    whatever else a pickle may ask for. Tensors that share memory are stored apart. The pickles are
    deleted once the new file is there. True if anything was converted.
    """
    folder = Path(folder)
    names = [p.name for p in folder.iterdir() if p.is_file()]
    pickles = [folder / name for name in choose_files(names) if name.endswith(".bin")]
    if not pickles:
        return False
    from safetensors.torch import save_file

    weights = {}
    for path in pickles:
        weights |= _read(path)
    with replacing(folder / "model.safetensors") as part:
        save_file(weights, part, {"format": "pt"})
    for path in (*pickles, folder / _INDEX):
        path.unlink(missing_ok=True)
    return True


def drop_converted(folder: str | Path) -> None:
    """Remove what an earlier conversion has left beside pickles that were fetched again.

    Pickles are fetched only where a checkpoint offers nothing else.
    """
    if any(Path(folder).glob("pytorch_model*.bin")):
        for path in Path(folder).glob("*.safetensors"):
            path.unlink()


def _read(path: Path) -> dict:
    """Tensors by name, each with memory of its own."""
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each way of being no plain weights fails in its own way
        refused = "weights_only" in str(error) or "Weights only" in str(error)
        why = "it asks for more than tensors, which could run code" if refused else _line(error)
        raise UserError(
            f"{path} is not read ({why}); choose a revision of the checkpoint with safetensors"
        ) from error
    if not isinstance(found, dict) or not found:
        raise UserError(f"{path} holds no weights by name; choose another revision")
    for name, value in found.items():
        if not isinstance(value, torch.Tensor):
            raise UserError(
                f"{path}: {name!r} is no tensor but {type(value).__name__}; choose another revision"
            )
    return {name: value.contiguous().clone() for name, value in found.items()}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
