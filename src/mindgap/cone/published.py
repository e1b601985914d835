"""Our curves and tables beside the published ones, in standard errors of the difference."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mindgap.cone.kernels import cap_log2, first_layer_shift

_CELL = ["activation", "bias", "block", "width"]


def depth_table(found: np.ndarray, cells: list[dict], closed: list[np.ndarray]) -> pd.DataFrame:
    """One row per kind of network and depth: mean, sd, lowest and highest over the seeds.

    `found` has the shape (cells, depth + 1, seeds); `closed` holds the curve of infinite width of
    each cell, NaN where there is none.
    """
    tables = []
    for cell, values, curve in zip(cells, found, closed, strict=True):
        many = values.shape[1] > 1
        columns = {
            "depth": np.arange(len(values)),
            "seeds": values.shape[1],
            "mean": values.mean(axis=1),
            "sd": values.std(axis=1, ddof=1) if many else np.nan,
            "low": values.min(axis=1),
            "high": values.max(axis=1),
            "closed_form": curve,
        }
        tables.append(pd.DataFrame({**cell, **columns}))
    return pd.concat(tables, ignore_index=True)


def compare_depth(table: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Every published point of Fig 2b beside ours, with `z`, the distance in standard errors.

    A reference row has source, activation, bias, depth, value, `sd` over its seeds (empty where not
    known: ours stands in), `seeds` (1: a single draw; 0: a closed form without error) and
    `reading`, half a unit of its last digit or the error of reading a plot, which is taken off the
    distance first. `error`, one standard error, is that of the difference of two means of seeds, so
    that a single draw is judged by the scatter of single seeds. To a closed form after one layer
    the first-order effect of a finite width is added.
    """
    plain = table[(table["block"] == "plain") & (table["width"] == 512)]
    keys = ["activation", "bias", "depth"]
    joined = reference.merge(plain, on=keys, suffixes=("_published", ""))
    # The closed form is for infinite width; the first layer is sharp enough to see the difference.
    exact = (joined["source"] == "closed form") & (joined["depth"] == 1)
    joined["value"] += np.where(exact, first_layer_shift(512), 0)
    theirs = joined["sd_published"].fillna(joined["sd"])
    counts = joined["seeds_published"].replace(0, np.inf)
    error = np.sqrt(joined["sd"] ** 2 / joined["seeds"] + theirs**2 / counts)
    off = joined["mean"] - joined["value"]
    joined["z"] = _signed_z(off, joined["reading"], error)
    joined["error"] = error
    columns = ["source", *keys, "value", "seeds_published", "reading", "mean", "sd", "seeds", "z"]
    return joined[[*columns, "error"]]


def worst_by_curve(points: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Number of points of each curve and the largest distance among them, in standard errors."""
    groups = points.assign(z=points["z"].abs()).groupby(by, sort=False)["z"]
    return groups.agg(["size", "max"]).reset_index().set_axis([*by, "points", "z"], axis=1)


def compare_growth(table: pd.DataFrame, reference: pd.DataFrame, draws: int = 2000) -> pd.DataFrame:
    """Theorem 1's re-run shares and mean cosines beside ours; columns as in `compare_depth`.

    The reference has 2,000 draws. A share p of n draws has the error sqrt(p (1 - p) / n); p is
    kept one draw away from 0 and 1, where that is zero.
    """
    joined = reference.merge(table, on=["width", "ratio", "cosine"])
    share = joined["quantity"] == "grew"
    joined["ours"] = np.where(share, joined["grew"], joined["after_mean"])
    p = np.clip(joined["ours"], 1 / draws, 1 - 1 / draws)
    spread = np.where(share, p * (1 - p), joined["after_sd"] ** 2)
    error = np.sqrt(spread / draws + spread / joined["draws"])
    joined["z"] = _signed_z(joined["ours"] - joined["value"], joined["reading"], error)
    joined["error"] = error
    columns = ["theorem", "quantity", "width", "ratio", "cosine", "value", "ours", "z"]
    return joined[[*columns, "reading", "error"]]


def compare_variance(table: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Theorem 2's re-run ratios beside ours; its error is that of ours over as many units."""
    joined = reference.merge(table, on="layer", suffixes=("_published", ""))
    ratio = joined["quantity"] == "ratio"
    joined["ours"] = np.where(ratio, joined["ratio"], joined["beta"])
    error = np.sqrt(joined["ratio_se"] ** 2 + joined["ratio_units_se"] ** 2)
    joined["z"] = _signed_z(joined["ours"] - joined["value"], joined["reading"], error)
    joined["error"] = error
    return joined[["theorem", "quantity", "layer", "value", "ours", "z", "reading", "error"]]


def _signed_z(off: pd.Series, reading: pd.Series, error: pd.Series) -> pd.Series:
    beyond = np.maximum(off.abs() - reading - 1e-12, 0)
    # Where nothing scatters, any distance beyond the reading error is infinitely many errors.
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(beyond == 0, 0.0, beyond / error)
    return np.sign(off) * z


def cap_table(cosine: float, dimensions: list[int]) -> pd.DataFrame:
    """Share of the sphere inside a cone of full angle arccos(cosine), by dimension (sec. 2.1)."""
    log2 = [cap_log2(cosine, d) for d in dimensions]
    angle = np.degrees(np.arccos(cosine))
    shares = np.exp2(log2)  # 0 where it underflows
    return pd.DataFrame(
        {"cosine": cosine, "angle": angle, "dimension": dimensions, "share": shares, "log2": log2}
    )
