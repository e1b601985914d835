"""Files of embeddings as the commands take them."""

from __future__ import annotations

from typing import Any

from mindgap.runtime.errors import UserError

#: What the help of a command says of its files.
FILES = "NAME=FILE or FILE; .npy, .npz#key or .safetensors#key of shape (n, d), row i beside row i."


def name_files(files: list[str]) -> dict[str, str]:
    """Modality -> file, from `NAME=FILE` or from files, which are called image and text."""
    usual = ("image", "text")
    given = [file.partition("=") if "=" in file else ("", "=", file) for file in files]
    if len(given) > len(usual) and not all(name for name, _, _ in given):
        raise UserError(
            "with more than two files give each a name: image=a.npy text=b.npy audio=c.npy"
        )
    places: dict[str, str] = {}
    for place, (name, _, file) in enumerate(given):
        name = name or usual[place]
        if name in places:
            raise UserError(f"two files are called {name}; give each modality a name of its own")
        places[name] = file
    return places


def read_files(files: list[str]) -> dict[str, Any]:
    """Modality -> rows."""
    from mindgap.embed.arrays import read_array

    return {name: read_array(file) for name, file in name_files(files).items()}
