"""Linear, rectifying and classic sigmoid activations, sets, and softmax: variants, and gaps in mpmath's arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from activation_cases.arithmetic import dilog, t_log_t

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("linear", {"slope": 0.7, "bias": 0.3}),
    ("linear", {"slope": 2.5, "bias": -1.0}),
    ("linear", {"slope": 0.0, "bias": 0.5}),
    ("linear", {"slope": -0.5, "bias": 0.2}),
    ("relu", {"slope": 0.3, "bias": 0.7}),
    ("relu", {"slope": 3.0, "bias": -0.7}),
    ("relu", {"slope": 0.0, "bias": 0.4}),
    ("relu", {"slope": 0.0, "bias": -0.4}),
    ("relu", {"slope": -1.0}),
    ("leaky_relu", {"slope": 0.0}),
    ("leaky_relu", {"slope": 3.0}),
    ("leaky_relu", {"slope": -1.0}),
    ("prelu", {"slope": 1.0}),
    ("tanh", {"scale": 0.7}),
    ("tanh", {"scale": 3.0}),
    ("tanh", {"scale": 0.0}),
    ("tanh", {"scale": -0.5}),
    ("elu", {"alpha": 0.3}),
    ("elu", {"alpha": 2.5}),
    ("elu", {"alpha": 0.0}),
    ("elu", {"alpha": -0.5}),
    ("softplus_beta", {"beta": 0.3}),
    ("softplus_beta", {"beta": 10.0}),
    ("softmax", {"gain": 0.4}),
    ("softmax", {"gain": 6.0}),
    ("softmax", {"gain": -1.5}),
    ("box", {"lower": -0.3, "upper": 0.7}),
    ("box", {"lower": 0.0, "upper": np.inf}),
    ("box", {"lower": [-1.0, 0.5, -np.inf], "upper": [1.0, 0.5, 2.0]}),
    ("singleton", {"point": [0.5, -2.0, 1.0]}),
    ("simplex", {"total": 2.5}),
    ("ball", {"radius": 2.0, "center": 0.5}),
    ("ball", {"radius": 0.5, "center": [1.0, -1.0, 0.0, 2.0]}),
    ("halfspace", {"normal": [1.0, -2.0, 0.5], "offset": 0.3}),
    ("affine", {"matrix": [[1.0, 2.0, -1.0, 0.5], [0.0, 1.0, 1.0, 1.0]], "offset": [1.0, -0.5]}),
    ("affine", {"matrix": [[1.0, 0.0], [0.0, 2.0]], "offset": [1.0, 1.0]}),
    ("polyhedron", {"matrix": [[1.0, 1.0, 1.0], [-1.0, 0.0, 0.5], [0.0, -2.0, 1.0]], "offset": [1.0, 0.5, 0.25]}),
    ("polyhedron", {"matrix": [[1.0, 1.0], [-1.0, -1.0], [1.0, 0.0], [-1.0, 0.0]], "offset": [1.0, -1.0, 1.0, 0.0]}),
]


def identity_gap(a: Any, x: Any, v: Any) -> Any:
    return (x - v) ** 2 / 2


def linear_gap(a: Any, x: Any, v: Any) -> Any:
    return (x - mpf(a.slope) * v - mpf(a.bias)) ** 2 / (2 * mpf(a.slope))


def relu_gap(a: Any, x: Any, v: Any) -> Any:
    s, b = mpf(a.slope), mpf(a.bias)
    return (x * x / 2 - b * x) / s + max(s * v + b, 0) ** 2 / (2 * s) - x * v


def two_slope_gap(a: Any, x: Any, v: Any) -> Any:
    own = x * x / 2 if x >= 0 else x * x / (2 * mpf(a.slope))
    return own + (v * v / 2 if v >= 0 else mpf(a.slope) * v * v / 2) - x * v


def interval_gap(a: Any, x: Any, v: Any) -> Any:
    low, high = (mpf(float(end)) for end in a.ends)
    p = min(max(v, low), high)
    return x * x / 2 + v * p - p * p / 2 - x * v


def sigmoid_gap(a: Any, x: Any, v: Any) -> Any:
    softplus = max(v, 0) + mpmath.log1p(mpmath.exp(-abs(v)))
    return t_log_t(x) + t_log_t(1 - x) + softplus - x * v


def tanh_gap(a: Any, x: Any, v: Any) -> Any:
    y = x / mpf(a.scale)
    primitive = abs(v) + mpmath.log1p(mpmath.exp(-2 * abs(v))) - mpmath.log(2)
    return mpf(a.scale) * ((t_log_t(1 + y) + t_log_t(1 - y)) / 2 + primitive - y * v)


def arctan_gap(a: Any, x: Any, v: Any) -> Any:
    return -mpmath.log(mpmath.cos(x)) + v * mpmath.atan(v) - mpmath.log(1 + v * v) / 2 - x * v


def softsign_gap(a: Any, x: Any, v: Any) -> Any:
    return -abs(x) - mpmath.log(1 - abs(x)) + abs(v) - mpmath.log(1 + abs(v)) - x * v


def elu_gap(a: Any, x: Any, v: Any) -> Any:
    alpha = mpf(a.alpha)
    own = x * x / 2 if x >= 0 else alpha * t_log_t(1 + x / alpha) - x
    return own + (v * v / 2 if v > 0 else alpha * (mpmath.expm1(v) - v)) - x * v


def softplus_gap(a: Any, x: Any, v: Any) -> Any:
    b = mpf(a.beta)
    y, w = b * x, b * v
    own = y * y / 2 + dilog(mpmath.exp(-y)) - mpmath.pi**2 / 6
    drive = w * w / 2 + mpmath.pi**2 / 6 + dilog(-mpmath.exp(-w)) if w > 0 else -dilog(-mpmath.exp(w))
    return (own + drive - y * w) / b**2


def softmax_gap(a: Any, x: list[Any], v: list[Any]) -> Any:
    """At x rescaled to the sum 1."""
    gain, total = mpf(a.gain), mpmath.fsum(x)
    x = [t / total for t in x]
    log_sum = mpmath.log(mpmath.fsum(mpmath.exp(gain * t) for t in v))
    return (mpmath.fsum(t_log_t(t) for t in x) + log_sum) / gain - mpmath.fdot(x, v)


def ball_gap(a: Any, x: list[Any], v: list[Any]) -> Any:
    """At the point of the ball nearest to x."""
    center = [mpf(float(t)) for t in np.broadcast_to(a.center, len(x))]

    def project(z: list[Any]) -> list[Any]:
        offset = [s - c for s, c in zip(z, center, strict=True)]
        length = mpmath.norm(offset)
        if length <= a.radius:
            return z
        return [c + mpf(a.radius) * t / length for c, t in zip(center, offset, strict=True)]

    x, p = project(x), project(v)
    return mpmath.fsum(s * s / 2 + t * q - q * q / 2 - s * t for s, t, q in zip(x, v, p, strict=True))


GAPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "identity": identity_gap,
    "linear": linear_gap,
    "relu": relu_gap,
    "leaky_relu": two_slope_gap,
    "prelu": two_slope_gap,
    **dict.fromkeys(("hard_tanh", "relu6", "nonnegative", "box", "singleton"), interval_gap),
    "sigmoid": sigmoid_gap,
    "tanh": tanh_gap,
    "arctan": arctan_gap,
    "softsign": softsign_gap,
    "elu": elu_gap,
    "softplus_beta": softplus_gap,
}

VECTOR_GAPS: dict[str, Callable[[Any, list[Any], list[Any]], Any]] = {"softmax": softmax_gap, "ball": ball_gap}
