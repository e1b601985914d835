"""The contrastive loss while the gap is opened and closed, for rows of any length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mindgap.gap.cosines import unit_rows
from mindgap.inputs import two_modalities
from mindgap.runtime.extras import extra
from mindgap.shift import landscape as engine

if TYPE_CHECKING:
    import pandas as pd

#: Logit scales of the published figure.
INVERSE_TEMPERATURES = (100, 50, 30, 20, 10, 1)


@dataclass(frozen=True)
class LossLandscape:
    """Loss and signed distance over shifts and temperatures.

    Attributes
    ----------
    shifts, inverse_temperatures
        The grid: (S,) lengths along the unit gap vector, (T,) logit scales.
    distance
        (S,) signed distance of the means: below zero where the modalities have changed places.
    loss_ab, loss_ba
        (S, T) contrastive loss from the first modality to the second and back.
    """

    shifts: np.ndarray
    inverse_temperatures: np.ndarray
    distance: np.ndarray
    loss_ab: np.ndarray
    loss_ba: np.ndarray

    @property
    def loss(self) -> np.ndarray:
        """Mean of both directions, (S, T): the loss that CLIP is trained with."""
        return (self.loss_ab + self.loss_ba) / 2

    def to_frame(self) -> pd.DataFrame:
        """One row per shift and temperature."""
        import pandas as pd

        shifts, scales = np.meshgrid(self.shifts, self.inverse_temperatures, indexing="ij")
        return pd.DataFrame(
            {
                "shift": shifts.ravel(),
                "inverse_temperature": scales.ravel(),
                "distance": np.repeat(self.distance, len(self.inverse_temperatures)),
                "loss_ab": self.loss_ab.ravel(),
                "loss_ba": self.loss_ba.ravel(),
                "loss": self.loss.ravel(),
            }
        )

    def minima(self) -> pd.DataFrame:
        """Where the loss is lowest: one row per temperature."""
        table = self.to_frame()
        lowest = table.loc[table.groupby("inverse_temperature")["loss"].idxmin()]
        return lowest.sort_values("inverse_temperature", ascending=False).reset_index(drop=True)

    def __str__(self) -> str:
        columns = ["inverse_temperature", "shift", "distance", "loss"]
        return f"lowest loss by temperature\n{self.minima()[columns].to_string(index=False)}"

    def plot(self, ax: Any = None) -> Any:
        """Draw the loss over the signed distance, one line per temperature; returns the axes.

        Each line is divided by its value at the shift nearest to 0, so that all fit into one frame.
        """
        with extra("plot", "plots need"):
            import matplotlib.pyplot as plt

        ax = ax or plt.subplots()[1]
        still = int(np.abs(self.shifts).argmin())
        for scale, losses in zip(self.inverse_temperatures, self.loss.T, strict=True):
            ax.plot(self.distance, losses / losses[still], label=f"1/tau = {scale:g}")
        ax.axvline(self.distance[still], color="0.6", linestyle="--", linewidth=1)
        ax.set(xlabel="signed distance of the means", ylabel="loss / loss as it is", yscale="log")
        ax.legend()
        return ax


def landscape(
    first: Any,
    second: Any = None,
    *,
    shifts: Sequence[float] | np.ndarray | None = None,
    inverse_temperatures: Sequence[float] = INVERSE_TEMPERATURES,
    sides: Literal["both", "a", "b"] = "both",
    batch: int | None = None,
    threads: int = 2,
) -> LossLandscape:
    """Compute the contrastive loss while the gap is opened and closed (Liang et al. 2022, Fig. 3).

    Rows are L2-normalised, moved along the unit gap vector u to N(x - d/2 u) and N(y + d/2 u), and
    the loss is the cross-entropy of the matched pairs. Positive shifts close the gap.

    Parameters
    ----------
    first, second
        (n, d) rows of two modalities, of any norm, or a mapping of two, as in `measure`.
    shifts
        Lengths d; by default -1 to 1.5 in steps of 0.05.
    inverse_temperatures
        Logit scales 1/tau.
    sides
        `both` moves each modality by half a shift, `a` or `b` moves one alone.
    batch
        Consecutive pairs that share a loss (published: 50); None makes all pairs one batch.
    threads
        Threads; they change no number.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.standard_normal((50, 8))
    >>> found = landscape(shared + 1, shared - 1)
    >>> found.loss.shape
    (51, 6)
    """
    rows = two_modalities(first, second)
    if shifts is None:
        shifts = np.arange(-20, 31) / 20
    found = engine.landscape(
        *(unit_rows(each) for each in rows.values()),
        np.asarray(shifts, float),
        np.asarray(inverse_temperatures, float),
        sides=sides,
        batch=batch,
        threads=threads,
    )
    return LossLandscape(found.shifts, found.scales, found.distance, found.loss_ab, found.loss_ba)
