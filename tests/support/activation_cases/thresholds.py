"""Clipped lines and shrinkage: variants, and gaps in mpmath's arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mpmath import mpf

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("softshrink", {"lambda_": 0.3}),
    ("softshrink", {"lambda_": 0.0}),
    ("soft_threshold", {"threshold": 0.05}),
    ("hardshrink", {"lambda_": 0.3}),
    ("hardshrink", {"lambda_": 1.1}),
    ("hardshrink", {"lambda_": 0.0}),
]


def clipped_gap(width: int) -> Callable[[Any, Any, Any], Any]:
    def gap(a: Any, x: Any, v: Any) -> Any:
        drive = (v - mpf(width) / 2) if v > mpf(width) / 2 else max(v + mpf(width) / 2, 0) ** 2 / (2 * width)
        if v > mpf(width) / 2:
            drive += mpf(width) / 2
        return width * x * x / 2 - width * x / 2 + drive - x * v

    return gap


def soft_gap(a: Any, x: Any, v: Any) -> Any:
    t = mpf(a.level)
    return t * abs(x) + x * x / 2 + max(abs(v) - t, 0) ** 2 / 2 - x * v


def hard_gap(a: Any, x: Any, v: Any) -> Any:
    t = mpf(a.lambda_)
    own = t * abs(x) if abs(x) <= t else (x * x + t * t) / 2
    return own + max(v * v - t * t, 0) / 2 - x * v


GAPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "piecewise_linear": clipped_gap(1),
    "hard_sigmoid": clipped_gap(6),
    "softshrink": soft_gap,
    "soft_threshold": soft_gap,
    "hardshrink": hard_gap,
}
