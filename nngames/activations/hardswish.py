"""The hard swish v min(max(v + 3, 0), 6)/6, piecewise quadratic and not monotone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart, constant_chart
from nngames.activations.foundations.scalar import NonMonotoneActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.numerics.flint_forms import larger, smaller
from nngames.activations.numerics.rounding import wide
from nngames.core.exact import rational


@activation_named("hardswish")
@dataclass(frozen=True)
class Hardswish(NonMonotoneActivation):
    """r(v) = 0 for v <= -3, v (v + 3)/6 on [-3, 3], v for v >= 3.

    g(v) = 3/4, v^3/18 + v^2/4 and v^2/2 - 3/4 there. The slope (2 v + 3)/6 on [-3, 3] increases from -1/2 to 3/2: both
    are one-sided slopes at the kinks. flint's response is rational for a rational.
    """

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """-1/2 to the right of -3 and 3/2 to the left of 3."""
        near = 1e-9
        return (rational_end(-0.5, (-3.0, -3.0 + near)), rational_end(1.5, (3.0 - near, 3.0)))

    @property
    def limits(self) -> tuple[float, float]:
        """0 and infinity."""
        return (0.0, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v times the share min(max(v + 3, 0), 6)/6."""
        # Cut on the left, where it is multiplied by 0, for -infinity is not.
        inner = np.asarray(np.maximum(v, -3.0))
        share = np.asarray(inner + inner.dtype.type(3.0))
        np.minimum(share, 6.0, out=share)
        share /= 6
        return np.multiply(share, inner, out=out)

    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return 0, (2 v + 3)/6 or 1, and the mean of the one-sided slopes at the kinks."""
        inner = np.asarray(np.clip(v, -3.0, 3.0))
        slope = (2 * inner + 3) / 6
        # The parts of +-1/4 at a kink and +-1/2 beyond it.
        slope += 0.25 * ((v <= -3).astype(inner.dtype) - (v >= 3))
        slope += 0.25 * ((v < -3).astype(inner.dtype) - (v > 3))
        if out is None:
            return slope
        out[...] = slope
        return out

    def primitive(self, v: ArrayLike) -> Array:
        """Return v^3/18 + v^2/4 on [-3, 3], its continuation beyond."""
        v = wide(v)
        inner = np.clip(v, -3.0, 3.0)
        middle = np.square(inner) * (inner / 18 + 0.25)
        with np.errstate(over="ignore"):
            return np.where(v > 3, 0.5 * np.square(np.maximum(v, 0.0)) - 0.75, middle)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v min(max(v + 3, 0), 6)/6, rational for a rational."""
        return v * smaller(larger(v + 3, rational(0.0)), rational(6.0)) / 6

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return the two affine pieces and the quadratic one between them."""

        def slope(t: Any) -> Any:
            return (2 * t + 3) / 6

        return (
            constant_chart(0, -np.inf, -3),
            Chart(-3, 3, slope, None, "quadratic piece, t = x"),
            constant_chart(1, 3, np.inf),
        )
