"""The equilibria of a game as an enumeration found them: isolated points, continua, and whether these are all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.plain import plain
from nngames.core.profiles import Player
from nngames.core.verdicts import Verdict

Array = NDArray[np.floating[Any]]
ExactPoint = tuple[Fraction, ...]


@dataclass(frozen=True, eq=False)
class Face:
    """A convex piece of a continuum of equilibria: the convex hull of vertices, plus cones of rays and spans of lines.

    Attributes
    ----------
    dimension : int
    vertices : tuple of points
        Exactly; of a face without vertices one of its points.
    rays, lines : tuple of points
        Directions in which it is unbounded, one way and both ways.
    pieces : tuple of int
        For each coordinate the linear piece of its response that holds on the face.
    conditions : tuple of (low, high, slope, offset)
        For each coordinate what that piece says: x_i = slope v_i + offset and low <= v_i <= high, where v = W x + b;
        None is no bound. The face is the set of all x for which all conditions hold.
    """

    dimension: int
    vertices: tuple[ExactPoint, ...]
    rays: tuple[ExactPoint, ...]
    lines: tuple[ExactPoint, ...]
    pieces: tuple[int, ...]
    conditions: tuple[tuple[Fraction | None, Fraction | None, Fraction, Fraction], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the face as plain data, its points as exact fractions."""
        return {name: plain(value) for name, value in vars(self).items()}


@dataclass(frozen=True, eq=False)
class Component:
    """A connected continuum of equilibria.

    Attributes
    ----------
    faces : tuple of Face
        Their union is the component. None is part of another.
    """

    faces: tuple[Face, ...]

    @property
    def dimension(self) -> int:
        """The largest dimension of a face."""
        return max(face.dimension for face in self.faces)

    def to_dict(self) -> dict[str, Any]:
        """Return the component as plain data."""
        return {"dimension": self.dimension, "faces": [face.to_dict() for face in self.faces]}


@dataclass(frozen=True, eq=False)
class EquilibriumSet:
    """The equilibria of a game.

    Attributes
    ----------
    points : ndarray (m, N)
        The isolated equilibria, in the order of their coordinates. Where ``complete`` is not PROVED, a continuum that
        was not found may end in one of them.
    components : tuple of Component
        Continua of equilibria.
    complete : Verdict
        PROVED if there is no other equilibrium; UNDECIDED with the bound that was hit.
    exact : tuple of points, optional
        The isolated equilibria as exact rationals, where they are rational.
    radii : ndarray (m, N), optional
        Bounds on the distance of each coordinate to that of the equilibrium, where points are not exact.
    unresolved : sequence of mappings
        Where further equilibria may lie: boxes or sets of pieces that the search did not decide.
    players : tuple
        Whose actions are the blocks of coordinates.
    """

    points: Array
    components: tuple[Component, ...]
    complete: Verdict
    exact: tuple[ExactPoint, ...] = ()
    radii: Array | None = None
    unresolved: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    players: tuple[Player, ...] = ()

    def __len__(self) -> int:
        return len(self.points)

    def to_dict(self) -> dict[str, Any]:
        """Return the set as plain JSON-ready data."""
        return {name: plain(value) for name, value in vars(self).items()}
