"""SciPy's L-BFGS-B on the loss of a game that is a convex minimisation."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Game
from nngames.results.result import Status
from nngames.solvers.external.whole_run import ASKED, UNASKED
from nngames.solvers.minimisation import MinimisationProblem
from nngames.solvers.options import integer_from
from nngames.solvers.solver import Budget, Ended, Guarantee, Solver, State, no_guarantee, norm, solver_named


class _Enough(Exception):
    """Ends SciPy's run: the residual is met, or the time is up."""


class LBFGSProblem(MinimisationProblem):
    """The minimisation, what the run is to reach, and what SciPy said of its own run."""

    def __init__(self, game: Game) -> None:
        super().__init__(game)
        self.budget, self.said = UNASKED, ""


@solver_named("scipy:l-bfgs-b")
@dataclass(frozen=True)
class LBFGS(Solver):
    """SciPy's L-BFGS-B on phi, in the variables sqrt(D_0) x, in which every coordinate has a curvature up to 1.

    One step is its whole run. It ends where the residual is met, the time is up or SciPy gives up, as it does where the
    loss falls by no more than rounding; the residual at the point it returns is nngames' own.

    Parameters
    ----------
    memory : int
        The pairs that it remembers.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Liu and Nocedal (1989); ``scipy.optimize.minimize(method="L-BFGS-B")``.
    """

    external: ClassVar[bool] = True

    memory: int = 10

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", integer_from(self.name, "memory", self.memory, 1))

    def guarantee(self, game: Game) -> Guarantee:
        """Return that nothing is proved."""
        game.minimisation()
        return no_guarantee("nngames proves nothing about an external solver")

    def problem(self, game: Game, rng: np.random.Generator) -> LBFGSProblem:
        """Return the minimisation view. Raises NotApplicableError if actions are bounded."""
        problem = LBFGSProblem(game)
        problem.refuse_bounds()
        return problem

    def prepare(self, problem: LBFGSProblem, budget: Budget) -> None:
        """Note what the run is to reach."""
        problem.budget, problem.said = budget, ""

    def start(self, problem: LBFGSProblem, x0: Array) -> State:
        """Return the state at x0; it remembers the loss there and its gradient."""
        value, gradient = problem.view.value_and_gradient(x0)
        return State(x0, norm(problem.view.residuals(x0, gradient)), 1, (value, gradient))

    def step(self, problem: LBFGSProblem, state: State) -> State:
        """Return the state at the end of SciPy's run; a second step says how that ended."""
        from scipy.optimize import minimize

        if problem.said:
            exhausted = (state.iterations or 0) >= problem.budget.max_iterations
            raise Ended(Status.MAX_ITERATIONS if exhausted else Status.STALLED, f"{self.name} says: {problem.said}")
        view, target = problem.view, ASKED * problem.budget.target
        unit = 1 / np.sqrt(view.own_curvature)
        seconds = problem.budget.max_seconds
        deadline = None if seconds is None else time.perf_counter() + seconds
        best, calls, steps = (state.residual, state.x), 0, 0
        first = state.x / unit

        def loss(z: Array) -> tuple[float, Array]:
            nonlocal best, calls
            if np.array_equal(z, first):
                value, gradient = state.memory
                return value, unit * gradient
            x = unit * z
            value, gradient = view.value_and_gradient(x)
            calls += 1
            residual = norm(view.residuals(x, gradient))
            if residual < best[0]:
                best = (residual, x)
            if residual <= target or (deadline is not None and time.perf_counter() > deadline):
                raise _Enough
            return value, unit * gradient

        def count(_: Array) -> None:
            nonlocal steps
            steps += 1

        limit = max(1, problem.budget.max_iterations)
        options = {"maxiter": limit, "maxfun": 20 * limit, "maxcor": self.memory, "gtol": 0.0, "ftol": 0.0}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = minimize(loss, first, method="L-BFGS-B", jac=True, callback=count, options=options)
            problem.said = " ".join(str(found.message).split())
        except _Enough:
            problem.said = "the residual it met, or the time was up"
        # The loop recomputes the residual of what it returns.
        following = State(np.array(best[1]), best[0], state.evaluations + calls, state.memory)
        following.iterations = steps
        return following
