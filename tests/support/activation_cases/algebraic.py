"""Algebraic activations, soft exponentials and soft clipping: variants, and gaps in mpmath's arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import mpf

from activation_cases.arithmetic import dilog, t_log_t

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("squareplus", {"b": 0.3}),
    ("squareplus", {"b": 25.0}),
    ("isru", {"excess": -1.0}),
    ("isru", {"excess": -0.7}),
    ("isru", {"excess": 0.0}),
    ("isru", {"excess": 5.3}),
    ("isrlu", {"lambda_": 0.0}),
    ("isrlu", {"lambda_": 0.3}),
    ("isrlu", {"lambda_": 7.0}),
    ("bent_identity", {"scale": 0.3}),
    ("bent_identity", {"scale": 2.5}),
    ("bent_identity", {"scale": 0.0}),
    ("bent_identity", {"scale": -0.7}),
    ("soft_exponential", {"exponent": 0.0}),
    ("soft_exponential", {"exponent": 0.3}),
    ("soft_exponential", {"exponent": 1.2}),
    ("soft_exponential", {"exponent": 0.02}),
    ("soft_exponential", {"exponent": -0.1}),
    ("soft_exponential", {"exponent": -0.2}),
    ("soft_exponential", {"exponent": -1.7}),
    ("soft_clipping", {"sharpness": 0.3}),
    ("soft_clipping", {"sharpness": 7.0}),
    ("soft_clipping", {"sharpness": 100.0}),
    ("multiquadric", {"center": 0.4, "width": 0.0}),
    ("multiquadric", {"center": -1.5, "width": -0.6}),
    ("inverse_multiquadric", {"center": 0.4, "width_excess": 1.5}),
    ("inverse_multiquadric", {"center": -0.7, "width_excess": -1.7}),
]


def squareplus_gap(a: Any, x: Any, v: Any) -> Any:
    b = mpf(getattr(a, "b", 4))
    p = (v + mpmath.sqrt(v * v + b)) / 2
    return (x - p) ** 2 / 2 + b / 4 * (x / p - 1 - mpmath.log(x / p))


def arc_gap(k: Any, x: Any, v: Any) -> Any:
    if k == 0:
        return (x - v) ** 2 / 2
    return (mpmath.sqrt(1 + k * v * v) - mpmath.sqrt(1 - k * x * x)) / k - x * v


def isru_gap(a: Any, x: Any, v: Any) -> Any:
    return arc_gap(1 + mpf(a.excess), x, v)


def isrlu_gap(a: Any, x: Any, v: Any) -> Any:
    k, zero = mpf(a.lambda_), mpf(0)
    left = arc_gap(k, min(x, zero), min(v, zero)) + min(x, zero) * min(v, zero)
    return left + (max(x, zero) ** 2 + max(v, zero) ** 2) / 2 - x * v


def sqnl_gap(a: Any, x: Any, v: Any) -> Any:
    q, near = mpmath.sqrt(1 - abs(x)), min(abs(v), mpf(2))
    return 2 * (1 - q) ** 2 * (1 + 2 * q) / 3 + near**2 / 2 - near**3 / 12 + abs(v) - near - x * v


def bend(v: Any) -> Any:
    return v * v / 3 + (v * mpmath.sqrt(1 + v * v) + mpmath.asinh(v)) / 6 - v / 3


def bent_identity_gap(a: Any, x: Any, v: Any) -> Any:
    scale = mpf(a.scale)
    if scale == 0:
        return mpf(0)
    y = x / scale
    w = (2 * (3 * y + 1) - mpmath.sqrt((3 * y + 1) ** 2 + 3)) / 3
    return scale * (bend(v) - bend(w) + y * (w - v))


def soft_exponential_gap(a: Any, x: Any, v: Any) -> Any:
    c = mpf(a.exponent)
    if c == 0:
        return (x - v) ** 2 / 2
    if c < 0:
        c, x, v = -c, v, x
    with mpmath.workdps(mpmath.mp.dps + 60):
        y = 1 + c * (x - c)
        return (t_log_t(y) - y + mpmath.exp(c * v)) / c**2 - y * v / c


def soft_clipping_gap(a: Any, x: Any, v: Any) -> Any:
    s = mpf(a.sharpness)

    def softplus_integral(w: Any) -> Any:
        if w > 0:
            return w * w / 2 + mpmath.pi**2 / 6 + dilog(-mpmath.exp(-w))
        return -dilog(-mpmath.exp(w))

    def integral(y: Any) -> Any:
        return dilog(mpmath.exp(-y)) - mpmath.pi**2 / 6

    own = (integral(s * x) + integral(s * (1 - x)) - integral(s)) / s**2 + x * x / 2
    return own + (softplus_integral(s * v) - softplus_integral(s * (v - 1))) / s**2 - x * v


GAPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "squareplus": squareplus_gap,
    "metallic_mean": squareplus_gap,
    "isru": isru_gap,
    "isrlu": isrlu_gap,
    "sqnl": sqnl_gap,
    "bent_identity": bent_identity_gap,
    "soft_exponential": soft_exponential_gap,
    "soft_clipping": soft_clipping_gap,
}
