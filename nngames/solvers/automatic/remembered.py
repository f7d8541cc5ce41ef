"""What an automatic run remembers: its best profile, the displacements of plain passes, and what it left."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nngames.core.pieces import LONG
from nngames.core.profiles import Array
from nngames.games import FixedPoint, Game
from nngames.networks.compiled.maps import FusedMap
from nngames.solvers.anderson_steps import AndersonProblem
from nngames.solvers.automatic.forecast import DISPLACEMENTS, JUDGED
from nngames.solvers.automatic.turns import Turn, known_displacement
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
    #: The last copy of long variables that nobody else has.
    _copy: Array | None = None

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
                displacement = self._rows[kept - 1]
            elif isinstance(problem, AndersonProblem) and state.x.size >= LONG:
                # A pass more for the next scheme, if there is one, takes less than the room.
                displacement = None
            else:
                displacement = known_displacement(problem, state)
            self._take(state.residual, self._copied(state.x), displacement)

    def _copied(self, x: Array) -> Array:
        """Return a copy of x, in the room of the last copy where that is long and ends with it."""
        last, place = self._copy, self._best[1]
        if last is not None and last is place and last.shape == x.shape and last.dtype == x.dtype:
            np.copyto(last, x)
            return last
        copy = np.array(x)
        self._copy = copy if x.size >= LONG else None
        return copy

    def _take(self, residual: float, x: Array, displacement: Array | None) -> None:
        """Take these variables, which nobody writes into, and their displacement, if it is known, for the best ones."""
        # Of a residual below the target that did not end the run nothing is known but that.
        self._smallest = residual if residual > self.target else self.target
        self._best = self.turn.problem, x, displacement

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
