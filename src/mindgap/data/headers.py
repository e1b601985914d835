"""Shape and type of an array from the header of its file, without reading the array."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import IO

from mindgap.runtime.errors import UserError

_REAL = "fiu"  # numpy's kinds of real numbers
_KINDS = ".npy, .npz or .safetensors"


def array_header(address: str) -> tuple[tuple[int, ...], str]:
    """Shape and numpy's name of the type of one array; `file.npz#key` names one of several."""
    path, _, key = address.partition("#")
    readers = {".npy": _npy, ".npz": _npz, ".safetensors": _safetensors}
    suffix = Path(path).suffix
    if suffix not in readers:
        raise UserError(
            f"{path}: files ending in {suffix or 'nothing'} are not read; give {_KINDS}"
        )
    try:
        with open(path, "rb") as stream:
            return readers[suffix](stream, key, path)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read as {suffix}: {error or 'it ends early'}") from error


def is_real(kind: str) -> bool:
    """Whether numbers of a type are real ones."""
    return kind.lstrip("<>=|")[:1] in _REAL or kind.startswith(("F", "I", "U", "BF"))


def _npy(stream: IO[bytes], key: str, path: str) -> tuple[tuple[int, ...], str]:
    from numpy.lib import format as npy

    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype.str


def _npz(stream: IO[bytes], key: str, path: str) -> tuple[tuple[int, ...], str]:
    with zipfile.ZipFile(stream) as arrays:
        names = [name.removesuffix(".npy") for name in arrays.namelist()]
        with arrays.open(f"{choose(names, key, path)}.npy") as array:
            return _npy(array, key, path)


def _safetensors(stream: IO[bytes], key: str, path: str) -> tuple[tuple[int, ...], str]:
    size = int.from_bytes(stream.read(8), "little")
    if size > Path(path).stat().st_size:
        raise ValueError("its header is damaged")
    header = json.loads(stream.read(size))
    names = [name for name in header if name != "__metadata__"]
    one = header[choose(names, key, path)]
    return tuple(one["shape"]), one["dtype"]


def choose(names: list[str], key: str, path: str) -> str:
    """The array that an address names; a file of one needs no name."""
    if not key and len(names) == 1:
        return names[0]
    if key not in names:
        asked = f"no array called {key!r}" if key else f"{len(names)} arrays"
        raise UserError(f"{path} holds {asked} (it has: {', '.join(names)}); name one: {path}#key")
    return key
