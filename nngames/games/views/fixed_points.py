"""The fixed-point maps of games, and their form for many starts."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import NotApplicableError
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

    def displaced_by_pieces(self, x: Array, image: Array, displacement: Array, visit: Visit | None = None) -> float:
        """Write the map's value at x into ``image`` and how far it is from x into ``displacement``; return its length.

        Both may be one array, in which the displacement remains. The pieces of it are visited, each soon after it is
        there.
        """
        square = 0.0

        def displace(piece: slice) -> None:
            nonlocal square
            part = np.subtract(image[piece], x[piece], displacement[piece])
            square += float(part.dot(part))
            if visit is not None:
                visit(piece)

        self.evaluate_by_pieces(x, image, displace)
        return math.sqrt(square)

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

    def apart(self, x: Array) -> float | None:
        """Return how far |map(x) - x| may be from the game's residual at x; None where x is not the profile itself."""
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
