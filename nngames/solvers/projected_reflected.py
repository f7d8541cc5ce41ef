"""The projected reflected gradient method: one pass and one prox an iteration, the pass at a reflected point."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Game
from nngames.solvers.forward_reflected_backward import reflected_growth
from nngames.solvers.inclusion import Bounds, InclusionProblem, InclusionSolver, Sources, StepRange
from nngames.solvers.solver import State, solver_named

#: Malitsky's range for every monotone Lipschitz operator; a linear one allows 1/2.
GENERAL_LIMIT = math.sqrt(2) - 1


@solver_named("projected_reflected")
@dataclass(frozen=True)
class ProjectedReflected(InclusionSolver):
    """The scheme x_{k+1} = prox(x_k - tau (M y_k + q)), y_k = 2 x_k - x_{k-1}, x_{-1} = x_0, prox of tau F.

    One pass an iteration, made at y_k: the state is at y_k, and its residual is the game's there. y_k may lie outside
    the domain of F; the two points have the same limit.

    Parameters
    ----------
    step_size : float, optional
        tau > 0. Default: 0.9 (sqrt(2) - 1) / |M| with a safe upper bound on |M|.

    Guarantee
    ---------
    Every monotone Lipschitz operator allows tau |M| < sqrt(2) - 1. M is linear here, so t = tau |M| < 1/2 is enough: if
    M is monotone and a solution exists, y_k converges to one, and the best residual of the y_j, j <= k, is at most 3c
    |x_0 - x*| / sqrt((1 - 2t)(k + 1)), c of ``residual_factor``. If M is strongly monotone with modulus mu: |y_k - x*|
    <= (2 + sqrt(1 + r)) (1 + r)^(-k/2) |x_0 - x*| / sqrt(1 - t), r = min(2 tau mu / (1 + t), (1 - 2t) / (2t)).

    Derivation
    ----------
    M y_k + q = 2 u_k - u_{k-1} with u_k = M x_k + q: the x_k are those of forward-reflected-backward. With its d_k, y_k
    - x* = 2 (x_k - x*) - (x_{k-1} - x*) gives the distance. The prox step at y_k is at most |y_k - x_k| = |d_k| away
    from x_{k+1}, so at most |d_{k+1}| + 2 |d_k| from y_k; these squares sum to at most 9 times that of |d_j|^2.

    References
    ----------
    Malitsky (2015); Cevher and Vu (2021) for a general dF; Malitsky and Tam (2020) for linear M.
    """

    steps: ClassVar[StepRange] = StepRange(0.5, "1/2")
    sources: ClassVar[Sources] = Sources(
        "derivation in the docstring, after Malitsky and Tam (2020)",
        "Malitsky and Tam (2020)",
        ("malitsky2015", "cevher2021", "malitsky2020frb"),
    )

    @property
    def autonomous(self) -> bool:
        """False: a step also depends on x_k."""
        return False

    def problem(self, game: Game, rng: np.random.Generator) -> InclusionProblem:
        """Return the inclusion view."""
        return InclusionProblem(game, self.step_size, self.name, GENERAL_LIMIT)

    def start(self, problem: InclusionProblem, x0: Array) -> State:
        """Return the state at y_0 = x_0; its memory is x_k and M y_k + q."""
        value = problem.value(x0)
        return State(x0, problem.residual(x0, value), 1, (x0, value))

    def step(self, problem: InclusionProblem, state: State) -> State:
        """Return the state at the next reflected point."""
        base, value = state.memory
        following = problem.advance(base, value)
        x = 2 * following - base
        value = problem.value(x)
        return State(x, problem.residual(x, value), state.evaluations + 1, (following, value))

    def bounds(self, reach: float, gain: float) -> Bounds:
        """Return the bounds of the derivation above."""
        slack = 1 - 2 * reach
        growth = reflected_growth(reach, gain)
        return Bounds(
            residual=3 / math.sqrt(slack),
            slack=slack,
            square=1 / growth,
            lead=(2 + math.sqrt(growth)) / math.sqrt(1 - reach),
        )
