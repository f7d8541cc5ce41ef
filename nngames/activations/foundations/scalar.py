"""Activations that apply one function R -> R to each coordinate: their prox follows from r alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Activation, Array, FlintNumber
from nngames.activations.foundations.charts import SlopePart
from nngames.activations.foundations.domain import Domain, Interval
from nngames.activations.numerics.elementwise import BLOCK, blockwise
from nngames.activations.numerics.rounding import EPS, floating, wide
from nngames.core.errors import DomainError, NotApplicableError
from nngames.core.roots import increasing_root

_LINE = Interval()
#: Beyond it a response is affine to rounding.
_FAR = 2.0**1000


class ScalarActivation(Activation):
    """An activation that applies one function R -> R to each coordinate.

    A subclass gives the kernels ``_response`` and ``_slope``, and ``primitive``, ``conjugate`` and ``gap``; the prox
    follows from r.
    """

    separable: ClassVar[bool] = True

    @property
    def inputs(self) -> Interval:
        """Where r is defined: the line for most, else an open interval beyond which it raises DomainError."""
        return _LINE

    @property
    def defined_everywhere(self) -> bool:
        """Whether ``inputs`` is the line."""
        return self.inputs == _LINE

    @property
    @abstractmethod
    def limits(self) -> tuple[float, float]:
        """The limits of r at the ends of ``inputs``; NaN where there is none."""

    def slope_charts(self) -> tuple[SlopePart, ...]:
        """Return the parts of the line, from left to right, by which the slope range is proved in ball arithmetic.

        Raises
        ------
        NotApplicableError
            If none are known.
        """
        raise NotApplicableError(f"no charts of the slope of {self.name!r} are known")

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return r(v), into ``out`` if given (``out`` may be v itself).

        Raises
        ------
        DomainError
            If r is not defined everywhere, and not at an entry of v; the message names the first one.
        """
        v = self._admitted(v)
        # A small array needs no blocks: this saves what a call takes.
        return self._response(v, None) if out is None and v.size <= BLOCK else blockwise(self._response, v, out)

    def derivative(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return r'(v) elementwise, into ``out`` if given; at kinks, a value between the one-sided slopes.

        Raises
        ------
        DomainError
            As for r itself.
        """
        v = self._admitted(v)
        return self._slope(v, None) if out is None and v.size <= BLOCK else blockwise(self._slope, v, out)

    @abstractmethod
    def _response(self, v: Array, out: Array | None) -> Array:
        """Return r(v) in the precision of v, into ``out`` if given; ``out`` may be v."""

    @abstractmethod
    def _slope(self, v: Array, out: Array | None) -> Array:
        """Return r'(v) in the precision of v, into ``out`` if given; ``out`` may be v."""

    def _admitted(self, v: ArrayLike) -> Array:
        """Return v as an array, or raise DomainError where r is not defined."""
        v = floating(v)
        ends = self.inputs
        if ends is _LINE:
            return v
        # In double precision, for an end may be beyond the largest number of single precision.
        bad = ~((wide(v) > ends.lower) & (wide(v) < ends.upper))
        if bad.any():
            place = np.unravel_index(int(np.argmax(bad)), bad.shape)
            where = f"entry {[int(i) for i in place]}" if v.ndim else "the argument"
            raise DomainError(
                f"activation {self.name!r} is defined on ({ends.lower:.6g}, {ends.upper:.6g}) only; {where} is "
                f"{float(v[place])!r}"
            )
        return v

    def jvp(self, v: Array, d: Array) -> Array:
        """Return r'(v) * d."""
        return self.derivative(v) * d

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return prox of step * f at u elementwise; ``step`` may vary by coordinate.

        Notes
        -----
        p = r(w) with (1 - step) r(w) + step w = u: the optimality condition of p at the pre-activation w of p. Its left
        side increases in w iff step <= 1 or step < S/(S - 1), which ``check_step`` requires.
        """
        steps = self.check_step(step)
        point = wide(u)
        if np.all(steps == 1.0):
            return self(np.broadcast_to(point, np.broadcast_shapes(point.shape, steps.shape)).copy())
        point, steps = np.broadcast_arrays(point, steps)
        # Divided by long steps, for neither side to overflow.
        unit = np.maximum(steps, 1.0)
        target = point / unit
        return self.mixed_response((1 - steps) / unit, steps / unit, 1 / unit, target, target)

    def mixed_response(
        self, share: Array, weight: Array, total: Array, target: Array, level: Array, factor: float = 1.0
    ) -> Array:
        """Return factor * r(w) at the w with share r(w) + weight w = target, the left side increasing; weight > 0.

        Parameters
        ----------
        share, weight, total : ndarray
            ``total`` is share + weight, which the caller knows better than that sum.
        target, level : ndarray
            ``level`` is factor * target, finite where the target overflows.
        factor : float

        Notes
        -----
        Where share < 0 the equation is solved as total r(w) + weight (w - r(w)) = target: next to points where r
        touches the identity, long steps magnify w - r(w). Where w would overflow, r is as good as affine.
        """
        falling = share < 0
        some_fall = bool(falling.any())

        def sides(w: Array) -> tuple[Array, Array]:
            response = self(w)
            if not some_fall:
                return share * response + weight * w, np.abs(share * response) + np.abs(weight * w)
            beyond, error = self.shortfall(w, response)
            first = np.where(falling, total, share) * response
            return (
                first + weight * np.where(falling, beyond, w),
                np.abs(first) + weight * np.where(falling, error / EPS, np.abs(w)),
            )

        with np.errstate(over="ignore", invalid="ignore"):
            far = np.abs(target) > _FAR
            ends = np.where(far, np.copysign(_FAR, target), 0.0)
            far &= np.abs(target) > np.abs(sides(ends)[0])
            goal = np.where(far, 0.0, target)
            root = increasing_root(
                lambda w: sides(w)[0] - goal,
                lambda w: share * self.derivative(w) + weight,
                goal,
                noise=lambda w: EPS * (sides(w)[1] + np.abs(goal)),
            )
            value = factor * self(root)
            if not far.any():
                return value
            response, half = self(ends), self(0.5 * ends)
            span = np.where(far, 0.5 * ends, 1.0)
            slope = (response - half) / span
            rest = (self.shortfall(ends, response)[0] - self.shortfall(0.5 * ends, half)[0]) / span
            growth = np.where(falling, total * slope + weight * rest, share * slope + weight)
            flat = ~far | (slope == 0)
            rise = slope * ((level - factor * sides(ends)[0]) / np.where(flat, 1.0, growth))
            return np.where(far, factor * response + np.where(flat, 0.0, rise), value)

    def shortfall(self, w: Array, response: Array) -> tuple[Array, Array]:
        """Return w - r(w), given r(w), and the size of its error: relative rounding where r touches the identity."""
        return w - response, EPS * (np.abs(w) + np.abs(response))

    def flint_conjugate(self, z: Sequence[FlintNumber]) -> FlintNumber | None:
        """Return the sum of ``flint_conjugate_at`` over the coordinates; None if one is off dom f."""
        total: FlintNumber = 0
        for coordinate in z:
            value = self.flint_conjugate_at(coordinate)
            if value is None:
                return None
            total = total + value
        return total

    def flint_response(self, v: Sequence[FlintNumber]) -> list[FlintNumber]:
        """Return ``flint_response_at`` of each coordinate."""
        return [self.flint_response_at(coordinate) for coordinate in v]

    def flint_conjugate_at(self, z: FlintNumber) -> FlintNumber | None:
        """Return g* of one coordinate; see ``flint_conjugate``."""
        return super().flint_conjugate([z])

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return r of one coordinate; see ``flint_response``."""
        return super().flint_response([v])[0]


class NonMonotoneActivation(ScalarActivation):
    """A scalar activation that decreases somewhere: it has a primitive, but no penalty, conjugate, prox or gap."""

    @property
    def domain(self) -> Domain:
        """There is no penalty. Raises NotApplicableError."""
        raise self.no_penalty()

    def conjugate(self, z: ArrayLike) -> Array:
        """Raise NotApplicableError: there is no conjugate."""
        raise self.no_penalty()

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Raise NotApplicableError: there is no Fenchel-Young gap."""
        raise self.no_penalty()
