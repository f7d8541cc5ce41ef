"""Scaled and mirrored softplus: softplus with a scale, and log_sigmoid."""

from __future__ import annotations

from dataclasses import dataclass

from nngames.activations.foundations.base import activation_named
from nngames.activations.foundations.formulas import combination, decimal, quotient
from nngames.activations.foundations.parameters import number, store
from nngames.activations.foundations.reparametrised import Reparametrised
from nngames.activations.softplus import SoftplusBeta

_SOFTPLUS = SoftplusBeta()


@activation_named("softplus")
@dataclass(frozen=True)
class Softplus(Reparametrised):
    """r(v) = s log(1 + e^v) with the scale s.

    For s > 0: g(v) = -s Li2(-e^v), g*(z) = s G(z/s) on [0, inf) with G(y) = y^2/2 + Li2(e^-y) - pi^2/6; slopes from 0
    at -infinity to s at infinity. For s = 0: dom f is the point 0. For s < 0 it is the prox of nothing.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        store(self, scale=number(self, "scale"))

    @property
    def base(self) -> SoftplusBeta:
        """softplus_beta with beta = 1."""
        return _SOFTPLUS

    @property
    def outer(self) -> float:
        """s."""
        return self.scale

    @property
    def scaled_formula(self) -> str | None:
        """s (Li2(e^(-z/s)) - pi^2/6) + (1/s - 1) z^2/2."""
        s = self.scale
        total = f"Li2(e^({quotient('-z', s)})) - pi^2/6"
        return combination((1, total if s == 1 else f"{decimal(s)}*({total})"), ((1 / s - 1) / 2, "z^2"))


@activation_named("log_sigmoid")
@dataclass(frozen=True)
class LogSigmoid(Reparametrised):
    """r(v) = -log(1 + e^-v), the logarithm of the sigmoid: softplus turned by half a turn.

    g(v) = -Li2(-e^-v), g*(z) = z^2/2 + Li2(e^z) - pi^2/6 on (-inf, 0]; slopes from 1 at -infinity to 0 at infinity.
    """

    @property
    def base(self) -> SoftplusBeta:
        """softplus_beta with beta = 1."""
        return _SOFTPLUS

    @property
    def outer(self) -> float:
        """-1."""
        return -1.0

    @property
    def inner(self) -> float:
        """-1."""
        return -1.0

    @property
    def scaled_formula(self) -> str | None:
        """Li2(e^z) - pi^2/6."""
        return "Li2(e^z) - pi^2/6"
