"""Activations that apply one function R -> R to each coordinate: their prox follows from r alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.base import Activation, Array, FlintNumber
from nngames.activations.domain import Domain
from nngames.activations.rounding import EPS, wide
from nngames.core.roots import increasing_root

_LARGEST = float(np.finfo(np.float64).max)


class ScalarActivation(Activation):
    """An activation that applies one function R -> R to each coordinate.

    A subclass gives ``__call__``, ``derivative``, ``primitive``, ``conjugate`` and ``gap``; the prox follows from r.
    """

    separable: ClassVar[bool] = True

    def jvp(self, v: Array, d: Array) -> Array:
        """Return r'(v) * d."""
        return self.derivative(v) * d

    @abstractmethod
    def derivative(self, v: ArrayLike) -> Array:
        """Return r'(v) elementwise; at kinks, a value between the one-sided slopes."""

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
