"""Gated, oscillating and bell-shaped activations: variants, and the gaps of the monotone ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import mpf

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("gelu", {"scale": 0.4}),
    ("gelu", {"scale": -1.5}),
    ("gelu", {"scale": 0.0}),
    ("gelu_tanh", {"scale": 2.0}),
    ("gelu_tanh", {"scale": -0.7}),
    ("gelu_tanh", {"scale": 0.0}),
    ("sinu_sigmoidal", {"amplitude": 2.0, "frequency": 5.0}),
    ("sinu_sigmoidal", {"amplitude": -1.0}),
    ("sinu_sigmoidal", {"amplitude": 0.3, "frequency": -2.0}),
    ("sinu_sigmoidal", {"amplitude": 0.0}),
    ("sinu_sigmoidal", {"frequency": 0.0}),
    ("snake", {"frequency": 3.0}),
    ("snake", {"frequency": 0.25}),
    ("snake", {"frequency": -1.7}),
]


def inverse(response: Callable[[Any], Any], lower: Any, upper: Any) -> Any:
    """The zero of an increasing function on an interval: bisection, then secants that stay between the bounds."""
    low, high = mpf(lower), mpf(upper)
    at_low, at_high = response(low), response(high)
    for step in range(20 * mpmath.mp.prec):
        if at_low == 0 or at_high == 0 or high - low <= max(abs(low), abs(high)) * mpf(2) ** (3 - mpmath.mp.prec):
            break
        middle = (low + high) / 2
        if step % 3:
            # An end that is never moved would slow the secants down: a step of bisection follows two of them.
            secant = low - at_low * (high - low) / (at_high - at_low)
            middle = secant if low < secant < high else middle
        value = response(middle)
        if value <= 0:
            low, at_low = middle, value
        if value >= 0:
            high, at_high = middle, value
    return low if abs(at_low) <= abs(at_high) else high


def constant_gap(a: Any, x: Any, v: Any) -> Any:
    """The gap of r = 0 on its domain, the point 0."""
    assert x == 0
    return mpf(0)


def snake_gap(a: Any, x: Any, v: Any) -> Any:
    """g*(x) = x w - g(w) at the w with r(w) = x, which is within 1/|frequency| of x."""
    f = mpf(a.frequency)

    def response(t: Any) -> Any:
        return t + mpmath.sin(f * t) ** 2 / f

    def primitive(t: Any) -> Any:
        return t * t / 2 + t / (2 * f) - mpmath.sin(2 * f * t) / (4 * f * f)

    w = inverse(lambda t: response(t) - x, x - 1 / abs(f), x + 1 / abs(f)) if x else mpf(0)
    return x * w - primitive(w) + primitive(v) - x * v


def tanhshrink_gap(a: Any, x: Any, v: Any) -> Any:
    """As for snake, with w between |x| and |x| + 1."""

    def primitive(t: Any) -> Any:
        return t * t / 2 - mpmath.log(mpmath.cosh(t))

    size = abs(x)
    w = inverse(lambda t: t - mpmath.tanh(t) - size, size, size + 1) if x else mpf(0)
    w = w if x >= 0 else -w
    return x * w - primitive(w) + primitive(v) - x * v


GAPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "gelu": constant_gap,
    "gelu_tanh": constant_gap,
    "snake": snake_gap,
    "tanhshrink": tanhshrink_gap,
}
