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
from nngames.activations.numerics.elementwise import blockwise
from nngames.activations.numerics.rounding import EPS, floating, wide
from nngames.core.errors import DomainError, NotApplicableError
from nngames.core.roots import increasing_root

_LINE = Interval()
_LARGEST = float(np.finfo(np.float64).max)


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
        return blockwise(self._response, self._admitted(v), out)

    def derivative(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return r'(v) elementwise, into ``out`` if given; at kinks, a value between the one-sided slopes.

        Raises
        ------
        DomainError
            As for r itself.
        """
        return blockwise(self._slope, self._admitted(v), out)

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
        # Where u is about 1e308 times the step, w overflows and p is a limit of r.
        with np.errstate(over="ignore", invalid="ignore"):
            root = increasing_root(
                lambda w: (1 - steps) * self(w) + steps * w - point,
                lambda w: (1 - steps) * self.derivative(w) + steps,
                point,
                noise=lambda w: EPS * (np.abs((1 - steps) * self(w)) + np.abs(steps * w) + np.abs(point)),
            )
        return self(np.clip(root, -_LARGEST, _LARGEST))

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
