"""Two small worlds on the sphere in which the loss has a barrier (Liang et al., Fig 3e-g, Supp. 9).

World `azimuth`: six images on the equator, six texts on a circle of latitude that is tilted by an
angle; mismatched, the texts of the first two images are exchanged. World `rings`: nine images on a
ring at height z and nine texts below them at -z, two of the images close together. The loss is the
symmetric cross-entropy in float64, without any randomness.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

PAIRINGS = ("matched", "mismatched")
#: Exchange of the two close neighbours: none, as meant, and as the authors' code makes it, where
#: the tuple assignment of tensor elements overwrites one label with the other.
LABELS = {
    "matched": (0, 1, 2, 3, 4, 5, 6, 7, 8),
    "exchanged": (0, 1, 2, 8, 4, 5, 6, 7, 3),
    "exchanged as coded": (0, 1, 2, 8, 4, 5, 6, 7, 8),
}


def azimuths(spacing: float) -> np.ndarray:
    """Azimuths of the six images in degrees: -20, 0, 20, ... for a spacing of 20."""
    return np.arange(-1, 5) * spacing


def azimuth_points(spacing: float, pairing: str, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """Points of the world `azimuth`: images and texts, each (6, 3); text i belongs to image i.

    Images lie at polar angle 90 degrees, texts at 90 + `tilt`.
    """
    image = np.deg2rad(azimuths(spacing))
    text = image[[1, 0, 2, 3, 4, 5]] if pairing == "mismatched" else image
    return _on_sphere(image, np.pi / 2), _on_sphere(text, np.deg2rad(90 + tilt))


def _on_sphere(azimuth: np.ndarray, polar: float) -> np.ndarray:
    across = np.sin(polar)
    height = np.full_like(azimuth, np.cos(polar))
    return np.stack([np.cos(azimuth) * across, np.sin(azimuth) * across, height], axis=1)


def ring_points(height: float) -> tuple[np.ndarray, np.ndarray]:
    """Points of the world `rings`: images at `height` and texts at -`height`, each (9, 3)."""
    radius = np.sqrt(1 - height**2)
    half = radius / np.sqrt(2)
    last = radius * np.array([np.cos(1.53 * np.pi), np.sin(1.53 * np.pi)])
    flat = np.array(
        [
            (radius, 0),
            (-radius, 0),
            (0, radius),
            (0, -radius),
            (half, half),
            (-half, half),
            (half, -half),
            (-half, -half),
            last,
        ]
    )
    top = np.column_stack([flat, np.full(9, height)])
    return top, top * [1, 1, -1]


def symmetric_loss(
    images: np.ndarray, texts: np.ndarray, scale: float, labels: tuple[int, ...] | None = None
) -> float:
    """Mean of both cross-entropies of the logits `scale * images @ texts.T`.

    `labels[i]` is the right text of image i and the right image of text i (default: i).
    """
    logits = scale * images @ texts.T
    labels = np.arange(len(images)) if labels is None else np.asarray(labels)
    rows = np.arange(len(images))
    image_to_text = logsumexp(logits, axis=1) - logits[rows, labels]
    text_to_image = logsumexp(logits, axis=0) - logits[labels, rows]
    return float((image_to_text.mean() + text_to_image.mean()) / 2)


def closed_form(spacing: float, pairing: str, effective_scale: float) -> float:
    """Loss of the world `azimuth` as a function of one number, scale * cos(tilt).

    The cosine of image i and text j is cos(phi_i - phi_j) cos(tilt), so scale and tilt only enter
    as their product.
    """
    return symmetric_loss(*azimuth_points(spacing, pairing, 0.0), effective_scale)


def critical_scale(spacing: float) -> tuple[float, float]:
    """Return s* and the minimum of the mismatched world's closed form.

    Above s* (below the temperature 1/s*) the loss has a hump at tilt 0 and its minima lie at
    +-arccos(s*/s); at or below s* the loss is lowest where the modalities coincide.
    """
    found = minimize_scalar(
        lambda s: closed_form(spacing, "mismatched", s),
        bounds=(0.0, 200.0),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return float(found.x), float(found.fun)


def azimuth_table(spacings: list[float], scales: list[float]) -> pd.DataFrame:
    """Loss of the world `azimuth` for tilts of -90 to 90 degrees, one row per point."""
    rows = []
    for spacing in spacings:
        for pairing in PAIRINGS:
            for tilt in range(90, -91, -1):
                points = azimuth_points(spacing, pairing, tilt)
                distance = float(np.linalg.norm(points[0].mean(axis=0) - points[1].mean(axis=0)))
                rows += [
                    {
                        "spacing": spacing,
                        "pairing": pairing,
                        "tilt": tilt,
                        "distance": np.copysign(distance, tilt) if tilt else distance,
                        "inverse_temperature": scale,
                        "loss": symmetric_loss(*points, scale),
                    }
                    for scale in scales
                ]
    return pd.DataFrame(rows)


def ring_table(scales: list[float], heights: np.ndarray) -> pd.DataFrame:
    """Loss of the world `rings` for each height, labelling and scale, one row per point."""
    return pd.DataFrame(
        {
            "labels": name,
            "height": height,
            "inverse_temperature": scale,
            "loss": symmetric_loss(*ring_points(height), scale, labels),
        }
        for name, labels in LABELS.items()
        for height in heights
        for scale in scales
    )


def minima_table(table: pd.DataFrame) -> pd.DataFrame:
    """Where the curves of `azimuth_table` are lowest, beside the closed form.

    Columns spacing, inverse_temperature, critical_scale (s*), critical_loss, tilt (grid, not
    negative), tilt_closed_form, loss, loss_centre, hump (how far the loss falls from tilt 0).
    """
    rows = []
    curves = table[table["pairing"] == "mismatched"].groupby(
        ["spacing", "inverse_temperature"], sort=False
    )
    for (spacing, scale), curve in curves:
        star, floor = critical_scale(spacing)
        curve = curve[curve["tilt"] >= 0].sort_values("tilt")
        lowest = curve.loc[curve["loss"].idxmin()]
        centre = curve["loss"].iloc[0]
        rows.append(
            {
                "spacing": spacing,
                "inverse_temperature": scale,
                "critical_scale": star,
                "critical_loss": floor,
                "tilt": lowest["tilt"],
                "tilt_closed_form": float(np.rad2deg(np.arccos(min(1.0, star / scale)))),
                "loss": lowest["loss"],
                "loss_centre": centre,
                "hump": centre - lowest["loss"],
            }
        )
    return pd.DataFrame(rows)


def compare(reference: pd.DataFrame) -> pd.DataFrame:
    """Our loss beside every number of the reference table, and how far apart they are.

    `reference` has the columns world, pairing, spacing, position (tilt in degrees or height),
    inverse_temperature, reference. Adds loss and deviation.
    """
    losses = [
        symmetric_loss(*ring_points(row.position), row.inverse_temperature, LABELS[row.pairing])
        if row.world == "rings"
        else symmetric_loss(
            *azimuth_points(row.spacing, row.pairing, row.position), row.inverse_temperature
        )
        for row in reference.itertuples()
    ]
    return reference.assign(
        loss=losses, deviation=np.abs(np.array(losses) - reference["reference"])
    )


def closed_form_table(spacings: list[float], most: float, points: int = 401) -> pd.DataFrame:
    """The closed form over scale * cos(tilt) from 0 to `most`, one row per point."""
    return pd.DataFrame(
        {
            "spacing": spacing,
            "pairing": pairing,
            "effective_scale": scale,
            "loss": closed_form(spacing, pairing, scale),
        }
        for spacing in spacings
        for pairing in PAIRINGS
        for scale in np.linspace(0, most, points)
    )


def deviations(points: pd.DataFrame) -> pd.DataFrame:
    """Largest deviation of each curve of `compare`, one row per curve."""
    keys = ["world", "pairing", "spacing", "inverse_temperature"]
    curves = points.groupby(keys, sort=False, dropna=False)["deviation"]
    return curves.agg(points="size", deviation="max").reset_index()


def picture_table(spacing: float, tilt: float) -> pd.DataFrame:
    """Points of the mismatched world `azimuth`, one row per point: modality, pair, x, y, z."""
    worlds = zip(("image", "text"), azimuth_points(spacing, "mismatched", tilt), strict=True)
    return pd.DataFrame(
        {"modality": modality, "pair": pair, "x": x, "y": y, "z": z}
        for modality, points in worlds
        for pair, (x, y, z) in enumerate(points, start=1)
    )
