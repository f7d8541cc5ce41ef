"""The group soft threshold: the prox of a length, which cuts short vectors to 0 and shortens the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.foundations.parameters import number, store
from nngames.activations.foundations.radial import RadialActivation
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.activations.numerics.directions import as_layer, length_ball, polar, turning
from nngames.activations.numerics.flint_forms import ball, half_square
from nngames.activations.numerics.rounding import EPS, Mask, wide
from nngames.core.exact import rational


@activation_named("group_soft_threshold")
@dataclass(frozen=True)
class GroupSoftThreshold(RadialActivation):
    """r(v) = max(1 - t/|v|, 0) v, the prox of f(z) = t |z| (not squared); t = ``threshold`` > 0.

    g(v) = max(|v| - t, 0)^2/2, g*(z) = |z|^2/2 + t |z|. The Jacobian is 0 for |v| < t; beyond, it has the eigenvalue 1
    along v and 1 - t/|v| across.
    """

    threshold: float = 1.0

    def __post_init__(self) -> None:
        store(self, threshold=number(self, "threshold", positive=True))

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """0 inside the ball of radius t, 1 along every ray outside."""
        t = self.threshold
        return rational_end(0, ((0.0, 0.0), (t / 2, 0.0))), rational_end(1, ((2 * t, 0.0), (4 * t, 0.0)))

    @property
    def domain(self) -> Domain:
        """R^n."""
        return Interval()

    def share(self, length: Array, out: Array | None = None) -> Array:
        """Return max(1 - t/|v|, 0) as max(|v| - t, 0)/|v|."""
        above = np.maximum(length - self.threshold, 0.0)
        return np.divide(above, np.maximum(length, self.threshold), out=out)

    def far(self, v: Array, direction: Array) -> Array:
        """Return v less t times its direction."""
        return v - self.threshold * direction

    def stretch(self, length: Array) -> Array:
        """Return 1 beyond t, else 0."""
        return np.where(length > self.threshold, 1.0, 0.0)

    def length_primitive(self, length: Array) -> Array:
        """Return max(|v| - t, 0)^2/2."""
        with np.errstate(over="ignore"):
            return 0.5 * np.square(np.maximum(length - self.threshold, 0.0))

    def conjugate(self, z: ArrayLike) -> Array:
        """Return |z|^2/2 + t |z|."""
        size = polar(wide(as_layer(self.name, z)))[0][..., 0]
        with np.errstate(over="ignore"):
            return size * (0.5 * size + self.threshold)

    def penalty(self, z: ArrayLike) -> Array:
        """Return t |z|."""
        with np.errstate(over="ignore"):
            return self.threshold * polar(wide(as_layer(self.name, z)))[0][..., 0]

    def length_prox(self, u: Array, step: Array) -> Array:
        """Return max(|u| - step t, 0)."""
        return np.maximum(u - step * self.threshold, 0.0)

    def gap_parts(self, x: Array, v: Array) -> tuple[Array, Array, Mask]:
        """Return (s - max(|v| - t, 0))^2/2 + s max(t - |v|, 0) + s |v| (1 - cos), s = |x|."""
        size, length, turn, turn_error = turning(x, v)
        unit = (x.shape[-1] + 8) * EPS
        t = self.threshold
        difference = size - np.maximum(length - t, 0.0)
        slip = unit * (size + np.where(length > t * (1 - unit), length + t, 0.0))
        short = np.maximum(t - length, 0.0)
        product = size * length
        value = 0.5 * np.square(difference) + size * short + product * turn
        error = (np.abs(difference) + slip) * slip + unit * (size * (short + np.where(short > 0, t, 0.0)))
        return value, error + product * turn_error + 2 * unit * value, np.zeros(value.shape, dtype=bool)

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return |z|^2/2 + t |z|."""
        import cvxpy as cp

        return 0.5 * cp.sum_squares(z) + self.threshold * cp.norm(z, 2), []

    def flint_conjugate(self, z: Sequence[FlintNumber]) -> FlintNumber | None:
        """Return |z|^2/2 + t |z|."""
        return sum(half_square(t) for t in z) + rational(self.threshold) * length_ball(z)

    def flint_response(self, v: Sequence[FlintNumber]) -> list[FlintNumber]:
        """Return max(1 - t/|v|, 0) v as balls."""
        t = ball(rational(self.threshold))
        length = length_ball(v)
        # The share increases with the length, which may be 0 in a ball.
        ends = [1 - t / end if end > t else 0 * t for end in (length.lower(), length.upper())]
        return [ends[0].union(ends[1]) * ball(entry) for entry in v]
