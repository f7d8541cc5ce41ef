"""Gradient descent on a convex function with a step for each player, projected where the actions are bounded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nngames.core.errors import check_choice
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import Game, Minimisation
from nngames.solvers.minimisation import MinimisationProblem
from nngames.solvers.options import positive_number
from nngames.solvers.solver import Guarantee, Rate, Solver, State, no_guarantee, norm, solver_named

RULES = ("curvature", "features", "printed")


@solver_named("gradient_descent")
@dataclass(frozen=True)
class GradientDescent(Solver):
    """Gradient descent x_{k+1} = P_C(x_k - s phi'(x_k)), with one step s_l for each player, or for each coordinate.

    Parameters
    ----------
    step_size : float
        gamma, in units of the rule.
    rule : {"curvature", "features", "printed"}
        ``curvature``: s_l = gamma / L_l with L_l = S lambda_max(sum_t omega_t A_t'A_t) + ridge, the largest curvature
        of the player's loss. ``features``: s = gamma / D, D = S g u^2 + ridge the metric in which features of any size
        count alike, and in which no ridge slows the biases. ``printed``: s_l = gamma / (2 sum_t omega_t |A_t|^2), which
        without a ridge is smaller where S <= 1, as lambda_max <= sum_t omega_t |A_t|^2; a ridge is not in it. On a game
        with one sample for each player it is the step gamma / (2 |A_t|^2) of the source.

    Guarantee
    ---------
    With M = L or D, phi' / M is firmly nonexpansive in the norm of M (Baillon and Haddad), so for gamma = s M < 2 the
    step is averaged with 2 / (4 - gamma): with a minimiser x* the distance |x_k - x*|, for D in its norm, never
    increases, x_k converges to a minimiser, and |P_C(x_k - phi'(x_k)/M) - x_k| is at most
    max(1, 1/gamma) sqrt(2 / ((2 - gamma)(k + 1))) |x_0 - x*|. Without C the constant is
    1 / sqrt(gamma (2 - gamma) (k + 1)). The residual, whose step is 1/(kappa D_0), is at most max u max(kappa, M/D_0)
    times that of M, without C max u M/D_0 times, as |P_C(x - s phi') - x| increases with s and |P_C(x - s phi') - x|/s
    decreases. Above 2 the step may diverge.

    References
    ----------
    Bauschke and Combettes (2017), Corollary 18.17, Proposition 5.16 and Corollary 28.9; Combettes and Woodstock (2022).
    """

    step_size: float = 1.0
    rule: str = "curvature"

    def __post_init__(self) -> None:
        object.__setattr__(self, "step_size", positive_number("gradient_descent", "step_size", self.step_size))
        check_choice("gradient_descent: rule", self.rule, RULES)

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether every step is proved to be below 2 / L_l."""
        view = game.minimisation()
        with np.errstate(over="ignore", invalid="ignore"):
            metric = self._metric(view)
            relative = self._steps(view) * metric
        low, high = float(relative.min()) * (1 - 1e-12), float(relative.max()) * (1 + 1e-12)
        name = "D" if self.rule == "features" else "L"
        if not high < 2:
            return no_guarantee(f"the step is {high:.6g} / {name}, and convergence is proved below 2 / {name}")
        if not low > 0:
            return no_guarantee("a step is too small for floats")
        with np.errstate(over="ignore", invalid="ignore"):
            units, shares = view.units, metric / view.own_curvature
            if view.constrained:
                lead = max(1.0, 1 / low) * math.sqrt(2 / (2 - high))
                factors = units * np.maximum(view.dominance, shares)
            else:
                lead = 1 / math.sqrt(min(low * (2 - low), high * (2 - high)))
                factors = units * shares
        roots = np.sqrt(metric)
        measure: Callable[[Array], float] = norm
        distance = "|x_0 - x*|"
        if self.rule == "features":
            factors = factors / roots
            distance = "|x_0 - x*|_D"

            def measure(d: Array) -> float:
                return norm(roots * d)

        lead *= float(factors.max()) * (1 + 1e-12)
        return Guarantee(
            Decision.PROVED,
            f"the gradient step is averaged: if there is a minimiser, the iterates converge to one and never move away "
            f"from any; steps up to {high:.6g} / {name}, below 2 / {name}",
            "safe bounds on the curvature, Baillon and Haddad's theorem",
            margin=2 - high,
            witness={"map": "gradient step", "largest_step": high, "exists": False},
            references=("bauschke2017", "combettes2022"),
            rate=Rate(
                "residual",
                measure,
                lambda k, distance: lead * distance / math.sqrt(k + 1),
                f"|R(x_k) - x_k| <= {lead:.4g} {distance} / sqrt(k + 1)",
            )
            if math.isfinite(lead)
            else None,
        )

    def _metric(self, view: Minimisation) -> Array:
        return view.metric if self.rule == "features" else view.curvature

    def _steps(self, view: Minimisation) -> Array:
        return self.step_size / (view.printed_curvature if self.rule == "printed" else self._metric(view))

    def problem(self, game: Game, rng: np.random.Generator) -> MinimisationProblem:
        """Return the minimisation view."""
        return MinimisationProblem(game)

    def start(self, problem: MinimisationProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.state(x0, 0)

    def step(self, problem: MinimisationProblem, state: State) -> State:
        """Return the state after one step."""
        view = problem.view
        return problem.state(view.project(state.x - self._steps(view) * state.memory), state.evaluations)
