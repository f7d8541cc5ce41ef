"""Multiquadrics and inverse multiquadrics: radial functions on the line, which decrease on one side of the center."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart, constant_chart
from nngames.activations.foundations.parameters import number, refusal, store
from nngames.activations.foundations.scalar import NonMonotoneActivation
from nngames.activations.foundations.slopes import SlopeEnd, exact_text, rational_end, symmetric_pair
from nngames.activations.numerics.elementwise import hyperbolic_share, hypotenuse, stored
from nngames.activations.numerics.flint_forms import ball, square
from nngames.activations.numerics.rounding import wide
from nngames.core.exact import rational


@activation_named("multiquadric")
@dataclass(frozen=True)
class Multiquadric(NonMonotoneActivation):
    """r(v) = R = sqrt(u^2 + w^2) with u = v - center and w = width; for w = 0 it is |u|.

    g(v) = (u R + w^2 asinh(u/|w|))/2. The slope u/R fills (-1, 1), without its ends unless w = 0.
    """

    center: float = 0.0
    width: float = 1.0

    def __post_init__(self) -> None:
        store(self, center=number(self, "center"), width=number(self, "width"))

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from -1 at -infinity to 1 at infinity."""
        far = max(1e5 * abs(self.width), abs(self.center), 1.0)
        near, attained = far / 2, self.width == 0
        return (
            rational_end(-1, (self.center - far, self.center - near), attained),
            rational_end(1, (self.center + near, self.center + far), attained),
        )

    @property
    def limits(self) -> tuple[float, float]:
        """Infinity at both ends."""
        return (np.inf, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return sqrt(u^2 + w^2)."""
        with np.errstate(over="ignore"):
            root = hypotenuse(_offset(v, self.center), abs(self.width))
        return stored(root, out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return u/R; 0 at a kink."""
        offset = _offset(v, self.center)
        return np.sign(offset, out=out) if self.width == 0 else hyperbolic_share(offset, abs(self.width), out)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return one chart, in which the slope is the variable; for w = 0 the two affine pieces."""
        center, width = rational(self.center), rational(abs(self.width))
        if self.width == 0:
            kink = Fraction(self.center)
            return (constant_chart(-1, -np.inf, kink), constant_chart(1, kink, np.inf))

        def point(t: Any) -> Any:
            return center + width * t / (1 - t * t).sqrt()

        return (Chart(-1, 1, lambda t: t, point, "t = u/R, u = x - center", ("lower", "upper")),)

    def primitive(self, v: ArrayLike) -> Array:
        """Return (u R + w^2 asinh(u/|w|))/2."""
        offset, width = _offset(wide(v), self.center), abs(self.width)
        with np.errstate(over="ignore"):
            value = 0.5 * (offset * np.hypot(offset, width))
            if width == 0:
                return value
            largest = float(np.finfo(np.float64).max)
            ratio = np.clip(offset / width, -largest, largest)
            return value + 0.5 * width * (width * np.arcsinh(ratio))

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return sqrt(u^2 + w^2), or |u|."""
        offset = v - rational(self.center)
        return abs(offset) if self.width == 0 else (ball(square(offset)) + rational(self.width) ** 2).sqrt()


@activation_named("inverse_multiquadric")
@dataclass(frozen=True)
class InverseMultiquadric(NonMonotoneActivation):
    """r(v) = 1/R, R = sqrt(u^2 + c^2), with u = v - center and c = 1 + width_excess, not 0.

    g(v) = asinh(u/|c|). With t = u/R the slope is -t (1 - t^2)/c^2, whose extremes -+2/(3 sqrt(3) c^2) are at
    t = +-1/sqrt(3), that is u = +-|c|/sqrt(2).
    """

    center: float = 0.0
    width_excess: float = 0.0

    def __post_init__(self) -> None:
        excess = number(self, "width_excess")
        if excess == -1:
            raise refusal(self, "width_excess", "must not be -1: the width 1 + width_excess would be 0")
        store(self, center=number(self, "center"), width_excess=excess)

    @property
    def bounded(self) -> bool:
        """Always: by 1/|c|."""
        return True

    @cached_property
    def exact_width(self) -> Fraction:
        """|c|."""
        return abs(1 + Fraction(self.width_excess))

    @cached_property
    def width(self) -> float:
        """|c|, rounded."""
        return float(self.exact_width)

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes between -2/(3 sqrt(3) c^2), at u = |c|/sqrt(2), and its opposite."""
        factor = Fraction(2, 9) / self.exact_width**2
        place = self.width / math.sqrt(2)

        def end(sign: int) -> SlopeEnd:
            pair = symmetric_pair(self.center - sign * place, 1e-5 * self.width)
            return SlopeEnd(f"{exact_text(sign * factor)} sqrt(3)", lambda: _root_of_three(sign * factor), pair)

        return (end(-1), end(1))

    @property
    def limits(self) -> tuple[float, float]:
        """0 at both ends."""
        return (0.0, 0.0)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return 1/sqrt(u^2 + c^2)."""
        root = hypotenuse(_offset(v, self.center), self.width)
        return np.divide(root.dtype.type(1.0), root, out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return -(u/R)/R^2."""
        offset = _offset(v, self.center)
        root = np.reciprocal(hypotenuse(offset, self.width))
        # At infinities, where 1/R is 0, u/R is not u times it.
        share = offset * root if np.count_nonzero(root) == root.size else hyperbolic_share(offset, self.width)
        return np.multiply(-share * root, root, out=out)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return one chart, in which the slope is a cubic."""
        center, width = rational(self.center), rational(self.exact_width)

        def slope(t: Any) -> Any:
            return t * (t * t - 1) / width**2

        def point(t: Any) -> Any:
            return center + width * t / (1 - t * t).sqrt()

        return (Chart(-1, 1, slope, point, "t = u/R, u = x - center", ("lower", "upper")),)

    def primitive(self, v: ArrayLike) -> Array:
        """Return asinh(u/|c|)."""
        largest = float(np.finfo(np.float64).max)
        with np.errstate(over="ignore"):
            ratio = _offset(wide(v), self.center) / self.width
        return np.arcsinh(np.clip(ratio, -largest, largest))

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return 1/sqrt(u^2 + c^2)."""
        width = rational(self.exact_width)
        return 1 / (ball(square(v - rational(self.center))) + width**2).sqrt()


def _offset(v: Array, center: float) -> Array:
    """Return v - center, for finite v at most the largest float in size."""
    if center == 0:
        return v
    with np.errstate(over="ignore"):
        offset = np.asarray(v - center)
    if not np.isfinite(np.max(np.abs(offset), initial=0.0)):
        largest = np.finfo(v.dtype).max
        offset = np.where(np.isfinite(v), np.clip(offset, -largest, largest), v)
    return offset


def _root_of_three(factor: Fraction) -> Any:
    """Return factor sqrt(3) as a ball."""
    from flint import arb

    return rational(factor) * arb(3).sqrt()
