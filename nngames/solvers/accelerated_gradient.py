"""Nesterov's accelerated gradient method with restarts, projected where the actions are bounded."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import Game
from nngames.solvers.minimisation import MinimisationProblem
from nngames.solvers.options import check_switch
from nngames.solvers.solver import Guarantee, Solver, State, no_guarantee, solver_named


@solver_named("accelerated_gradient")
@dataclass(frozen=True)
class AcceleratedGradient(Solver):
    """x_{k+1} = P_C(y_k - phi'(y_k)/D), y_{k+1} = x_{k+1} + (t_k - 1)/t_{k+1} (x_{k+1} - x_k).

    D is the diagonal metric of the loss, by which features of any size count alike. t_0 = 1 and
    t_{k+1} = (1 + sqrt(1 + 4 t_k^2))/2. Where <y_k - x_{k+1}, x_{k+1} - x_k> > 0 in the metric, the step leads uphill:
    then t_{k+1} = 1 and y_{k+1} = x_{k+1} (the restart by the gradient). The iterate is y_k, with its own residual.

    Parameters
    ----------
    restart : bool
        Whether it restarts.

    Guarantee
    ---------
    Without restarts, phi(x_k) - phi(x*) <= 2 |x_0 - x*|_D^2 / (k + 1)^2 for any minimiser x*, |d|_D^2 = <D d, d>
    (Beck and Teboulle). Where actions are bounded y_{k+1} is projected on C, which keeps the bound: their proof needs
    |y_{k+1} - w| with w = ((t - 1) x_k + x*)/t in C, t = t_{k+1}, and no projection raises it. x_k is bounded and
    y_k - x_k tends to 0, so the residual does too. With restarts it is linear on quadratic functions and usually
    faster; convergence is not proved for it here.

    References
    ----------
    Beck and Teboulle (2009), Theorem 4.4; O'Donoghue and Candes (2015), section 3.2.
    """

    restart: bool = True

    def __post_init__(self) -> None:
        check_switch("accelerated_gradient", "restart", self.restart)

    @property
    def autonomous(self) -> bool:
        """Never: a step depends on the iterations since the last restart."""
        return False

    def guarantee(self, game: Game) -> Guarantee:
        """Return that the loss converges, without restarts."""
        view = game.minimisation()
        if self.restart or not np.isfinite(view.metric).all():
            return no_guarantee("convergence is proved without restarts only: accelerated_gradient, restart=False")
        return Guarantee(
            Decision.PROVED,
            "if there is a minimiser, the loss exceeds the least one by at most 2 |x_0 - x*|_D^2 / (k + 1)^2",
            "safe bounds on the curvature, Beck and Teboulle's theorem",
            witness={"map": "gradient step", "exists": False},
            references=("beck2009",),
        )

    def problem(self, game: Game, rng: np.random.Generator) -> MinimisationProblem:
        """Return the minimisation view."""
        return MinimisationProblem(game)

    def start(self, problem: MinimisationProblem, x0: Array) -> State:
        """Return the state at x0; it remembers x_k and t_k."""
        return problem.state(x0, 0, (x0, 1.0))

    def step(self, problem: MinimisationProblem, state: State) -> State:
        """Return the state at y_{k+1}."""
        y, (gradient, (before, t)) = state.x, state.memory
        view = problem.view
        x = view.project(y - gradient / view.metric)
        moved = x - before
        if self.restart and float(np.dot(view.metric * (y - x), moved)) > 0:
            return problem.state(x, state.evaluations, (x, 1.0))
        following = (1 + math.sqrt(1 + 4 * t * t)) / 2
        ahead = x + (t - 1) / following * moved
        # A point beyond C is no profile of the game.
        return problem.state(view.project(ahead), state.evaluations, (x, following))
