"""The projection on a Euclidean ball."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.parameters import Vector, number, scalar_or_vector, store
from nngames.activations.foundations.projections import ON_SET, VectorProjection, as_pair
from nngames.activations.foundations.slopes import Pair
from nngames.activations.numerics.flint_forms import ball as flint_ball
from nngames.activations.numerics.flint_forms import half_square
from nngames.activations.numerics.rounding import EPS, Mask, floating, wide
from nngames.core.exact import rational


@activation_named("ball")
@dataclass(frozen=True)
class BallProjection(VectorProjection):
    """The projection on {z: |z - center| <= radius}, the center a number for all coordinates or one for each."""

    radius: float = 1.0
    center: float | Vector = 0.0

    def __post_init__(self) -> None:
        store(self, radius=number(self, "radius", positive=True), center=scalar_or_vector(self, "center"))

    @cached_property
    def _center(self) -> Array:
        return np.asarray(self.center, dtype=np.float64)

    @property
    def size(self) -> int | None:
        """The number of entries of the center where they are listed."""
        return len(self.center) if isinstance(self.center, tuple) else None

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    @property
    def notation(self) -> str:
        """The set in the usual notation."""
        centred = self.center == 0
        return f"{{z in R^n: |z{'' if centred else ' - c'}| <= {self.radius:g}}}"

    def slope_pair(self, slope: float) -> Pair:
        """Return two points of a ray from the center, in the ball or beyond it."""
        center = np.broadcast_to(self._center, self.size or 2)
        ray = np.zeros(len(center))
        ray[0] = 0.5 * self.radius if slope else 2 * max(self.radius, abs(center[0]))
        return as_pair(center, center + ray) if slope else as_pair(center + ray, center + 2 * ray)

    def _polar(self, v: Array) -> tuple[Array, Array, Array]:
        """Return v - center, its length (..., 1), and its direction, 0 at the center."""
        with np.errstate(over="ignore"):
            offset = v - self._center
            largest = np.max(np.abs(offset), axis=-1, keepdims=True)
            scaled = offset / np.where(largest > 0, largest, 1.0)
            length = np.linalg.norm(scaled, axis=-1, keepdims=True)
            return offset, largest * length, scaled / np.where(length > 0, length, 1.0)

    def project(self, v: Array) -> Array:
        """Return v inside, center + radius times the direction outside."""
        _, length, direction = self._polar(v)
        return np.where(length <= self.radius, v, self._center + self.radius * direction)

    def contains(self, z: ArrayLike) -> Mask:
        """Return whether each row is in the ball up to rounding."""
        array = floating(z)
        self.check_shape(array)
        tolerance = max(ON_SET, 8 * array.shape[-1] * float(np.finfo(array.dtype).eps))
        size = self.radius + np.max(np.abs(self._center))
        return self._polar(wide(array))[1][..., 0] <= self.radius + tolerance * size

    def jvp(self, v: Array, d: Array) -> Array:
        """Return d inside; outside radius/|v - center| times the part of d across the direction."""
        _, length, direction = self._polar(wide(v))
        across = d - direction * np.sum(direction * d, axis=-1, keepdims=True)
        shrink = self.radius / np.maximum(length, self.radius)
        return np.where(length <= self.radius, d, shrink * across).astype(np.result_type(v, d), copy=False)

    def gap_parts(self, x: Array, v: Array) -> tuple[Array, Array, Array, Array]:
        """Return the normal part k (|x - p|^2 + radius^2 - |x - center|^2)/(2 radius), k = |v - center| - radius."""
        n, rho = x.shape[-1], self.radius
        _, length, direction = self._polar(v)
        p = np.where(length <= rho, v, self._center + rho * direction)
        length = length[..., 0]
        excess = np.maximum(length - rho, 0.0) / rho
        own = self._polar(x)[1][..., 0]
        depth = 0.5 * (rho - own) * (rho + own)
        square = 0.5 * np.sum(np.square(x - p), axis=-1)
        normal = excess * (square + np.maximum(depth, 0.0))
        unit = (n + 8) * EPS
        size = rho + np.max(np.abs(self._center))
        p_error = np.where(length <= rho, 0.0, unit * size)
        depth_error = unit * rho * size + np.maximum(-depth, 0.0)
        stretch = unit * (length + size) / rho
        error = excess * (depth_error + np.sqrt(2 * square) * p_error + p_error**2) + stretch * (
            square + np.maximum(depth, 0.0)
        )
        return p, p_error, normal, np.where(length <= rho * (1 - unit), 0.0, error)

    def set_constraints(self, z: Any) -> list[Any]:
        """Return |z - center| <= radius."""
        import cvxpy as cp

        return [cp.norm(z - self._center, 2) <= self.radius]

    def _flint_square(self, z: Sequence[FlintNumber]) -> tuple[list[FlintNumber], FlintNumber]:
        self.check_size(len(z))
        center = np.broadcast_to(self._center, len(z)).tolist()
        offset = [t - rational(c) for t, c in zip(z, center, strict=True)]
        return offset, 2 * sum(half_square(t) for t in offset)

    def flint_conjugate(self, z: Sequence[FlintNumber]) -> FlintNumber | None:
        """Return |z|^2/2 in the ball."""
        _, square = self._flint_square(z)
        return None if square > rational(self.radius) ** 2 else sum(half_square(t) for t in z)

    def flint_response(self, v: Sequence[FlintNumber]) -> list[FlintNumber]:
        """Return v inside, center + radius (v - center)/|v - center| outside, as balls; both where v may be either."""
        offset, square = self._flint_square(v)
        rho = rational(self.radius)
        if square <= rho**2:
            return list(v)
        length = flint_ball(square).sqrt()
        center = np.broadcast_to(self._center, len(v)).tolist()
        if not square > rho**2:
            length = length.max(flint_ball(rho))
        return [rational(c) + flint_ball(t) * (rho / length) for c, t in zip(center, offset, strict=True)]
