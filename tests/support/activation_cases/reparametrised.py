"""Scaled sigmoids, elus, softpluses and silus: variants, and gaps in mpmath's arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import mpf

from activation_cases.arithmetic import dilog, t_log_t

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("logistic", {"slope": 0.6, "bias": 0.8}),
    ("logistic", {"slope": 7.0, "bias": -1.5}),
    ("logistic", {"slope": 0.0, "bias": 1.5}),
    ("logistic", {"slope": -2.0, "bias": 0.5}),
    ("heaviside_approx", {"epsilon": 0.03}),
    ("heaviside_approx", {"epsilon": 1.7}),
    ("celu", {"alpha": 0.3}),
    ("celu", {"alpha": 2.4}),
    ("softplus", {"scale": 0.3}),
    ("softplus", {"scale": 3.0}),
    ("softplus", {"scale": 0.0}),
    ("softplus", {"scale": -1.0}),
    ("swish", {"scale": 0.7, "beta": 3.0}),
    ("swish", {"scale": -1.5, "beta": -0.9}),
    ("swish", {"scale": 0.0, "beta": 2.0}),
    ("swish", {"scale": 1.4, "beta": 0.0}),
    ("swish", {"scale": 3.0, "beta": 0.0}),
    ("swish", {"scale": -1.0, "beta": 0.0}),
]


def softplus(v: Any) -> Any:
    return max(v, 0) + mpmath.log1p(mpmath.exp(-abs(v)))


def logistic_terms(x: Any, u: Any, digits: int = 400) -> Any:
    """The gap of the sigmoid, with enough digits for a steep drive u."""
    with mpmath.workdps(max(mpmath.mp.dps, digits)):
        return t_log_t(x) + t_log_t(1 - x) + softplus(u) - x * u


def logistic_gap(a: Any, x: Any, v: Any) -> Any:
    if a.slope == 0:
        return mpf(0)
    return logistic_terms(x, mpf(a.slope) * v + mpf(a.bias)) / mpf(a.slope)


def heaviside_gap(a: Any, x: Any, v: Any) -> Any:
    with mpmath.workdps(max(mpmath.mp.dps, 400)):
        return mpf(a.epsilon) * logistic_terms(x, v / mpf(a.epsilon))


def bipolar_gap(a: Any, x: Any, v: Any) -> Any:
    return t_log_t(1 + x) + t_log_t(1 - x) + abs(v) + 2 * mpmath.log1p(mpmath.exp(-abs(v))) - 2 * mpmath.log(2) - x * v


def bent_gap(line: Any, depth: Any, rate: Any, x: Any, v: Any) -> Any:
    """The gap of r(v) = line v for v > 0, depth (e^(rate v) - 1) for v <= 0."""
    own = x * x / (2 * line) if x >= 0 else (depth * t_log_t(1 + x / depth) - x) / rate
    return own + (line * v * v / 2 if v > 0 else depth * (mpmath.expm1(rate * v) / rate - v)) - x * v


def selu_gap(a: Any, x: Any, v: Any) -> Any:
    scale, alpha = mpf(1.0507009873554805), mpf(1.6732632423543772)
    return bent_gap(scale, scale * alpha, mpf(1), x, v)


def printed_selu_gap(a: Any, x: Any, v: Any) -> Any:
    return bent_gap(mpf(0.03413631), mpf(0.03413631), mpf(1), x, v)


def celu_gap(a: Any, x: Any, v: Any) -> Any:
    return bent_gap(mpf(1), mpf(a.alpha), 1 / mpf(a.alpha), x, v)


def softplus_terms(y: Any, v: Any) -> Any:
    own = y * y / 2 + dilog(mpmath.exp(-y)) - mpmath.pi**2 / 6
    return own + (v * v / 2 + mpmath.pi**2 / 6 + dilog(-mpmath.exp(-v)) if v > 0 else -dilog(-mpmath.exp(v))) - y * v


def softplus_gap(a: Any, x: Any, v: Any) -> Any:
    return mpf(a.scale) * softplus_terms(x / mpf(a.scale), v) if a.scale else mpf(0)


def log_sigmoid_gap(a: Any, x: Any, v: Any) -> Any:
    return softplus_terms(-x, -v)


def swish_gap(a: Any, x: Any, v: Any) -> Any:
    return (x - mpf(a.scale) * v / 2) ** 2 / mpf(a.scale) if a.scale else mpf(0)


GAPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "logistic": logistic_gap,
    "heaviside_approx": heaviside_gap,
    "bipolar_sigmoid": bipolar_gap,
    "selu": selu_gap,
    "selu_as_printed": printed_selu_gap,
    "celu": celu_gap,
    "softplus": softplus_gap,
    "log_sigmoid": log_sigmoid_gap,
    "swish": swish_gap,
}
