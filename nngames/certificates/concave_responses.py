"""Concave responses: from where on an activation is nondecreasing and concave, and how it grows at infinity.

Nothing in an activation's definition tells where its slopes turn, so the reasons are here, one place for all:

- affine from a kink on, with a smaller slope, if any, before it: relu, the leaky ones, nonnegative, elu and its kin;
- a clipped line is affine from its lower kink to its upper one and constant beyond;
- an odd sigmoid (tanh, arctan, softsign, ...) has slopes that fall on [0, inf) and is bounded;
- 1/(1 + e^-v) has slopes p (1 - p), which fall where p >= 1/2; 1 - exp(-e^v) has slopes e^v exp(-e^v), which fall where
  v >= 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from nngames.activations import Activation
from nngames.core.profiles import Array


@dataclass(frozen=True)
class ConcavePart:
    """What r does on [start, inf): it is continuous, nondecreasing and concave there. Numbers, or one by coordinate.

    Attributes
    ----------
    start : float or ndarray
        Rounded up; -inf where r is concave everywhere.
    root_below, root_above : float or ndarray
        The point from which r is positive, rounded down and up: for v >= start, r(v) > 0 iff v > root, and r(root) = 0
        if it is finite. inf where r is positive nowhere.
    recession : float or ndarray
        lim r(v)/v for v -> inf. Where it is positive, r(v) = recession v + offset on [start, inf).
    offset : float or ndarray
        Where the recession is 0: at least the limit of r.
    """

    start: float | Array
    root_below: float | Array
    root_above: float | Array
    recession: float | Array
    offset: float | Array


def concave_part(activation: Activation) -> ConcavePart | None:
    """Return where a separable activation is concave, or None where that is not known."""
    if activation.name not in _PARTS or not activation.monotone:
        return None
    return _PARTS[activation.name](activation)


def _part(start: Fraction | float, root: Fraction | float, recession: float, offset: float) -> ConcavePart:
    return ConcavePart(_up(start), -_up(-root), _up(root), recession, offset)


def _up(value: Fraction | float) -> float:
    """Return the smallest float that is not below ``value``."""
    nearest = float(value)
    return nearest if nearest >= value else math.nextafter(nearest, math.inf)


def _constant(value: float) -> ConcavePart:
    return _part(-math.inf, -math.inf if value > 0 else math.inf, 0.0, value)


def _line(slope: float, offset: float, start: Fraction | float) -> ConcavePart:
    if slope == 0:
        return _constant(offset)
    return _part(start, -Fraction(offset) / Fraction(slope), slope, offset)


def _relu(a: Any) -> ConcavePart:
    if a.slope == 0:
        return _constant(max(0.0, a.bias))
    return _line(a.slope, a.bias, -Fraction(a.bias) / Fraction(a.slope))


def _two_slopes(a: Any) -> ConcavePart:
    return _line(1.0, 0.0, -math.inf if a.slope == 1 else 0.0)


def _unit_line(_: Any) -> ConcavePart:
    return _line(1.0, 0.0, 0.0)


def _interval(a: Any) -> ConcavePart:
    low, high = (np.asarray(end, dtype=float) for end in a.ends)
    low, high = np.broadcast_arrays(low, high)
    root = np.where(low > 0, -np.inf, np.where(high > 0, 0.0, np.inf))
    endless = np.isinf(high)
    return ConcavePart(low, root, root, np.where(endless, 1.0, 0.0), np.where(endless, 0.0, high))


def _clipped_line(a: Any) -> ConcavePart:
    kink = -Fraction(a.width) / 2
    return _part(kink, kink, 0.0, 1.0)


def _odd_sigmoid(a: Any) -> ConcavePart:
    if a.slope_range[1] == 0:
        return _constant(0.0)
    if math.isinf(a.limits[1]):
        return _line(1.0, 0.0, -math.inf)
    # The float nearest to the limit may be below it.
    return _part(0.0, 0.0, 0.0, math.nextafter(a.limits[1], math.inf))


def _positive_sigmoid(_: Any) -> ConcavePart:
    return _part(0.0, -math.inf, 0.0, 1.0)


def _logistic(a: Any) -> ConcavePart:
    if a.slope == 0:
        return _constant(1.0)
    return _part(-Fraction(a.bias) / Fraction(a.slope), -math.inf, 0.0, 1.0)


_PARTS: dict[str, Callable[[Any], ConcavePart]] = {
    "identity": lambda a: _line(1.0, 0.0, -math.inf),
    "linear": lambda a: _line(a.slope, a.bias, -math.inf),
    "relu": _relu,
    "leaky_relu": _two_slopes,
    "prelu": _two_slopes,
    "nonnegative": _unit_line,
    "elu": _unit_line,
    "celu": _unit_line,
    "isrlu": _unit_line,
    "box": _interval,
    "hard_tanh": _interval,
    "relu6": _interval,
    "piecewise_linear": _clipped_line,
    "hard_sigmoid": _clipped_line,
    "tanh": _odd_sigmoid,
    "arctan": _odd_sigmoid,
    "softsign": _odd_sigmoid,
    "sqnl": _odd_sigmoid,
    "isru": _odd_sigmoid,
    "bipolar_sigmoid": _odd_sigmoid,
    "sigmoid": _positive_sigmoid,
    "heaviside_approx": _positive_sigmoid,
    "cloglog": _positive_sigmoid,
    "logistic": _logistic,
}
