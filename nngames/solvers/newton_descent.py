"""Newton's method for convex minimisation: preconditioned conjugate gradients for the step, and a line search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Game, Minimisation
from nngames.results.result import Status
from nngames.solvers.minimisation import MinimisationProblem
from nngames.solvers.options import integer_from
from nngames.solvers.solver import Ended, Guarantee, Solver, State, no_guarantee, solver_named

#: The share of the predicted fall of the loss that a step must bring (Armijo).
SUFFICIENT = 1e-4
SHORTEST = 2.0**-40


@solver_named("newton_descent")
@dataclass(frozen=True)
class NewtonDescent(Solver):
    """Newton descent x + s d with H d = -phi'(x), H the Hessian, in Clarke's sense at kinks.

    d comes from conjugate gradients, preconditioned with the Hessian of slopes 1, and ends at |H d + phi'(x)| <=
    min(1/2, sqrt r) |phi'(x)| in the preconditioner's norm, r the residual, which makes the last steps superlinear, or
    at a direction without curvature. s is the first of 1, 1/2, 1/4, ... with phi(x + s d) <= phi(x) + 1e-4 s
    <phi'(x), d>, or, where rounding hides that fall, with a smaller residual.

    Parameters
    ----------
    inner_iterations : int
        The most iterations of conjugate gradients in a step, each two passes.

    Guarantee
    ---------
    The loss never increases. Where phi is strongly convex and twice continuously differentiable the iterates converge
    to the minimiser, superlinearly in the end; nothing is proved about a given game here.

    References
    ----------
    Nocedal and Wright (2006), Algorithm 7.1 and Theorem 7.2.
    """

    inner_iterations: int = 200

    def __post_init__(self) -> None:
        value = integer_from("newton_descent", "inner_iterations", self.inner_iterations, 1)
        object.__setattr__(self, "inner_iterations", value)

    def guarantee(self, game: Game) -> Guarantee:
        """Return that nothing is proved about the game."""
        game.minimisation()
        return no_guarantee("the loss never increases; convergence is proved for strongly convex smooth losses only")

    def problem(self, game: Game, rng: np.random.Generator) -> MinimisationProblem:
        """Return the minimisation view. Raises NotApplicableError if actions are bounded."""
        problem = MinimisationProblem(game)
        problem.refuse_bounds()
        return problem

    def start(self, problem: MinimisationProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.state(x0, 0)

    def step(self, problem: MinimisationProblem, state: State) -> State:
        """Return the state after one Newton step."""
        x, gradient, view = state.x, state.memory, problem.view
        d, products = self._direction(view, state)
        fall = float(np.dot(gradient, d))
        if not fall < 0:
            raise Ended(Status.STALLED, "newton_descent finds no direction in which the loss falls")
        value, size, evaluations = view.value(x), 1.0, state.evaluations + 2 * products + 2
        # The differences of the loss below this are rounding.
        rounding = 2.0**-48 * max(abs(value), abs(fall))
        while size >= SHORTEST:
            ahead = x + size * d
            change = view.value(ahead) - value
            evaluations += 1
            if change <= SUFFICIENT * size * fall:
                return problem.state(ahead, evaluations)
            if abs(change) <= rounding:
                following = problem.state(ahead, evaluations)
                if following.residual < state.residual:
                    return following
                evaluations += 1
            size /= 2
        raise Ended(Status.STALLED, "newton_descent finds no step that lowers the loss: rounding hides the rest")

    def _direction(self, view: Minimisation, state: State) -> tuple[Array, int]:
        """Return d with H d = -gradient by preconditioned conjugate gradients, and the products made."""
        x, gradient = state.x, state.memory
        product, precondition, own = view.hessian(x), view.precondition, view.own_curvature
        d, r = np.zeros_like(gradient), -gradient
        z = precondition(r)
        p, square = z, float(np.dot(r, z))
        aim = min(0.25, state.residual) * square
        for made in range(self.inner_iterations):
            if square <= aim:
                return d, made
            bent = product(p)
            curvature = float(np.dot(p, bent))
            if not curvature > 1e-14 * float(np.dot(own * p, p)):
                # Flat: the loss falls along p without end, or down to rounding.
                return (p if made == 0 else d), made + 1
            alpha = square / curvature
            d, r = d + alpha * p, r - alpha * bent
            z = precondition(r)
            square, before = float(np.dot(r, z)), square
            p = z + square / before * p
        return d, self.inner_iterations
