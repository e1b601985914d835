"""A fitted way of changing the gap, saved as one file and applied to rows anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from mindgap import __version__
from mindgap.downstream.methods import Affine, find_method
from mindgap.downstream.rows import UnitRows
from mindgap.gap.cosines import unit_rows
from mindgap.inputs import as_rows, named_rows
from mindgap.runtime.errors import UserError
from mindgap.runtime.files import replacing

FORMAT = 1
BLOCK = 1 << 14  # rows mapped at a time


class ModalityMap(TransformerMixin, BaseEstimator):
    """Map that changes the gap between two modalities, with scikit-learn's conventions.

    A row z of modality m becomes (z/|z| - c_m) W_m + t_m, where W_m is a number, a vector of
    factors or a matrix, as the method learns it from matched rows; see
    `mindgap.downstream.methods`.

    Parameters
    ----------
    method
        Name of a method, such as `"centring"`; `mindgap methods` lists them.
    modalities
        Names of the two modalities, in the order in which `fit` takes their rows.
    renormalise
        Whether mapped rows are L2-normalised again. True, the default, makes dot products cosines,
        which is what most indices compute. False keeps the lengths that the method leaves: dot
        products then favour rows that lie far from the centre.
    modality
        Modality that `transform` maps if it is not told, so that the map can stand in a pipeline.
        None means the first one.

    Attributes
    ----------
    sides_
        Modality -> the affine map of its unit rows.
    n_features_in_
        Dimension of the rows.
    fit_on_
        What the map was fit on: `pairs`, and `mindgap`, the version.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.standard_normal((100, 16))
    >>> image, text = shared + 2, shared - 2
    >>> moved = ModalityMap("centring").fit(image, text)
    >>> moved.transform(image, "image").shape
    (100, 16)
    """

    def __init__(
        self,
        method: str = "centring",
        *,
        modalities: tuple[str, str] = ("image", "text"),
        renormalise: bool = True,
        modality: str | None = None,
    ) -> None:
        self.method = method
        self.modalities = modalities
        self.renormalise = renormalise
        self.modality = modality

    def fit(self, X: Any, y: Any) -> ModalityMap:
        """Learn the map from matched rows of both modalities.

        Parameters
        ----------
        X, y
            (n, d) rows of the first and of the second modality, of any norm. Row i of both is the
            same item. They are read in blocks, so memory-mapped arrays may exceed the memory.
        """
        a, b = self.modalities
        rows = named_rows({a: X, b: y})
        learn = find_method(self.method, rows[a].shape[1])
        pair = learn(*(UnitRows(each) for each in rows.values()))
        self.sides_ = dict(zip(rows, pair, strict=True))
        self.n_features_in_ = rows[a].shape[1]
        self.fit_on_ = {"pairs": len(rows[a]), "mindgap": __version__}
        return self

    def transform(self, X: Any, modality: str | None = None) -> np.ndarray:
        """Map rows of one modality; (n, d), float32 for float32 input and float64 for others."""
        which = self._which(modality)
        rows = as_rows(X, which, least=1)
        mapped = np.empty(rows.shape, np.result_type(rows.dtype, np.float32))
        for start, block in zip(range(0, len(rows), BLOCK), self.stream(rows, which), strict=True):
            mapped[start : start + BLOCK] = block
        return mapped

    def stream(self, rows: np.ndarray, modality: str | None = None) -> Iterator[np.ndarray]:
        """Yield the mapped rows in float64, a block at a time, without holding all of them."""
        which = self._which(modality)
        if rows.shape[1] != self.n_features_in_:
            raise UserError(
                f"{which}: rows of {rows.shape[1]} dimensions, but the map was fit on "
                f"{self.n_features_in_}"
            )
        for start in range(0, len(rows), BLOCK):
            block = self.sides_[which](unit_rows(rows[start : start + BLOCK]))
            if self.renormalise:
                block /= np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-300)
            yield block

    def save(self, path: str | Path) -> None:
        """Write the map to one safetensors file, whole or not at all."""
        from safetensors.numpy import save_file

        self._check_fitted()
        tensors = {
            f"{modality}.{name}": np.atleast_1d(np.asarray(value, np.float64))
            for modality, side in self.sides_.items()
            for name, value in side.parts().items()
        }
        about = {
            "format": FORMAT,
            "method": self.method,
            "modalities": list(self.modalities),
            "dimension": self.n_features_in_,
            "normalise": "l2",
            "renormalise": self.renormalise,
            "fit_on": self.fit_on_,
        }
        with replacing(path) as part:
            save_file(tensors, part, metadata={"mindgap": json.dumps(about, sort_keys=True)})

    def _check_fitted(self) -> None:
        if not hasattr(self, "sides_"):
            raise UserError("the map has learnt nothing yet: call fit(x, y) first")

    def _which(self, modality: str | None) -> str:
        self._check_fitted()
        name = modality or self.modality or self.modalities[0]
        if name not in self.sides_:
            known = " and ".join(self.sides_)
            raise UserError(f"the map knows {known}, not {name!r}: give one of them as modality")
        return name


def fit(
    method: str,
    x: Any,
    y: Any,
    *,
    modalities: tuple[str, str] = ("image", "text"),
    renormalise: bool = True,
) -> ModalityMap:
    """Fit a method on matched rows and return the map; see `ModalityMap`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.standard_normal((100, 16))
    >>> moved = fit("centring", shared + 2, shared - 2)
    >>> image, text = moved.transform(shared + 2, "image"), moved.transform(shared - 2, "text")
    >>> bool(np.linalg.norm(image.mean(axis=0) - text.mean(axis=0)) < 0.1)
    True
    """
    return ModalityMap(method, modalities=modalities, renormalise=renormalise).fit(x, y)


def load_map(path: str | Path) -> ModalityMap:
    """Read a map that `ModalityMap.save` wrote."""
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise UserError(f"{path}: no such file")
    nothing = f"{path} holds no map: write one with `mindgap fit` or ModalityMap.save"
    try:
        with safe_open(path, "np") as file:
            about = json.loads((file.metadata() or {}).get("mindgap", "{}"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{nothing} ({error})") from error
    if "method" not in about or "dimension" not in about:
        raise UserError(nothing)
    if about["format"] > FORMAT:
        raise UserError(f"{path} was written by a newer mindgap; upgrade to read it")
    found = ModalityMap(
        about["method"], modalities=tuple(about["modalities"]), renormalise=about["renormalise"]
    )
    found.sides_ = {
        modality: Affine.of(
            {k.rpartition(".")[2]: v for k, v in tensors.items() if k.startswith(f"{modality}.")}
        )
        for modality in about["modalities"]
    }
    found.n_features_in_ = about["dimension"]
    found.fit_on_ = about["fit_on"]
    return found
