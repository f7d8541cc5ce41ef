"""Players who improve in turn, by a few steps down their own costs instead of a best response."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import Alternation, Game
from nngames.solvers.solver import Guarantee, Problem, Solver, State, no_guarantee, norm, solver_named


class AlternatingProblem(Problem):
    """The players' moves with the game that tells the residual."""

    resumable = True

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
    E never increases and is bounded below, so it converges. Of a lifted network each move lowers E by at least a
    multiple of the squares of its player's part of the residual: where the iterates stay bounded the residual tends to
    0, and every limit point is an equilibrium. They are proved to settle so where the hidden answers are bounded and
    the weights that take them have ridges or bounds. E is not convex, so different starts lead to different equilibria.
    For best responses in place of steps it is the theorem on block coordinate descent (Tseng).

    References
    ----------
    Tseng (2001), Theorem 4.1; Grippo and Sciandrone (2000), Section 6.
    """

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether the residual is proved to tend to 0."""
        obstacle = game.alternation().obstacle
        if obstacle is not None:
            return no_guarantee(f"the common function never increases, but {obstacle}")
        return Guarantee(
            Decision.PROVED,
            "every move lowers one common function by at least a multiple of the squared residual, and the iterates "
            "stay where these multiples are bounded: the residual tends to 0, and every limit point is an equilibrium",
            "the sum of the falls is finite",
            witness={"map": "moves in turn", "exists": False},
            references=("tseng2001", "grippo2000"),
        )

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
        return problem.state(x, state.evaluations + problem.view.passes + 1)
