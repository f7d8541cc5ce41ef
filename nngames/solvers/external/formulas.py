"""Activations as formulas for other array libraries, with the functions of that library as their alphabet."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nngames.activations import Activation

#: A function of the library's arrays (n,).
Response = Callable[[Any], Any]


@dataclass(frozen=True)
class Library:
    """An array library: the functions that maps and activations are written in.

    Attributes
    ----------
    name : str
        The package.
    asarray : callable
        A NumPy array, of numbers or of indices, as the library's.
    where, expm1, tanh, sin, arctan, erf, sqrt, abs, clip, relu, sigmoid, softplus : callable
        Of entries.
    softmax : callable
    descending, cumulative : callable
        The entries sorted; their running sums.
    concatenate, einsum : callable
    sparse : callable
        (matrix in SciPy's CSR form) -> (what the product needs, product), product(what, x) -> A x.
    """

    name: str
    asarray: Callable[..., Any]
    where: Callable[..., Any]
    expm1: Callable[..., Any]
    tanh: Callable[..., Any]
    sin: Callable[..., Any]
    arctan: Callable[..., Any]
    erf: Callable[..., Any]
    sqrt: Callable[..., Any]
    abs: Callable[..., Any]
    clip: Callable[..., Any]
    relu: Callable[..., Any]
    sigmoid: Callable[..., Any]
    softplus: Callable[..., Any]
    softmax: Callable[..., Any]
    descending: Callable[..., Any]
    cumulative: Callable[..., Any]
    concatenate: Callable[..., Any]
    einsum: Callable[..., Any]
    sparse: Callable[..., Any]


def response(library: Library, activation: Activation) -> Response | None:
    """Return r in the library, or None where it has no formula here."""
    write = FORMULAS.get(activation.name)
    return None if write is None else write(library, activation)


def _relu(xp: Library, a: Any) -> Response:
    if (a.slope, a.bias) == (1.0, 0.0):
        return xp.relu
    return lambda v: xp.relu(a.slope * v + a.bias)


def _leaky(xp: Library, a: Any) -> Response:
    return lambda v: xp.where(v >= 0, v, a.slope * v)


def _tanh(xp: Library, a: Any) -> Response:
    return xp.tanh if a.scale == 1.0 else lambda v: a.scale * xp.tanh(v)


def _softplus(xp: Library, a: Any) -> Response:
    return xp.softplus if a.scale == 1.0 else lambda v: a.scale * xp.softplus(v)


def _box(xp: Library, a: Any) -> Response:
    lower, upper = (end if isinstance(end, float) else xp.asarray(end) for end in (a.lower, a.upper))
    return lambda v: xp.clip(v, lower, upper)


def _exponential(xp: Library, outer: float, inner: float) -> Response:
    # The branch that is not taken must stay finite: its derivative is computed too.
    return lambda v: xp.where(v > 0, v, outer * xp.expm1(-xp.relu(-v) / inner))


def _selu(xp: Library) -> Response:
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    unscaled = _exponential(xp, alpha, 1.0)
    return lambda v: scale * unscaled(v)


def _gelu(xp: Library, a: Any) -> Response:
    return lambda v: a.scale * v * (0.5 + 0.5 * xp.erf(v * math.sqrt(0.5)))


def _gelu_tanh(xp: Library, a: Any) -> Response:
    return lambda v: a.scale * v / 2 * (1 + xp.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))


def _shrink(xp: Library, threshold: float) -> Response:
    return lambda v: xp.relu(v - threshold) - xp.relu(-v - threshold)


def _simplex(xp: Library, total: float) -> Response:
    def project(v: Any) -> Any:
        u = xp.descending(v)
        excess = xp.cumulative(u) - total
        counts = xp.cumulative(0.0 * u + 1.0)
        inside = xp.where(u * counts > excess, 1.0 + 0.0 * u, 0.0 * u)
        # The entries that stay positive are the largest ones.
        size = inside.sum()
        level = ((inside * u).sum() - total) / size
        return xp.relu(v - level)

    return project


def _ball(xp: Library, a: Any) -> Response:
    center = a.center if isinstance(a.center, float) else xp.asarray(a.center)

    def project(v: Any) -> Any:
        d = v - center
        squared = (d * d).sum()
        outside = squared > a.radius**2
        return center + d * xp.where(outside, a.radius / xp.sqrt(xp.where(outside, squared, 0.0 * squared + 1.0)), 1.0)

    return project


def _singleton(xp: Library, a: Any) -> Response:
    point = a.point if isinstance(a.point, float) else xp.asarray(a.point)
    return lambda v: 0.0 * v + point


#: Activation -> (library, activation) -> r in that library.
FORMULAS: dict[str, Callable[[Library, Any], Response]] = {
    "identity": lambda xp, a: lambda v: v,
    "linear": lambda xp, a: lambda v: a.slope * v + a.bias,
    "relu": _relu,
    "nonnegative": lambda xp, a: xp.relu,
    "leaky_relu": _leaky,
    "prelu": _leaky,
    "absolute_value": lambda xp, a: xp.abs,
    "hard_tanh": lambda xp, a: lambda v: xp.clip(v, -1.0, 1.0),
    "hard_sigmoid": lambda xp, a: lambda v: xp.clip(v / 6 + 0.5, 0.0, 1.0),
    "relu6": lambda xp, a: lambda v: xp.clip(v, 0.0, 6.0),
    "box": _box,
    "tanh": _tanh,
    "bipolar_sigmoid": lambda xp, a: lambda v: xp.tanh(v / 2),
    "sigmoid": lambda xp, a: xp.sigmoid,
    "logistic": lambda xp, a: lambda v: xp.sigmoid(a.slope * v + a.bias),
    "softplus": _softplus,
    "softplus_beta": lambda xp, a: lambda v: xp.softplus(a.beta * v) / a.beta,
    "log_sigmoid": lambda xp, a: lambda v: -xp.softplus(-v),
    "softsign": lambda xp, a: lambda v: v / (1 + xp.abs(v)),
    "arctan": lambda xp, a: xp.arctan,
    "sin": lambda xp, a: xp.sin,
    "isru": lambda xp, a: lambda v: v / xp.sqrt(1 + (1 + a.excess) * v * v),
    "squareplus": lambda xp, a: lambda v: (v + xp.sqrt(v * v + a.b)) / 2,
    "elu": lambda xp, a: _exponential(xp, a.alpha, 1.0),
    "celu": lambda xp, a: _exponential(xp, a.alpha, a.alpha),
    "selu": lambda xp, a: _selu(xp),
    "silu": lambda xp, a: lambda v: v * xp.sigmoid(v),
    "swish": lambda xp, a: lambda v: a.scale * v * xp.sigmoid(a.beta * v),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "softshrink": lambda xp, a: _shrink(xp, a.lambda_),
    "soft_threshold": lambda xp, a: _shrink(xp, a.threshold),
    "softmax": lambda xp, a: xp.softmax if a.gain == 1.0 else lambda v: xp.softmax(a.gain * v),
    "sparsemax": lambda xp, a: _simplex(xp, 1.0),
    "simplex": lambda xp, a: _simplex(xp, a.total),
    "ball": _ball,
    "singleton": _singleton,
}
