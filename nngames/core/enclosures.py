"""Vectors of floats with radii: what is known of numbers that floats, or balls of flint, hold up to an error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.core.profiles import Array


@dataclass(frozen=True, eq=False)
class Enclosed:
    """Vectors known up to componentwise bounds: |exact - middle| <= radius."""

    middle: Array
    radius: Array

    @property
    def low(self) -> Array:
        """Their lower bounds, rounded down."""
        return np.nextafter(self.middle - self.radius, -np.inf)

    @property
    def high(self) -> Array:
        """Their upper bounds, rounded up."""
        return np.nextafter(self.middle + self.radius, np.inf)


def outward_floats(low: Any, high: Any) -> tuple[float, float]:
    """Return floats below one ball and above another."""
    if not (low.is_finite() and high.is_finite()):
        return -math.inf, math.inf
    return math.nextafter(float(low.lower()), -math.inf), math.nextafter(float(high.upper()), math.inf)


def enclosed(balls: Sequence[Any]) -> Enclosed:
    """Return balls as floats with radii: 0 where a ball is a float exactly, infinite where it is not finite."""
    ends = np.array([outward_floats(t, t) for t in balls], dtype=np.float64).reshape(-1, 2)
    finite = np.isfinite(ends).all(axis=1)
    low, high = np.where(finite, ends[:, 0], 0.0), np.where(finite, ends[:, 1], 0.0)
    middle = low + (high - low) / 2
    radius = np.nextafter(np.maximum(high - middle, middle - low), np.inf)
    exact = [float(t.mid()) if t.is_exact() and t == float(t.mid()) else None for t in balls]
    known = np.array([value is not None for value in exact], dtype=bool)
    middle = np.where(known, [0.0 if value is None else value for value in exact], middle)
    return Enclosed(middle, np.where(known, 0.0, np.where(finite, radius, np.inf)))
