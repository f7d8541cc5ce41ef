"""Scaled exponential linear units: selu with the constants of its authors and as printed, and celu."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import isinf

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.elu import Elu, left_formula
from nngames.activations.foundations.base import Array, activation_named
from nngames.activations.foundations.formulas import combination, decimal
from nngames.activations.foundations.parameters import number, refusal, store
from nngames.activations.foundations.reparametrised import Reparametrised
from nngames.activations.foundations.slopes import SlopeEnd
from nngames.activations.numerics.rounding import wide

#: The constants for which mean 0 and variance 1 are a fixed point (Klambauer et al. 2017), as the nearest floats.
LAMBDA, ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
#: The product of the constants that the source prints, decimals and not floats.
_AS_PRINTED = Fraction("0.0507") * Fraction("0.6733")
_ELU, _ELU_ALPHA = Elu(), Elu(ALPHA)


@activation_named("selu")
@dataclass(frozen=True)
class Selu(Reparametrised):
    """r(v) = lambda v for v > 0 and lambda alpha (e^v - 1) for v <= 0, lambda = 1.0507..., alpha = 1.6732...

    lambda times elu(alpha): g(v) = lambda v^2/2 or lambda alpha (e^v - 1 - v); g*(z) = z^2/(2 lambda) on the right and
    (z + lambda alpha) log(1 + z/(lambda alpha)) - z on [-lambda alpha, 0]. Slopes from 0 at -infinity to lambda alpha
    left of 0: f is weakly convex.
    """

    @property
    def base(self) -> Elu:
        """elu with this alpha."""
        return _ELU_ALPHA

    @property
    def outer(self) -> float:
        """lambda."""
        return LAMBDA

    @property
    def scaled_formula(self) -> str | None:
        """(1/lambda - 1) z^2/2 on the right, and the left half with lambda alpha."""
        return _bent_formula(LAMBDA, LAMBDA * ALPHA)

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 at -infinity to lambda alpha left of 0."""
        low, high = super().slope_range_exact
        return low, replace(high, expression="lambda alpha", equation=f"lambda = {LAMBDA!r}, alpha = {ALPHA!r}")


@activation_named("selu_as_printed")
@dataclass(frozen=True)
class SeluAsPrinted(Reparametrised):
    """r(v) = c v for v > 0 and c (e^v - 1) for v <= 0, c = 0.0507 * 0.6733 = 0.03413631.

    The source prints lambda alpha (e^v - 1) and lambda alpha v with (alpha, lambda) = (0.0507, 0.6733): the decimals of
    selu's constants without their leading 1, and a line of slope lambda alpha in place of lambda. Slopes in (0, c].
    """

    @property
    def base(self) -> Elu:
        """elu with alpha = 1."""
        return _ELU

    @property
    def outer(self) -> Fraction:
        """c, the product of the decimals."""
        return _AS_PRINTED

    @property
    def scaled_formula(self) -> str | None:
        """(1/c - 1) z^2/2 on the right, and the left half with c."""
        return _bent_formula(float(self.outer), float(self.outer))


@activation_named("celu")
@dataclass(frozen=True)
class Celu(Reparametrised):
    """r(v) = v for v > 0 and a (e^(v/a) - 1) for v <= 0, with alpha = a > 0.

    g(v) = v^2/2 or a^2 (e^(v/a) - 1 - v/a); g*(z) = z^2/2 on the right and a ((z + a) log(1 + z/a) - z) on [-a, 0].
    Slopes from 0 at -infinity to 1 at 0, where r is differentiable.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        store(self, alpha=number(self, "alpha", positive=True))
        if isinf(1 / self.alpha):
            raise refusal(self, "alpha", f"is so small that 1/alpha overflows; got {self.alpha!r}")

    @property
    def base(self) -> Elu:
        """elu with alpha = 1."""
        return _ELU

    @property
    def outer(self) -> float:
        """a."""
        return self.alpha

    @property
    def inner(self) -> Fraction:
        """1/a."""
        return 1 / Fraction(self.alpha)

    @property
    def scaled_formula(self) -> str | None:
        """0 on the right, and a times the left half of elu with a."""
        left = left_formula(self.alpha)
        return f"{left if self.alpha == 1 else f'{decimal(self.alpha)}*({left})'} - min(z, 0)^2/2"

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return u itself for u >= 0, where f = 0."""
        point = wide(u)
        return np.where(point >= 0, point, super().prox(np.minimum(point, 0.0), step))

    def _response(self, v: Array, out: Array | None) -> Array:
        """Return v itself on the right, and where v/a would underflow."""
        below = np.asarray(np.minimum(v, 0.0))
        with np.errstate(over="ignore"):
            left = np.expm1(below / self.alpha)
        left *= self.alpha
        if self.alpha > 1:
            lost = below > -self.alpha * np.finfo(v.dtype).tiny
            lost &= below < 0
            if lost.any():
                left = np.where(lost, below, left)
        return np.add(np.maximum(v, 0.0, out=out), left, out=out)


def _bent_formula(line: float, depth: float) -> str:
    """Return the formula for the slope ``line`` on the right and depth (e^v - 1) on the left."""
    return combination((1, left_formula(depth)), (-0.5, "min(z, 0)^2"), ((1 / line - 1) / 2, "max(z, 0)^2"))
