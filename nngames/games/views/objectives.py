"""Games as costs that are lowered: a convex minimisation, a descent, moves in turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nngames.core.profiles import Array


class Minimisation(ABC):
    """The problem min_{x in C} phi(x), phi convex with Lipschitz gradient; its solutions are the game's equilibria.

    phi = sum_t omega_t phi_t is a sum over samples; phi and C are sums and products over the players. Of the diagonal
    matrices L (``curvature``), D (``metric``) and kappa D_0 (``dominance``, ``own_curvature``) each M has
    <phi'(x) - phi'(y), d> <= <M d, d> with d = x - y, and P_C is the projection in the norm of M too: so Id - M^-1 phi'
    and P_C are firmly nonexpansive in that norm, x -> P_C(x - M^-1 phi'(x)) is averaged with 2/3, without bounds with
    1/2, and its fixed points are the solutions.

    The residual is that of M = kappa D_0, each coordinate in its unit u and the whole times kappa:

        kappa u [P_C(x - phi'(x) / (kappa D_0)) - x],    without bounds - u phi'(x) / D_0.

    Coordinates of any size count alike in it, and a large curvature of some does not hide how far the others are.

    Attributes
    ----------
    size : int
    samples : int
        T.
    """

    size: int
    samples: int

    @abstractmethod
    def value(self, x: Array) -> float:
        """Return phi(x)."""

    @abstractmethod
    def gradient(self, x: Array, out: Array) -> Array:
        """Write phi'(x) into ``out`` and return it: one pass over the samples."""

    @abstractmethod
    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        """Return phi(x) and phi'(x), a fresh array: one pass for both."""

    @abstractmethod
    def project(self, x: Array) -> Array:
        """Return P_C(x): x itself where C is the whole space."""

    @property
    @abstractmethod
    def constrained(self) -> bool:
        """Whether C is smaller than the whole space."""

    @property
    @abstractmethod
    def curvature(self) -> Array:
        """Safe upper bounds L_l (size,) on the curvature of phi, one number on each player's action."""

    @property
    @abstractmethod
    def units(self) -> Array:
        """u (size,), positive: what a change of a coordinate by 1 changes of what the samples see, in mean square."""

    @property
    @abstractmethod
    def own_curvature(self) -> Array:
        """D_0 (size,), the curvature along each coordinate by itself."""

    @property
    @abstractmethod
    def dominance(self) -> Array:
        """Safe kappa >= 1 (size,), one number on each player's action, with the curvature of phi at most kappa D_0."""

    @property
    @abstractmethod
    def metric(self) -> Array:
        """D (size,), safe and at most kappa D_0."""

    def residuals(self, x: Array, gradient: Array) -> Array:
        """Return the vector of the residual at x from phi'(x)."""
        if not self.constrained:
            return -(self.units / self.own_curvature) * gradient
        step = gradient / (self.dominance * self.own_curvature)
        ahead = x - step
        moved = self.project(ahead)
        # Where nothing is projected, the difference of large numbers would lose the step.
        return self.dominance * self.units * np.where(moved == ahead, -step, moved - x)

    @property
    @abstractmethod
    def printed_curvature(self) -> Array:
        """2 sum_t omega_t |A_t|^2 (size,) on each player's action, A_t the linear map of its parameters at sample t."""

    @abstractmethod
    def hessian(self, x: Array) -> Callable[[Array], Array]:
        """Return d -> H d, H the Hessian at x or, at kinks, an element of Clarke's; each product is two passes."""

    @abstractmethod
    def precondition(self, d: Array) -> Array:
        """Return B d, B symmetric, positive definite and close to the inverse of the Hessian where the slopes are 1."""

    @abstractmethod
    def part(self, samples: NDArray[np.intp]) -> Minimisation:
        """Return the problem of the sum over those samples, each with its own omega_t."""


class Descent(ABC):
    """One differentiable function of a whole profile, a mean over samples, which need not be convex.

    Attributes
    ----------
    samples : int
    constrained : bool
        Whether ``project`` moves anything.
    """

    samples: int
    constrained: bool

    @abstractmethod
    def value_and_gradient(self, x: Array, rows: NDArray[np.intp] | None = None) -> tuple[float, Array]:
        """Return the function and its gradient, on all samples or on some."""

    @abstractmethod
    def project(self, x: Array) -> Array:
        """Return the nearest profile that is allowed."""

    @abstractmethod
    def natural_step(self, x: Array, gradient: Array) -> Array:
        """Return P(x - E'(x)) - x from E'(x); without constraints it is -E'(x), whatever the size of x."""


class Alternation(ABC):
    """A game whose players improve in turn, each by moves that lower a common function.

    Attributes
    ----------
    turns : int
        How many moves a round has.
    passes : int
        How many passes over the game a round is worth.
    """

    turns: int
    passes: int

    @property
    @abstractmethod
    def obstacle(self) -> str | None:
        """Why the residual might not tend to 0 in the rounds; None where it is proved to."""

    @abstractmethod
    def move(self, x: Array, turn: int) -> Array:
        """Return the profile (N,) after that move, a fresh array, with no larger cost of the mover and function."""

    @abstractmethod
    def value(self, x: Array) -> float:
        """Return the common function."""
