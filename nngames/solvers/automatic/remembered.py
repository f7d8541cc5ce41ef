"""What an automatic run remembers: its best profile, the displacements of plain passes, and what it left."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nngames.core.pieces import LONG
from nngames.core.profiles import Array
from nngames.games import FixedPoint, Game
from nngames.networks.compiled.maps import FusedMap
from nngames.solvers.automatic.costs import DISPLACEMENTS
from nngames.solvers.automatic.forecast import JUDGED
from nngames.solvers.automatic.turns import Turn, known_displacement, lends
from nngames.solvers.solver import Problem, State

#: The displacements that a run knows before its first pass.
NO_ROWS = np.empty((0, 0))


class Remembering(Problem):
    """The variables of whichever scheme has its turn, the best ones so far, and what became of earlier turns.

    Parameters
    ----------
    game : Game
    rng : numpy.random.Generator

    Attributes
    ----------
    target : float
        The residual to reach.
    turn : Turn
        The present one.
    left : dict
        Why each scheme was left, by name, as something that ``str`` makes a text of.
    """

    target: float = 0.0
    turn: Turn
    _smallest = math.inf
    #: The displacements of plain passes, each in a row beside the last one.
    _rows: Array = NO_ROWS
    #: The scheme's problem, its variables and their displacement, where they are known.
    _best: tuple[Problem | None, Array, Array | None]
    #: The last of the best variables that nobody else refers to but, as long as it has its turn, the scheme.
    _own: Array | None = None
    #: Arrays of plain passes that were left.
    _left_over: tuple[Array, ...] = ()

    def __init__(self, game: Game, rng: np.random.Generator) -> None:
        self.game, self.rng = game, rng
        self.left: dict[str, object] = {}

    def restrict(self, profile: Array) -> Array:
        """Return the profile: each scheme restricts it itself, to an array of its own."""
        return profile

    def profile(self, x: Array) -> Array:
        """Return the profile of the variables of the scheme whose turn it is."""
        return self.turn.problem.profile(x)

    def told(self, x: Array) -> tuple[Array, float, float] | None:
        """Return what the scheme whose turn it is can tell by one pass."""
        return self.turn.problem.told(x)

    def passed(self, state: State) -> tuple[Array, float, float] | None:
        """Return what the last pass of the scheme whose turn it is told."""
        return self.turn.problem.passed(state)

    @property
    def fused(self) -> FusedMap | None:
        """The map for which the scheme whose turn it is makes compiled steps."""
        return self.turn.problem.fused

    def best_profile(self) -> Array:
        """Return the profile with the smallest residual so far."""
        problem, x, _ = self._best
        return np.array(x if problem is None else problem.profile(x))

    def _remember(self, state: State) -> None:
        """Keep the variables with the smallest residual so far; their profile may cost a pass."""
        if state.residual < self._smallest:
            problem, kept = self.turn.problem, self.turn.displacements
            if kept is not None:
                # Plain passes leave it whole for a while: see ``_secure``.
                self._take(state.residual, state.x, self._rows[kept - 1])
            elif lends(problem):
                problem.lend(state.x, self._replaced(state.x))
                # A pass more for the next scheme, if there is one, takes less than the room of the displacement.
                self._take(state.residual, state.x, None)
            else:
                displacement = known_displacement(problem, state)
                self._take(state.residual, copied(state.x, self._replaced(state.x)), displacement)

    def _replaced(self, x: Array) -> Array | None:
        """Return the array of the best variables if long ones take their place and nobody refers to it."""
        own = self._own
        if x.size < LONG or own is None or own is not self._best[1] or own is x:
            return None
        return own if (own.shape, own.dtype) == (x.shape, x.dtype) else None

    def _secure(self, state: State) -> None:
        """Copy the best variables if they are the state's, into which plain passes are going to write."""
        problem, x, displacement = self._best
        if x is state.x:
            self._own = np.array(x)
            self._best = problem, self._own, displacement

    def _take(self, residual: float, x: Array, displacement: Array | None) -> None:
        """Take these variables, which nobody writes into, and their displacement, if it is known, for the best ones.

        Nobody but a scheme refers to them.
        """
        # Of a residual below the target that did not end the run nothing is known but that.
        self._smallest = residual if residual > self.target else self.target
        self._best, self._own = (self.turn.problem, x, displacement), x

    def _room(self, view: FixedPoint) -> int:
        """Return how many displacements of plain passes are kept."""
        # Passes over long vectors are dear, and judged by then; only compiled dense ones are judged later.
        early = view.size >= LONG and ((fused := view.fused) is None or fused.sparse)
        return (JUDGED if early else DISPLACEMENTS) + 1

    def _keep_displacements(self) -> None:
        """Let the plain passes of this turn write each displacement beside the last one."""
        problem: Any = self.turn.problem
        difference = problem.difference
        if self._rows is NO_ROWS:
            self._rows = np.empty((self._room(problem.view), difference.size), difference.dtype)
        self._rows[0] = difference
        self.turn.displacements = 1

    def _keep_others(self, state: State) -> None:
        """Keep the displacements from this state on in the rows of those before, of which only the best one remains."""
        problem, x, displacement = self._best
        if x is not state.x and displacement is not None:
            displacement = np.array(displacement)
        self._keep_displacements()
        self._best = problem, x, self._rows[0] if x is state.x else displacement


def copied(x: Array, place: Array | None) -> Array:
    """Return a copy of x, in that place if there is one."""
    if place is None:
        return np.array(x)
    np.copyto(place, x)
    return place
