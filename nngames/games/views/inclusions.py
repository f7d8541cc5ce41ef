"""Games as inclusions 0 in dF(x) + M x + q, with their proximal steps and resolvents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

from nngames.core.operators import LinearMap
from nngames.core.profiles import Array


class Resolvent(ABC):
    """The resolvent of the operator x -> M x + q with one step.

    Attributes
    ----------
    passes : int
        How many passes over the game one call is worth, by its multiplications, rounded up.
    """

    passes: int

    @abstractmethod
    def __call__(self, u: Array) -> Array:
        """Return the x with x + step (M x + q) = u, as a new array."""


class Inclusion(ABC):
    """The inclusion 0 in dF(x) + M x + q, F convex and block-separable; its solutions are the game's equilibria.

    Where a penalty f_l is only weakly convex (S_l > 1), F_l = f_l + k_l |.|^2/2 with k_l = 1 - 1/S_l is convex and M
    carries -k_l: the inclusion is the same, split so that F is convex.
    """

    size: int

    @abstractmethod
    def operator(self, x: Array, out: Array) -> Array:
        """Write M x + q at x (size,) or (batch, size) into ``out`` and return it: one pass over the game."""

    @abstractmethod
    def prox(self, u: Array, step: float) -> Array:
        """Return the prox of step * F at u (..., size)."""

    @abstractmethod
    def response(self, x: Array, value: Array) -> Array:
        """Return R(x), the map of the game's residual, from ``value`` = M x + q, without another pass."""

    @property
    @abstractmethod
    def matrix(self) -> LinearMap:
        """M as a linear map. Raises NotApplicableError if a coupling is not linear."""

    @abstractmethod
    def resolvent(self, step: float) -> Resolvent:
        """Return u -> x with x + step (M x + q) = u; the factor of the last step is kept.

        Raises
        ------
        NotApplicableError
            If a coupling is not linear, a factor would be too large, or Id + step M is singular up to rounding.
        """

    @cached_property
    @abstractmethod
    def mean_singular_value(self) -> float:
        """The root mean square of the singular values of M, up to rounding; of matrix-free couplings, an estimate.

        Raises NotApplicableError if a coupling is not linear.
        """

    @cached_property
    @abstractmethod
    def norm_bound(self) -> float:
        """A safe upper bound on |M|; inf where none is known."""
