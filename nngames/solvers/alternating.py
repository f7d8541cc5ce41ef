"""Players who improve in turn, by a few steps down their own costs instead of a best response."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Alternation, Game
from nngames.solvers.solver import Guarantee, Problem, Solver, State, no_guarantee, norm, solver_named


class AlternatingProblem(Problem):
    """The players' moves with the game that tells the residual."""

    def __init__(self, game: Game) -> None:
        self.view: Alternation = game.alternation()
        self._game = game

    def restrict(self, profile: Array) -> Array:
        """Return a copy of the profile, float64."""
        return np.array(profile, dtype=np.float64)

    def profile(self, x: Array) -> Array:
        """Return the profile itself."""
        return x

    def state(self, x: Array, evaluations: int) -> State:
        """Return the state at x."""
        return State(x, norm(self._game.residuals(x)), evaluations)


@solver_named("alternating")
@dataclass(frozen=True)
class Alternating(Solver):
    """One iteration is a round in which every player moves once, by steps that lower its cost.

    For games of which one function E tells every player's gains, such as a lifted network, where a best response is a
    problem of its own.

    Guarantee
    ---------
    E never increases and is bounded below, so it converges. Where every move falls by at least a multiple of its
    squared length, as proximal gradient steps do, and E is semi-algebraic or analytic with bounded iterates, the
    iterates converge to a critical point, which is an equilibrium as E is convex in each player's action (Bolte, Sabach
    and Teboulle). Nothing is proved about a given game here, and equilibria may differ by the start.

    References
    ----------
    Bolte, Sabach and Teboulle (2014); Grippo and Sciandrone (2000).
    """

    def guarantee(self, game: Game) -> Guarantee:
        """Return that nothing is proved about the game."""
        game.alternation()
        return no_guarantee("the common function never increases; convergence of the iterates is not proved here")

    def problem(self, game: Game, rng: np.random.Generator) -> AlternatingProblem:
        """Return the players' moves."""
        return AlternatingProblem(game)

    def start(self, problem: AlternatingProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.state(x0, 1)

    def step(self, problem: AlternatingProblem, state: State) -> State:
        """Return the state after one round."""
        x = state.x
        for turn in range(problem.view.turns):
            x = problem.view.move(x, turn)
        return problem.state(x, state.evaluations + problem.view.turns)
