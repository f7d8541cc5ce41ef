"""The two problem views that connect games and schemes: a fixed-point map, and a monotone inclusion."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property

import numpy as np

from nngames.core.operators import LinearMap
from nngames.core.profiles import Array


class FixedPoint(ABC):
    """A map whose fixed points are the game's equilibria.

    Attributes
    ----------
    name : str
        ``"joint"`` for T, in which all players answer at once; ``"composite"`` for O, on a ring's last layer.
    size : int
        The size of the map's argument.
    """

    name: str
    size: int

    @abstractmethod
    def evaluate(self, x: Array, out: Array) -> Array:
        """Write the map's value at x (size,) into ``out`` and return it: one pass over the game."""

    @abstractmethod
    def restrict(self, profile: Array) -> Array:
        """Return the argument that a profile contains."""

    @abstractmethod
    def profile(self, x: Array) -> Array:
        """Return the profile of x after ``evaluate(x)``, at which the game's residual is |map(x) - x|."""

    @abstractmethod
    def linearise(self, x: Array) -> Callable[[Array], Array]:
        """Return d -> J(x) d for directions (size,) or (count, size).

        J is the derivative where there is one; else what the chain rule makes of elements of the parts' generalised
        Jacobians, which serves semismooth Newton steps. One pass over the game prepares it, and each direction is one
        pass more.
        """


class Inclusion(ABC):
    """The inclusion 0 in dF(x) + M x + q, F convex and block-separable; its solutions are the game's equilibria.

    Where a penalty f_l is only weakly convex (S_l > 1), F_l = f_l + k_l |.|^2/2 with k_l = 1 - 1/S_l is convex and M
    carries -k_l: the inclusion is the same, split so that F is convex.
    """

    size: int

    @abstractmethod
    def operator(self, x: Array, out: Array) -> Array:
        """Write M x + q at x (size,) into ``out`` and return it: one pass over the game."""

    @abstractmethod
    def prox(self, u: Array, step: float) -> Array:
        """Return the prox of step * F at u."""

    @abstractmethod
    def response(self, x: Array, value: Array) -> Array:
        """Return R(x), the map of the game's residual, from ``value`` = M x + q, without another pass."""

    @property
    @abstractmethod
    def matrix(self) -> LinearMap:
        """M as a linear map. Raises NotApplicableError if a coupling is not linear."""

    @cached_property
    @abstractmethod
    def norm_bound(self) -> float:
        """A safe upper bound on |M|; inf where none is known."""


def copy_into(source: Array, out: Array) -> Array:
    """Copy ``source`` into ``out`` and return it."""
    np.copyto(out, source)
    return out
