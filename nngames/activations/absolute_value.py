"""The absolute value |v|, piecewise linear and not monotone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart, constant_chart
from nngames.activations.foundations.scalar import NonMonotoneActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.numerics.rounding import wide


@activation_named("absolute_value")
@dataclass(frozen=True)
class AbsoluteValue(NonMonotoneActivation):
    """r(v) = |v|, g(v) = v |v|/2, with slopes -1 and 1, and everything between them across 0."""

    piecewise_linear: ClassVar[bool] = True

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """-1 on the left and 1 on the right."""
        return (rational_end(-1, (-2.0, -1.0)), rational_end(1, (1.0, 2.0)))

    @property
    def limits(self) -> tuple[float, float]:
        """Infinity at both ends."""
        return (np.inf, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return |v|."""
        return np.abs(v, out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return the sign of v."""
        return np.sign(v, out=out)

    def primitive(self, v: ArrayLike) -> Array:
        """Return v |v|/2."""
        v = wide(v)
        with np.errstate(over="ignore"):
            return 0.5 * v * np.abs(v)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return |v|."""
        return abs(v)

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return the two affine pieces."""
        return (constant_chart(-1, -np.inf, 0), constant_chart(1, 0, np.inf))
