"""What projections on closed convex sets share: f is the set's indicator, so its prox is the same for every step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Activation, Array, FlintNumber
from nngames.activations.foundations.domain import AffineHull, Domain
from nngames.activations.foundations.slopes import Pair, SlopeEnd, rational_end
from nngames.activations.numerics.flint_forms import ball, half_square, is_rational, rational_midpoint
from nngames.activations.numerics.rounding import EPS, Mask, floating, settle, wide
from nngames.core.errors import ShapeError

#: How far a point may be off a set, relative to its size or to 1, and still count as on it; rounding leaves less.
ON_SET = 1e-12
#: Products of entries up to this size cannot overflow.
SAFE = 1e100


class SetProjection(Activation):
    """r(v) is the point of a closed convex set nearest to v; f is 0 on the set and +inf off it."""

    #: Whether it is known as an activation rather than by the set it projects on.
    familiar: ClassVar[bool] = False

    @abstractmethod
    def contains(self, z: ArrayLike) -> Mask:
        """Return whether z is in the set, up to rounding: of each coordinate if separable, else of each row."""

    def penalty(self, z: ArrayLike) -> Array:
        """Return 0 on the set, +inf off it."""
        return np.where(self.contains(z), 0.0, np.inf)

    @property
    def penalty_formula(self) -> str | None:
        """0, on the set."""
        return "0"

    def conjugate(self, z: ArrayLike) -> Array:
        """Return |z|^2/2 on the set, +inf off it."""
        with np.errstate(over="ignore"):
            square = 0.5 * np.square(wide(z))
        return np.where(self.contains(z), square if self.separable else np.sum(square, axis=-1), np.inf)

    def check_shape(self, v: Array) -> None:
        """Raise ShapeError if the last axis of v is not the layer that the parameters describe."""
        if v.ndim == 0 and not self.separable:
            raise ShapeError(f"activation {self.name!r} acts on a layer; got a single number")
        if self.size is not None and (v.ndim == 0 or v.shape[-1] != self.size):
            raise ShapeError(f"activation {self.name!r} has parameters for size {self.size}; got an array of {v.shape}")


@dataclass(frozen=True)
class ProjectedSet(Domain):
    """The set that a projection projects on.

    Attributes
    ----------
    projection : VectorProjection
    """

    projection: VectorProjection

    def project(self, z: Array) -> Array:
        """Return the nearest point of the set."""
        return self.projection(z)

    def affine_hull(self, n: int) -> AffineHull:
        """Return the affine hull in R^n."""
        self.projection.check_size(n)
        return self.projection.affine_hull(n)

    def __str__(self) -> str:
        return self.projection.notation


class VectorProjection(SetProjection):
    """A projection that couples the coordinates of a layer.

    With p = r(v), d = x - p: the gap is |d|^2/2 + <d, p - v>, and the second term is nonnegative on the set. Each set
    has a form of it without cancellation, ``normal_part``.
    """

    @property
    @abstractmethod
    def notation(self) -> str:
        """The set in the usual notation."""

    @abstractmethod
    def project(self, v: Array) -> Array:
        """Return the nearest point for v (..., n) in double precision."""

    @abstractmethod
    def gap_parts(self, x: Array, v: Array) -> tuple[Array, Array, Array, Array]:
        """Return p = r(v), a bound on |its error|, <x - p, p - v> >= 0 for x on the set, and a bound on its error."""

    def affine_hull(self, n: int) -> AffineHull:
        """Return the affine hull of the set: everything, for a set with interior points."""
        return AffineHull(np.zeros(n))

    @property
    def slope_range(self) -> tuple[float, float]:
        """Slopes 0 along the normals and 1 inside."""
        return (0.0, 1.0)

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 to 1, as far as both occur."""
        low, high = self.slope_range
        return (rational_end(low, self.slope_pair(low)), rational_end(high, self.slope_pair(high)))

    @abstractmethod
    def slope_pair(self, slope: float) -> Pair:
        """Return two points between which r has the slope: 0 along a normal, 1 along the set."""

    @property
    def domain(self) -> Domain:
        """The set itself."""
        return ProjectedSet(self)

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return the point of the set nearest to v."""
        array = floating(v)
        self.check_shape(array)
        p = self.project(wide(array))
        if array.dtype == np.float64 and (out is None or out.dtype == np.float64):
            if out is None:
                return p
            out[...] = p
            return out
        with np.errstate(over="ignore"):
            if out is None:
                return p.astype(array.dtype, copy=False)
            np.copyto(out, p, casting="same_kind")
        return out

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return the projection of u, whatever the step."""
        steps = self.layer_steps(step)
        point = wide(u)
        return self(np.broadcast_to(point, np.broadcast_shapes(point.shape, steps.shape)))

    def primitive(self, v: ArrayLike) -> Array:
        """Return g(v) = |v|^2/2 - |v - r(v)|^2/2 = <v - r(v)/2, r(v)>, scaled against overflow."""
        v = wide(v)
        p = self(v)
        scale = np.maximum(np.max(np.maximum(np.abs(v), np.abs(p)), axis=-1), 1.0)
        shrunk = p / scale[..., None]
        with np.errstate(over="ignore"):
            return np.sum((v / scale[..., None] - 0.5 * shrunk) * shrunk, axis=-1) * scale * scale

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return |x - p|^2/2 + <x - p, p - v> with p = r(v); +inf off the set.

        Where rounding leaves x off the set, the bound covers the difference to the gap at the nearest point; on the
        simplex, at x rescaled to the right sum.
        """
        outside = np.logical_not(self.contains(x))
        x, v = np.broadcast_arrays(wide(x), wide(v))
        with np.errstate(over="ignore", invalid="ignore"):
            p, p_error, normal, normal_error = self.gap_parts(x, v)
            d = x - p
            square, length = 0.5 * np.sum(np.square(d), axis=-1), np.linalg.norm(d, axis=-1)
            value = square + normal
            error = (length + p_error) * p_error + (x.shape[-1] + 8) * EPS * value + normal_error
            # Beyond about 1e154 squares overflow, and inf - inf or 0 inf says nothing.
            value = np.where(np.isnan(value), np.inf, value)
            return settle(value, error, np.broadcast_to(outside, square.shape))

    def set_constraints(self, z: Any) -> list[Any]:
        """Return the CVXPY constraints that put z in the set."""
        raise NotImplementedError

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return |z|^2/2 on the set."""
        import cvxpy as cp

        return 0.5 * cp.sum_squares(z), self.set_constraints(z)


