"""Piecewise-linear activations: identity, linear, relu, leaky_relu, prelu, hard_tanh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.base import Array, ScalarActivation, activation_named
from nngames.activations.domain import Domain, Interval


@activation_named("identity")
@dataclass(frozen=True)
class Identity(ScalarActivation):
    """r(v) = v, the prox of f = 0; g(v) = g*(v) = v^2/2."""

    piecewise_linear = True

    @property
    def slope_range(self) -> tuple[float, float]:
        """All slopes are 1."""
        return (1.0, 1.0)

    @property
    def slope_range_exact(self) -> tuple[str, str]:
        """All slopes are 1."""
        return ("1", "1")

    @property
    def domain(self) -> Domain:
        """R^n."""
        return Interval()

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return v."""
        if out is None:
            return np.array(v, copy=True)
        if out is not v:
            np.copyto(out, v)
        return out

    def derivative(self, v: ArrayLike) -> Array:
        """Return 1."""
        return np.ones_like(v)

    def primitive(self, v: ArrayLike) -> Array:
        """Return v^2/2."""
        return 0.5 * np.square(v)

    def conjugate(self, z: ArrayLike) -> Array:
        """Return z^2/2."""
        return 0.5 * np.square(z)

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Return (x - v)^2/2."""
        value = 0.5 * np.square(x - v)
        return value, 4 * np.finfo(float).eps * value
