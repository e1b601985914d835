"""Embeddings that somebody else made: published features and a user's own arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mindgap.data.headers import choose
from mindgap.embed.store import Embeddings, check_rows
from mindgap.runtime.errors import UserError

_KINDS = ".npy, .npz or .safetensors"


def read_array(address: str) -> np.ndarray:
    """Read one numeric array from a .npy, .npz or .safetensors file.

    `file.npz#key` names one array of several. Pickled objects are refused, because reading them
    can run code.
    """
    path, _, key = str(address).partition("#")
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file")
    try:
        match Path(path).suffix:
            case ".npy":
                array = np.load(path, allow_pickle=False, mmap_mode="r")
            case ".npz":
                with np.load(path, allow_pickle=False) as arrays:
                    array = arrays[choose(list(arrays.files), key, path)]
            case ".safetensors":
                from safetensors import safe_open

                with safe_open(path, "np") as arrays:
                    array = arrays.get_tensor(choose(list(arrays.keys()), key, path))
            case suffix:
                raise UserError(f"{path}: {suffix or 'no suffix'} cannot be read; give {_KINDS}")
    except UserError:
        raise
    except Exception as error:
        pickled = "allow_pickle" in str(error) or "Python objects" in str(error)
        if pickled and Path(path).read_bytes()[:1] in (b"\x93", b"\x80", b"P"):
            raise UserError(
                f"{path} holds pickled Python objects, which can run code when they are read; "
                "save a plain numeric array with numpy.save"
            ) from error
        why = "it is none of them" if pickled else error
        raise UserError(f"{path} cannot be read as {_KINDS}: {why}") from error
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise UserError(f"{path} holds {array.dtype} values; embeddings are real numbers")
    return array


def features(path: str, modalities: list[str]) -> Embeddings:
    """Split a published feature array of shape (2, n, d) into its two modalities."""
    array = read_array(path)
    if array.ndim != 3 or len(array) != len(modalities):
        raise UserError(
            f"{path}: an array of shape {array.shape}, but features of {' and '.join(modalities)} "
            f"have the shape ({len(modalities)}, n, d)"
        )
    return Embeddings({m: np.asarray(array[k], np.float32) for k, m in enumerate(modalities)})


def own_arrays(files: dict[str, str]) -> Embeddings:
    """Read a user's own arrays, one file per modality."""
    rows = {}
    for modality, file in files.items():
        given, name = read_array(file), f"{modality} in {file}"
        check_rows(given, name)
        with np.errstate(over="ignore"):
            rows[modality] = np.asarray(given, np.float32)
        if not np.isfinite(rows[modality]).all() or not rows[modality].any(axis=1).all():
            raise UserError(f"{name}: values beyond the range of float32; scale the rows first")
    return Embeddings(rows)