class RationalProjection(VectorProjection):
    """A projection on a polyhedron with rational data: of a rational point it is rational."""

    piecewise_linear = True

    @abstractmethod
    def exact_projection(self, v: list[Any]) -> list[Any]:
        """Return the projection of a list of fmpq."""

    @abstractmethod
    def may_contain(self, z: Sequence[FlintNumber]) -> bool:
        """Return whether z is in the set, exactly for rationals; for balls, whether it may be."""

    def flint_conjugate(self, z: Sequence[FlintNumber]) -> FlintNumber | None:
        """Return |z|^2/2 on the set."""
        self.check_size(len(z))
        return sum(half_square(t) for t in z) if self.may_contain(z) else None

    def flint_response(self, v: Sequence[FlintNumber]) -> list[FlintNumber]:
        """Return the projection: exact for rationals; for balls, that of the midpoint, widened by the radius.

        A projection is nonexpansive, so the image of a ball lies in the ball of the same radius about the image.
        """
        self.check_size(len(v))
        if all(is_rational(t) for t in v):
            return self.exact_projection(list(v))
        balls = [ball(t) for t in v]
        radius = sum(t.rad() ** 2 for t in balls).sqrt().upper()
        from flint import arb

        return [ball(p) + arb(0, radius) for p in self.exact_projection([rational_midpoint(t) for t in balls])]


def as_pair(first: Array, second: Array) -> Pair:
    """Return two points as tuples."""
    return (tuple(first.tolist()), tuple(second.tolist()))


def row_scale(v: Array) -> Array:
    """Return a power of two for each row (..., 1) to divide by so that products cannot overflow, mostly 1."""
    largest = np.max(np.abs(v), axis=-1, keepdims=True)
    return np.where(largest > SAFE, np.exp2(np.frexp(largest)[1].astype(np.float64) - 1), 1.0)
