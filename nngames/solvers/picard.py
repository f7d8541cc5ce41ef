"""Picard iteration: x_{k+1} = R(x_k), the network's own iterated feed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Game
from nngames.networks import Constant
from nngames.solvers.fixed_point import FixedPointProblem, check_map, relaxed_guarantee
from nngames.solvers.solver import Guarantee, Solver, State, solver_named


@solver_named("picard")
@dataclass(frozen=True)
class Picard(Solver):
    """Picard iteration x_{k+1} = R(x_k).

    Parameters
    ----------
    map : {"auto", "composite", "joint"}
        R: the composite map O of a ring, or the joint map T. ``auto``: O on a ring, T elsewhere.

    Guarantee
    ---------
    If R contracts by q < 1 in some norm: |x_k - x*| <= q^k |x_0 - x*| (Banach). The 2-norm for O, a weighted block
    maximum norm for T. Nonexpansiveness is not enough: a rotation cycles.

    References
    ----------
    Bauschke and Combettes (2017), Theorem 1.50.
    """

    map: str = "auto"

    def __post_init__(self) -> None:
        check_map("picard", self.map)

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether a contraction of the map is proved."""
        return relaxed_guarantee(game, game.fixed_point(self.map).name, Constant(1.0))

    def problem(self, game: Game, rng: np.random.Generator) -> FixedPointProblem:
        """Return the fixed-point view."""
        return FixedPointProblem(game.fixed_point(self.map))

    def start(self, problem: FixedPointProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.start(x0)

    def step(self, problem: FixedPointProblem, state: State) -> State:
        """Return the state at R(x)."""
        return problem.relax(state, 1.0)
