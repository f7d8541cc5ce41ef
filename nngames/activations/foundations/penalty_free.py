"""Maps that are the gradient of nothing, so that they have no primitive, penalty, conjugate, prox or gap."""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction
from typing import ClassVar

from numpy.typing import ArrayLike

from nngames.activations.foundations.base import Activation, Array
from nngames.activations.foundations.domain import Domain
from nngames.activations.foundations.slopes import SlopeEnd, rational_end
from nngames.core.errors import NotApplicableError, ShapeError


class PenaltyFreeActivation(Activation):
    """A map whose Jacobians are not symmetric.

    That its slopes and its Lipschitz constant are known up to bounds says nothing about the infimum of its averagedness
    constants: for symmetric Jacobians alone that infimum is (1 - s)/2.
    """

    gradient = False

    @property
    def domain(self) -> Domain:
        """There is no penalty. Raises NotApplicableError."""
        raise self.no_penalty()

    @property
    def averagedness(self) -> float | None:
        """The infimum is not known. Raises NotApplicableError."""
        raise unknown_averagedness(self)

    def primitive(self, v: ArrayLike) -> Array:
        """Raise NotApplicableError: there is no primitive."""
        raise NotApplicableError(f"activation {self.name!r} is the gradient of no function: {self.gradient_obstacle}")

    @property
    def gradient_obstacle(self) -> str:
        """Why r is no gradient."""
        return "its Jacobians are not symmetric"

    def conjugate(self, z: ArrayLike) -> Array:
        """Raise NotApplicableError: there is no conjugate."""
        raise self.no_penalty()

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Raise NotApplicableError: there is no penalty."""
        raise self.no_penalty()

    def gap(self, x: Array, v: Array) -> tuple[Array, Array]:
        """Raise NotApplicableError: there is no Fenchel-Young gap."""
        raise self.no_penalty()


def unknown_averagedness(activation: Activation) -> NotApplicableError:
    """Return the error for a map whose Jacobians are not symmetric, with what its Lipschitz bound L gives."""
    bound = activation.lipschitz
    known = (
        f"as a map with Lipschitz constant at most {bound:.6g} it is averaged with {0.5 + 0.5 * bound:.6g}"
        if bound < 1
        else f"its Lipschitz bound {bound:.6g} is not below 1, where it would be averaged"
    )
    return NotApplicableError(
        f"the infimum of the averagedness constants of {activation.name!r} is not known, since its Jacobians are not "
        f"symmetric; {known}"
    )


def bound_ends(bound: float, expression: str, equation: str, n: int) -> tuple[SlopeEnd, SlopeEnd]:
    """Return the ends of a slope range of which only a bound on the sizes is known: no pair of points belongs to it."""
    if bound == 0:
        pair = ((0.0,) * n, (1.0,) * n)
        return rational_end(0, pair), rational_end(0, pair)
    number = Fraction(bound)
    return (
        SlopeEnd(f">= -{expression}", -number, ((), ()), False, equation),
        SlopeEnd(f"<= {expression}", number, ((), ()), False, equation),
    )


class OutsideMap(PenaltyFreeActivation):
    """A map of R^n into another space: it takes arrays (..., n), but is no response of a layer.

    A subclass gives ``__call__``, ``jvp``, ``vjp``, ``lipschitz`` and ``flint_response``.
    """

    self_map = False
    #: The spaces, as ``R^n to R``.
    maps: ClassVar[str]
    #: What a layer can use in its place.
    instead: ClassVar[str]

    @property
    @abstractmethod
    def lipschitz(self) -> float:
        """The Lipschitz constant of r; inf if there is none."""

    @abstractmethod
    def vjp(self, v: Array, u: Array) -> Array:
        """Return J(v)' u."""

    @property
    def gradient_obstacle(self) -> str:
        """Why r is no gradient."""
        return f"it maps {self.maps}"

    @property
    def slope_range_exact(self) -> tuple[SlopeEnd, SlopeEnd]:
        """Raise NotApplicableError: slopes belong to maps of a space into itself."""
        raise NotApplicableError(
            f"activation {self.name!r} maps {self.maps}, so it has no slopes; its Lipschitz constant is "
            f"{self.lipschitz:g}"
        )

    @property
    def averagedness(self) -> float | None:
        """None: averaged maps are maps of a space into itself."""
        return None

    @property
    def not_averaged_because(self) -> str | None:
        """It is no map of a space into itself."""
        return f"it maps {self.maps}"

    @property
    def penalty_obstacle(self) -> str:
        """Why r is the prox of nothing."""
        return f"activation {self.name!r} maps {self.maps}, so it is the prox of no function"

    def no_penalty(self) -> NotApplicableError:
        """Return the error that says why r is the prox of nothing."""
        return NotApplicableError(f"{self.penalty_obstacle}: {self.instead}")

    def check_size(self, n: int) -> None:
        """Raise ShapeError: no layer can use this map as its response."""
        raise ShapeError(
            f"activation {self.name!r} maps {self.maps}; the response of a layer of size {n} must map R^{n} into "
            f"itself: {self.instead}"
        )
