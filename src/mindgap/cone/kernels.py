"""Closed forms: cosines in infinitely wide random layers, and how much of a sphere a cone covers.

In the limit of width the entries of W x + b are normal over the draw of W and b, so that two rows
with second moments q and cosine r before the activation have, after it, the second moment
V = E f(s)^2 and the cosine E f(s) f(t) / V for normal s, t of variance q and correlation r.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import betaincc, betaln, erf, expit, hyp2f1

from mindgap.runtime.errors import UserError

#: Variance of a bias in units of 1/width: N(0, 1/width), U(+-width^-1/2), none.
BIAS_VARIANCE = {"normal": 1.0, "uniform": 1 / 3, "none": 0.0}

_SMOOTH: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": expit,
    "tanh": np.tanh,
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "quick_gelu": lambda x: x * expit(1.702 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def relu_kernel(r: np.ndarray | float) -> np.ndarray | float:
    """Cosine after a wide ReLU layer, k(r) = (sqrt(1 - r^2) + r (pi - arccos r)) / pi.

    Cho and Saul, NeurIPS 2009: the arc-cosine kernel of degree 1.
    """
    r = np.clip(r, -1, 1)
    return (np.sqrt(1 - r**2) + r * (np.pi - np.arccos(r))) / np.pi


def first_layer_shift(width: int) -> float:
    """What a finite width adds to the mean cosine after one ReLU layer: 5 / (4 pi width).

    For standard normal inputs, to first order in 1/width. Two inputs have a cosine r of variance
    1/width around 0, which adds k''(0) / 2 = 1 / (2 pi). And the cosine is a ratio of sums over
    the width: by the delta method E A / sqrt(B C) = c (1 + 3/8 (5 + 5) / w - 1/2 (3 + 3) / w),
    with 5 / w and 3 / w the relative (co)variances of B = mean X^2 with itself and with
    A = mean XY for rectified normals, which adds 3/4 k(0) = 3 / (4 pi).
    """
    return 5 / (4 * np.pi * width)


def dual(activation: str, q: float, r: float) -> tuple[float, float]:
    """Second moment and cosine after an activation, for inputs of second moment q and cosine r.

    Exact for none, ReLU and leaky ReLU (slope a: E f f = ((1 - a)^2 k(r) + 2 a r) q / 2), and by
    Gauss-Hermite quadrature with 80 x 80 nodes for the smooth ones.
    """
    if activation in ("none", "relu", "leaky_relu"):
        slope = {"none": 1.0, "relu": 0.0, "leaky_relu": 0.01}[activation]
        moment = q * (1 + slope**2) / 2
        both = q / 2 * ((1 - slope) ** 2 * relu_kernel(r) + 2 * slope * r)
        return moment, both / moment
    if activation not in _SMOOTH:
        raise UserError(f"no closed form for the activation {activation!r}")
    f, std = _SMOOTH[activation], np.sqrt(q)
    values = f(std * _NODES)
    second = r * _NODES[:, None] + np.sqrt(max(1 - r * r, 0.0)) * _NODES
    mean = f(std * second) @ _WEIGHTS  # E f(t) given s
    moment = float(_WEIGHTS @ values**2)
    return moment, float(_WEIGHTS @ (values * mean)) / moment


def depth_curve(activation: str, bias: str, depth: int, inputs: int, width: int) -> np.ndarray:
    """Mean cosine after 0..depth wide plain layers, a row's pair with itself included: (depth+1,).

    Rows start as standard normal vectors of the given width: q_0 = width, c_0 = 0, and before
    each activation r = (q c + v) / (q + v) with v the bias variance times the width. (For matrix
    entries N(0, 1/width), an entry of W x has the variance q / width.) The diagonal adds
    (1 - c) / inputs. NaN for maxout, which has no such form here.
    """
    if activation == "maxout":
        return np.full(depth + 1, np.nan)
    v, q, c = BIAS_VARIANCE[bias], float(width), 0.0
    curve = [c]
    for _ in range(depth):
        # q and v are sums over the width; one entry has the share 1/width of each.
        moment, c = dual(activation, (q + v) / width, (q * c + v) / (q + v))
        q = moment * width
        curve.append(c)
    found = np.array(curve)
    return found + (1 - found) / inputs


def wide_cosine(ratio: float, cosine: float) -> float:
    """Cosine of two inputs after one infinitely wide ReLU layer (Theorem 1's exact value).

    |v| = 1, |u| = ratio, biases N(0, 1/width): k(rho) with
    rho = (1 + u.v) / sqrt((1 + |u|^2) (1 + |v|^2)).
    """
    rho = (1 + ratio * cosine) / np.sqrt((1 + ratio**2) * 2)
    return float(relu_kernel(rho))


def cosine_bound(ratio: float) -> float:
    """Theorem 1's bound 2r / (1 + r^2): start cosines below it grow in a wide ReLU layer."""
    return 2 * ratio / (1 + ratio**2)


def cap_log2(cosine: float, dimension: int) -> float:
    """log2 of the share of the sphere in R^dimension inside a cone of full angle arccos(cosine).

    The paper (sec. 2.1) takes the mean cosine for the full angle of the cone. A cap of half-angle
    t < pi/2 holds the share I(sin^2 t; (d - 1)/2, 1/2) / 2, with I the regularised incomplete beta
    function, which is evaluated in logarithms because it underflows in high dimensions.
    """
    if dimension < 2:
        raise UserError(f"dimension must be at least 2, got {dimension}")
    half = np.arccos(np.clip(cosine, -1, 1)) / 2
    a, x = (dimension - 1) / 2, np.sin(half) ** 2
    if x == 0:
        return -np.inf
    if a < 20:
        return float(np.log2(0.5 * (1 - betaincc(a, 0.5, x))))
    # I(x; a, b) = x^a (1 - x)^b / (a B(a, b)) 2F1(a + b, 1; a + 1; x)
    log = a * np.log(x) + 0.5 * np.log1p(-x) - np.log(a) - betaln(a, 0.5)
    return float((log + np.log(hyp2f1(a + 0.5, 1, a + 1, x))) / np.log(2) - 1)
