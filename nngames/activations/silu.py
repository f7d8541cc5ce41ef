"""The sigmoid linear unit v/(1 + e^-v), which is not monotone: it has a primitive and no penalty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from nngames.activations.base import Array, FlintNumber, activation_named
from nngames.activations.flint_forms import ball
from nngames.activations.rounding import dilogarithm, floating, wide
from nngames.activations.scalar import NonMonotoneActivation


@activation_named("silu")
@dataclass(frozen=True)
class Silu(NonMonotoneActivation):
    """r(v) = v/(1 + e^-v), also called swish.

    Its slope s (1 + v (1 - s)), s = 1/(1 + e^-v), is extreme where v tanh(v/2) = 2: at +-t with
    t = 2.3993572805..., the values are (2 +- t)/4.
    """

    @property
    def slope_range(self) -> tuple[float, float]:
        """(2 - t)/4 and (2 + t)/4, rounded outwards."""
        return (-0.09983932012886693, 1.099839320128867)

    @property
    def slope_range_exact(self) -> tuple[str, str]:
        """(2 - t)/4 and (2 + t)/4 with t tanh(t/2) = 2."""
        return ("(2 - t)/4, t tanh(t/2) = 2", "(2 + t)/4, t tanh(t/2) = 2")

    def __call__(self, v: ArrayLike, out: Array | None = None) -> Array:
        """Return v/(1 + e^-v)."""
        v = floating(v)
        return np.multiply(v, expit(v), out=out)

    def derivative(self, v: ArrayLike) -> Array:
        """Return s (1 + v (1 - s)) with s = 1/(1 + e^-v)."""
        v = floating(v)
        return expit(v) * (1 + v * expit(-v))

    def primitive(self, v: ArrayLike) -> Array:
        """Return v log(1 + e^v) + Li2(-e^v), by parts."""
        v = wide(v)
        with np.errstate(over="ignore"):
            # For v > 0: v (log(1 + e^v) - v/2) - pi^2/6 - Li2(-e^-v), which does not overflow early.
            rest = dilogarithm(-np.abs(v))
            right = v * (0.5 * v + np.log1p(np.exp(-np.abs(v)))) - np.pi**2 / 6 + rest
            left = np.minimum(v, 0.0) * np.log1p(np.exp(-np.abs(v))) - rest
        return np.where(v > 0, right, left)

    def flint_response_at(self, v: FlintNumber) -> FlintNumber:
        """Return v/(1 + e^-v)."""
        return ball(v) / (1 + (-ball(v)).exp())
