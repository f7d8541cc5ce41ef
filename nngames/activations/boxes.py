"""Projections that act on each coordinate: box, nonnegative and singleton, and the boxes hard_tanh and relu6."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Array, FlintNumber, activation_named
from nngames.activations.foundations.charts import Chart, constant_chart
from nngames.activations.foundations.domain import BoxDomain, Domain, Interval
from nngames.activations.foundations.parameters import Vector, refusal, scalar_or_vector, store
from nngames.activations.foundations.projections import SetProjection
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slopes import Pair, SlopeEnd, rational_end
from nngames.activations.numerics.elementwise import positive_part
from nngames.activations.numerics.flint_forms import half_square, larger, smaller
from nngames.activations.numerics.rounding import EPS, Mask, floating, quadratic, settle, wide
from nngames.core.errors import NotApplicableError
from nngames.core.exact import rational


class _IntervalProjection(SetProjection, ScalarActivation):
    """The projection on a product of closed intervals [lower, upper], one for all coordinates or one for each.

    g*(z) = z^2/2 on the box. With p = r(v) the gap is (x - p)^2/2 + (x - p)(p - v), both terms nonnegative.
    """

    piecewise_linear = True

    @property
    @abstractmethod
    def ends(self) -> tuple[float | Vector, float | Vector]:
        """The lower and upper ends, infinite where there is none."""

    @cached_property
    def _arrays(self) -> tuple[Array, Array]:
        low, high = self.ends
        return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)

    @cached_property
    def _single_precision(self) -> tuple[Array, Array]:
        low, high = self._arrays
        return low.astype(np.float32), high.astype(np.float32)

    def _ends_like(self, v: Array) -> tuple[Array, Array]:
        """Return the ends in the precision of v: the box of a float32 layer has float32 ends."""
        return self._single_precision if v.dtype == np.float32 else self._arrays

    @property
    def size(self) -> int | None:
        """The number of ends where they are listed by coordinate."""
        low, high = self._arrays
        return next((end.size for end in (low, high) if end.ndim), None)

    @property
    def bounded(self) -> bool:
        """Whether all ends are finite."""
        return bool(all(np.isfinite(end).all() for end in self._arrays))

    @property
    def slope_range(self) -> tuple[float, float]:
        """0 and 1, as far as there are finite ends and coordinates that can vary."""
        low, high = np.broadcast_arrays(*self._arrays)
        free = (low == -np.inf) & (high == np.inf)
        return (1.0 if free.all() else 0.0, 0.0 if (low == high).all() else 1.0)

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """0 and 1, as far as there are finite ends and coordinates that can vary."""
        low, high = self.slope_range
        return (rational_end(low, self._pair(low)), rational_end(high, self._pair(high)))

    def _pair(self, slope: float) -> Pair:
        """Return two points between which r has the slope 0 or 1, that differ in one coordinate."""
        low, high = np.broadcast_arrays(*self._arrays)
        free = (low == -np.inf) & (high == np.inf)
        i = int(np.argmax(low < high if slope else ~free))
        ends = float(low.flat[i]), float(high.flat[i])
        first, second = _points_between(*ends) if slope else _points_beyond(*ends)
        if self.size is None:
            return (first, second)
        rest = np.where(free, 0.0, np.where(np.isfinite(low), low, high)).tolist()
        return ((*rest[:i], first, *rest[i + 1 :]), (*rest[:i], second, *rest[i + 1 :]))

    def slope_charts(self) -> tuple[Chart, ...]:
        """Return the affine pieces; raises NotApplicableError if the ends differ by coordinate."""
        if self.size is not None:
            raise NotApplicableError(
                f"activation {self.name!r}: the ends differ by coordinate, so there is no one slope"
            )
        low, high = (float(end) for end in self._arrays)
        cuts = [-np.inf, *(end for end in (low, high) if np.isfinite(end)), np.inf]
        return tuple(constant_chart(int(low <= a < b <= high), a, b) for a, b in pairwise(cuts) if a < b)

    @property
    def domain(self) -> Domain:
        """The box."""
        low, high = self._arrays
        return BoxDomain(*self.ends) if low.ndim or high.ndim else Interval(float(low), float(high))

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return v clipped to the box."""
        array = floating(v)
        self.check_shape(array)
        return self._response(array, out)

    def derivative(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return 1 inside the box, 0 outside and at its ends."""
        array = floating(v)
        self.check_shape(array)
        return self._slope(array, out)

    def _response(self, v: Array, out: Array | None) -> Array:
        # The array's method costs less than the function, and than a minimum and a maximum.
        clipped: Array = v.clip(*self._ends_like(v), out=out)
        return clipped

    def _slope(self, v: Array, out: Array | None) -> Array:
        low, high = self._ends_like(v)
        inside = (v > low) & (v < high)
        return np.multiply(inside, v.dtype.type(1.0), out=out)

    @property
    def limits(self) -> tuple[float, float]:
        """The ends of the box, if they are the same for all coordinates; NaN else."""
        low, high = self._arrays
        return (float(low) if low.ndim == 0 else np.nan, float(high) if high.ndim == 0 else np.nan)

    def contains(self, z: ArrayLike) -> Mask:
        """Return whether each coordinate is between its ends."""
        array = floating(z)
        self.check_shape(array)
        low, high = self._ends_like(array)
        return np.asarray((array >= low) & (array <= high))

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return (x - p)^2/2 + (x - p)(p - v) with p = r(v); +inf off the box."""
        outside = ~self.contains(x)
        low, high = (wide(end) for end in self._ends_like(np.asarray(x)))
        x, v = wide(x), wide(v)
        with np.errstate(over="ignore", invalid="ignore"):
            p = np.minimum(np.maximum(v, low), high)
            d = x - p
            value, error = quadratic(d, EPS * np.abs(d))
            linear = d * (p - v)
            return settle(value + linear, error + 4 * EPS * linear, outside)

    def primitive(self, v: ArrayLike) -> Array:
        """Return v^2/2 - (v - p)^2/2 = (v - p/2) p with p = r(v)."""
        v = wide(v)
        p = self(v)
        with np.errstate(over="ignore"):
            return (v - 0.5 * p) * p

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return u clipped to the box, whatever the step."""
        steps, point = self.check_step(step), wide(u)
        return self(np.broadcast_to(point, np.broadcast_shapes(point.shape, steps.shape)))

    def conjugate_cvxpy(self, z: Any) -> tuple[Any, list[Any]]:
        """Return |z|^2/2 on the box."""
        import cvxpy as cp

        low, high = (np.broadcast_to(end, z.shape) for end in self._arrays)
        constraints = []
        if np.isfinite(low).any():
            where = np.flatnonzero(np.isfinite(low))
            constraints.append(z[where] >= low[where])
        if np.isfinite(high).any():
            where = np.flatnonzero(np.isfinite(high))
            constraints.append(z[where] <= high[where])
        return 0.5 * cp.sum_squares(z), constraints

    def polyhedral_form(self, n: int) -> tuple[Array, Array, Array]:
        """Return the identity between the ends."""
        low, high = self._arrays
        return np.eye(n), np.array(np.broadcast_to(low, n)), np.array(np.broadcast_to(high, n))

    def flint_conjugate(self, z: Sequence[FlintNumber]) -> FlintNumber | None:
        """Return |z|^2/2 on the box."""
        total: FlintNumber = 0
        for (low, high), t in zip(self._ends_of(len(z)), z, strict=True):
            value = _conjugate_between(t, low, high)
            if value is None:
                return None
            total = total + value
        return total

    def flint_response(self, v: Sequence[FlintNumber]) -> list[FlintNumber]:
        """Return v clipped to the box."""
        return [_clipped(t, *ends) for ends, t in zip(self._ends_of(len(v)), v, strict=True)]

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return z^2/2 between the ends; raises NotApplicableError if they differ by coordinate."""
        return _conjugate_between(z, *self._common_ends())

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v clipped to the interval; raises NotApplicableError if the ends differ by coordinate."""
        return _clipped(v, *self._common_ends())

    def _common_ends(self) -> tuple[float, float]:
        if self.size is not None:
            raise NotApplicableError(f"activation {self.name!r}: the ends differ by coordinate: give them all")
        low, high = self._arrays
        return float(low), float(high)

    def _ends_of(self, n: int) -> list[tuple[float, float]]:
        self.check_size(n)
        low, high = (np.broadcast_to(end, n).tolist() for end in self._arrays)
        return list(zip(low, high, strict=True))


def _conjugate_between(z: FlintNumber, low: float, high: float) -> FlintNumber | None:
    """Return z^2/2 for low <= z <= high, else None; the ends may be infinite."""
    outside = (np.isfinite(low) and z < rational(low)) or (np.isfinite(high) and z > rational(high))
    return None if outside else half_square(z)


def _clipped(v: FlintNumber, low: float, high: float) -> FlintNumber:
    """Return v clipped to [low, high]; the ends may be infinite."""
    raised = larger(v, rational(low)) if np.isfinite(low) else v
    return smaller(raised, rational(high)) if np.isfinite(high) else raised


def _points_between(low: float, high: float) -> tuple[float, float]:
    """Return two numbers in the interval, its ends where they are finite."""
    if np.isfinite(low):
        return (low, high if np.isfinite(high) else low + max(1.0, abs(low)))
    return (high - max(1.0, abs(high)), high) if np.isfinite(high) else (0.0, 1.0)


def _points_beyond(low: float, high: float) -> tuple[float, float]:
    """Return two numbers on one side of the interval."""
    if np.isfinite(low):
        far = max(1.0, abs(low))
        return (low - 2 * far, low - far)
    far = max(1.0, abs(high))
    return (high + far, high + 2 * far)


@activation_named("box")
@dataclass(frozen=True)
class Box(_IntervalProjection):
    """The projection on the box [lower, upper], each end a number or one for each coordinate, possibly infinite."""

    lower: float | Vector = -1.0
    upper: float | Vector = 1.0

    def __post_init__(self) -> None:
        store(
            self,
            lower=scalar_or_vector(self, "lower", finite=False),
            upper=scalar_or_vector(self, "upper", finite=False),
        )
        low, high = self._arrays
        if low.ndim and high.ndim and low.shape != high.shape:
            raise refusal(self, "upper", f"must have as many entries as lower, {low.size}; got {high.size}")
        if not (low <= high).all():
            bad = np.argwhere(np.atleast_1d(low > high))[0].tolist() if low.ndim or high.ndim else ""
            raise refusal(self, "lower", f"must not exceed upper; entry {bad} does" if bad else "must not exceed upper")
        if (low == np.inf).any() or (high == -np.inf).any():
            raise refusal(self, "lower" if (low == np.inf).any() else "upper", "leaves no point: it is infinite")

    @property
    def ends(self) -> tuple[float | Vector, float | Vector]:
        """The parameters."""
        return (self.lower, self.upper)


@activation_named("nonnegative")
@dataclass(frozen=True)
class Nonnegative(_IntervalProjection):
    """The projection on the vectors with nonnegative entries: r(v) = max(0, v)."""

    @property
    def ends(self) -> tuple[float, float]:
        """0 and infinity."""
        return (0.0, np.inf)

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return max(0, v)."""
        return positive_part(v, out)


@activation_named("hard_tanh")
@dataclass(frozen=True)
class HardTanh(_IntervalProjection):
    """r(v) = max(-1, min(1, v)), the projection on [-1, 1]^n."""

    familiar: ClassVar[bool] = True

    @property
    def ends(self) -> tuple[float, float]:
        """-1 and 1."""
        return (-1.0, 1.0)


@activation_named("relu6")
@dataclass(frozen=True)
class Relu6(_IntervalProjection):
    """r(v) = max(0, min(6, v)), the projection on [0, 6]^n."""

    familiar: ClassVar[bool] = True

    @property
    def ends(self) -> tuple[float, float]:
        """0 and 6."""
        return (0.0, 6.0)


@activation_named("singleton")
@dataclass(frozen=True)
class Singleton(_IntervalProjection):
    """The projection on one point: r(v) = point, a number for all coordinates or one number for each."""

    point: float | Vector = 0.0

    def __post_init__(self) -> None:
        store(self, point=scalar_or_vector(self, "point"))

    @property
    def ends(self) -> tuple[float | Vector, float | Vector]:
        """The point, twice."""
        return (self.point, self.point)
