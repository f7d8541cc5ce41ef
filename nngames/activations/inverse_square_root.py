"""The inverse square root unit v/sqrt(1 + k v^2) and the inverse square root linear unit, its left half and a line."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from nngames.activations.foundations.arcs import Arc, LeftArc
from nngames.activations.foundations.base import activation_named
from nngames.activations.foundations.formulas import decimal, multiple
from nngames.activations.foundations.parameters import number, refusal, store
from nngames.activations.foundations.reparametrised import Reparametrised
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.linear import Identity


@activation_named("isru")
@dataclass(frozen=True)
class Isru(Reparametrised):
    """The inverse square root unit r(v) = v/sqrt(1 + k v^2) with k = 1 + excess >= 0.

    For k > 0: g(v) = (sqrt(1 + k v^2) - 1)/k, g*(z) = (1 - sqrt(1 - k z^2))/k on [-1/sqrt(k), 1/sqrt(k)]; slopes
    (1 + k v^2)^(-3/2) fill (0, 1]. For k = 0 it is the identity.
    """

    excess: float = 1.0

    def __post_init__(self) -> None:
        excess = number(self, "excess")
        if excess < -1:
            raise refusal(self, "excess", f"must be at least -1, for 1 + excess >= 0; got {excess!r}")
        store(self, excess=excess)

    @cached_property
    def base(self) -> ScalarActivation:
        """Itself: the arc, or the identity."""
        k = 1 + Fraction(self.excess)
        return Arc(k) if k else Identity()

    @property
    def scaled_formula(self) -> str | None:
        """(1 - sqrt(1 - k z^2))/k - z^2/2, or 0 for k = 0."""
        return _arc_formula("z", float(1 + Fraction(self.excess)))


@activation_named("isrlu")
@dataclass(frozen=True)
class Isrlu(Reparametrised):
    """The inverse square root linear unit: r(v) = v/sqrt(1 + k v^2) for v < 0, v for v >= 0, with lambda_ = k >= 0.

    For k > 0: g(v) = (sqrt(1 + k v^2) - 1)/k or v^2/2, g*(z) = (1 - sqrt(1 - k z^2))/k or z^2/2 on [-1/sqrt(k), inf);
    slopes fill (0, 1]. For k = 0 it is the identity.
    """

    lambda_: float = 1.0

    def __post_init__(self) -> None:
        k = number(self, "lambda_")
        if k < 0:
            raise refusal(self, "lambda_", f"must not be negative; got {k!r}")
        store(self, lambda_=k)

    @cached_property
    def base(self) -> ScalarActivation:
        """Itself: the line and the arc, or the identity."""
        return LeftArc(Fraction(self.lambda_)) if self.lambda_ else Identity()

    @property
    def scaled_formula(self) -> str | None:
        """That of isru at min(z, 0)."""
        return _arc_formula("min(z, 0)", self.lambda_)


def _arc_formula(entry: str, k: float) -> str:
    """Return (1 - sqrt(1 - k m^2))/k - m^2/2 for an entry m as a formula, 0 for k = 0."""
    if k == 0:
        return "0"
    arc = f"1 - sqrt(1 - {multiple(k, f'{entry}^2')})"
    return f"{arc if k == 1 else f'({arc})/{decimal(k)}'} - {entry}^2/2"
