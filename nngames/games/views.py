"""The problem views of games for schemes: a fixed-point map, an inclusion, a convex minimisation, moves in turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import NotApplicableError
from nngames.core.operators import LinearMap
from nngames.core.pieces import pieces
from nngames.core.profiles import Array
from nngames.networks.bound_passes import BoundPass
from nngames.networks.column_passes import ColumnPass
from nngames.networks.compiled.maps import FusedMap
from nngames.networks.elimination import Elimination
from nngames.networks.piecewise import Visit


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

    def evaluate_by_pieces(self, x: Array, out: Array, visit: Visit) -> None:
        """Write the map's value at x into ``out`` and visit the pieces of it, each soon after it is there."""
        self.evaluate(x, out)
        for piece in pieces(self.size):
            visit(piece)

    def from_base(self) -> BoundPass | None:
        """Return the map as passes of one run that read large weights in single precision; None where there are none.

        Their rounding is that of single precision relative to the distance from a base, an earlier argument.
        """
        return None

    @property
    def fused(self) -> FusedMap | None:
        """The map packed for the compiled kernels; None where they do not take it."""
        return None

    @abstractmethod
    def restrict(self, profile: Array) -> Array:
        """Return the argument that a profile contains."""

    @abstractmethod
    def profile(self, x: Array) -> Array:
        """Return the profile of x after ``evaluate(x)``, at which the game's residual is |map(x) - x|.

        Of an x beyond the set of allowed actions it is one of the set, and the residual at most that.
        """

    def told(self, x: Array) -> tuple[Array, float, float] | None:
        """Return the profile of x, the game's residual there and its rounding, where one pass from x tells them."""
        return None

    def rounding(self, profiles: Array) -> float:
        """Return how much of the game's residual at any of the profiles the map's on columns may lack, in double."""
        return 0.0

    @abstractmethod
    def linearise(self, x: Array) -> Callable[[Array], Array]:
        """Return d -> J(x) d for directions (size,) or (count, size).

        J is the derivative where there is one; else what the chain rule makes of elements of the parts' generalised
        Jacobians, which serves semismooth Newton steps. One pass over the game prepares it, and each direction is one
        pass more.
        """

    def jacobian(self, x: Array) -> Array:
        """Return the matrix (size, size) of ``linearise(x)``."""
        return self.linearise(x)(np.eye(self.size, dtype=x.dtype)).T

    @property
    def elimination(self) -> Elimination | None:
        """What reduces systems with Id - J to a smaller matrix; None where only J itself is known."""
        return None

    def columns(self, dtype: np.dtype[Any]) -> ColumnPass:
        """Return the map on many arguments at once, in that precision.

        Raises
        ------
        NotApplicableError
            If the map takes one at a time.
        """
        raise NotApplicableError(f"this {self.name} map takes one argument at a time")


class ProfileMap(FixedPoint):
    """A fixed-point map on whole profiles."""

    name = "joint"

    def restrict(self, profile: Array) -> Array:
        """Return the profile itself."""
        return profile

    def profile(self, x: Array) -> Array:
        """Return x itself."""
        return x


class BatchView:
    """A fixed-point map on many arguments at once, which it holds as columns (rows, batch)."""

    def __init__(self, view: FixedPoint, dtype: np.dtype[Any]) -> None:
        self._view, self._columns = view, view.columns(dtype)
        self.evaluate, self.distances = self._columns.evaluate, self._columns.distances
        self.rounding = view.rounding

    def restrict(self, profiles: Array) -> Array:
        """Return the columns of the map's arguments that profiles (batch, N) contain."""
        return self._columns.enter(self._view.restrict(profiles))

    def profiles(self, columns: Array, those: NDArray[np.intp]) -> Array:
        """Return the profiles (batch, N) of ``those`` columns."""
        return self._view.profile(self._columns.leave(columns[:, those]))

    def tell(self, columns: Array, those: NDArray[np.intp], profiles: Array, rows: NDArray[np.intp]) -> bool:
        """Write the profiles of ``those`` columns of the last argument into ``rows``, unless that takes a pass."""
        return self._columns.tell(columns, those, profiles, rows)


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
