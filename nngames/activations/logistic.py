"""Sigmoids with parameters: logistic, the smoothed step heaviside_approx, and bipolar_sigmoid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import isinf

from nngames.activations.foundations.base import activation_named
from nngames.activations.foundations.formulas import combination, decimal, quotient
from nngames.activations.foundations.parameters import number, refusal, store
from nngames.activations.foundations.reparametrised import Reparametrised
from nngames.activations.foundations.slopes import SlopeEnd
from nngames.activations.sigmoids import ENTROPY, Sigmoid, Tanh

_SIGMOID, _TANH = Sigmoid(), Tanh()


@activation_named("logistic")
@dataclass(frozen=True)
class Logistic(Reparametrised):
    """r(v) = 1/(1 + e^(-s v - b)) with the slope s and the bias b.

    For s > 0: g(v) = log(1 + e^(s v + b))/s, g*(z) = (z log z + (1 - z) log(1 - z) - b z)/s on [0, 1]; slopes from 0
    at infinity to s/4 at -b/s. For s = 0 it is constant; for s < 0 the prox of nothing.
    """

    slope: float = 1.0
    bias: float = 0.0
    logistic_tail = True

    def __post_init__(self) -> None:
        store(self, slope=number(self, "slope"), bias=number(self, "bias"))

    @property
    def base(self) -> Sigmoid:
        """The sigmoid."""
        return _SIGMOID

    @property
    def inner(self) -> float:
        """s."""
        return self.slope

    @property
    def shift(self) -> float:
        """b."""
        return self.bias

    @property
    def scaled_formula(self) -> str | None:
        """The negative entropy of (z, 1 - z) less b z, over s, less z^2/2."""
        tilted = combination((1, ENTROPY), (-self.bias, "z"))
        return f"{tilted if self.slope == 1 else quotient(f'({tilted})', self.slope)} - z^2/2"


@activation_named("heaviside_approx")
@dataclass(frozen=True)
class HeavisideApprox(Reparametrised):
    """r(v) = 1/(1 + e^(-v/epsilon)) with epsilon > 0, which tends to the step at 0 as epsilon falls.

    g(v) = epsilon log(1 + e^(v/epsilon)), g*(z) = epsilon (z log z + (1 - z) log(1 - z)) on [0, 1]; slopes from 0 at
    infinity to 1/(4 epsilon) at 0.
    """

    epsilon: float = 0.25
    logistic_tail = True

    def __post_init__(self) -> None:
        store(self, epsilon=number(self, "epsilon", positive=True))
        if isinf(1 / self.epsilon):
            raise refusal(self, "epsilon", f"is so small that 1/epsilon overflows; got {self.epsilon!r}")

    @property
    def base(self) -> Sigmoid:
        """The sigmoid."""
        return _SIGMOID

    @property
    def inner(self) -> Fraction:
        """1/epsilon."""
        return 1 / Fraction(self.epsilon)

    @property
    def scaled_formula(self) -> str | None:
        """epsilon times the negative entropy of (z, 1 - z) less z^2/2."""
        entropy = ENTROPY if self.epsilon == 1 else f"{decimal(self.epsilon)}*({ENTROPY})"
        return f"{entropy} - z^2/2"

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Slopes from 0 at infinity to 1/(4 epsilon) at 0."""
        low, high = super().slope_range_exact
        if isinstance(high.number, Fraction) and high.number.denominator > 1000:
            high = replace(high, expression="1/(4 epsilon)", equation=f"epsilon = {self.epsilon!r}")
        return low, high


@activation_named("bipolar_sigmoid")
@dataclass(frozen=True)
class BipolarSigmoid(Reparametrised):
    """r(v) = (1 - e^-v)/(1 + e^-v) = tanh(v/2).

    g(v) = 2 log cosh(v/2), g*(z) = (1 + z) log(1 + z) + (1 - z) log(1 - z) on [-1, 1]; slopes from 0 at infinity to
    1/2 at 0.
    """

    @property
    def base(self) -> Tanh:
        """The hyperbolic tangent."""
        return _TANH

    @property
    def inner(self) -> float:
        """1/2."""
        return 0.5

    @property
    def scaled_formula(self) -> str | None:
        """2 z artanh z + log(1 - z^2) - z^2/2."""
        return "2*z*artanh(z) + ln(1 - z^2) - z^2/2"
