"""Popov's method, the past extragradient: extragradient that looks ahead with the last value of the operator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from nngames.core.profiles import Array
from nngames.solvers.inclusion import Bounds, InclusionProblem, InclusionSolver, Sources, StepRange, start_growth
from nngames.solvers.solver import State, solver_named


@solver_named("popov")
@dataclass(frozen=True)
class Popov(InclusionSolver):
    """Popov's method x_{k+1} = prox(x_k - tau v_k), y_{k+1} = prox(x_{k+1} - tau v_k), v_k = M y_k + q, prox of tau F.

    y_0 = x_0. One pass and two proxes an iteration. The pass is made at y_k: the state is at y_k, and its residual is
    the game's there.

    Parameters
    ----------
    step_size : float, optional
        tau > 0. Default: 0.45 / |M| with a safe upper bound on |M|.

    Guarantee
    ---------
    With t = tau |M| and C = (t + sqrt(1 + t^2))^2. If M is monotone, t < 1/2 and a solution exists: x_k and y_k
    converge to one, and the best residual of the y_j, j <= k, is at most c sqrt(2C / (1 - 4t^2)) |x_0 - x*| / sqrt(k),
    c of ``residual_factor``. If M is strongly monotone with modulus mu: |y_k - x*|^2 <= 2C (1 - tau m)^k |x_0 - x*|^2
    with m = min(mu, (1/2 - 2t^2) / tau).

    Derivation
    ----------
    With e_k = x_k - x*, s_k = |x_k - y_k|, r_{k+1} = |x_{k+1} - y_k|, D_k = |y_k - y_{k-1}| and k >= 1, where
    y_k is the result of a prox: the subgradient inequalities of F at x_{k+1}, y_k and x* give

        |e_{k+1}|^2 <= |e_k|^2 - s_k^2 - r_{k+1}^2 - 2 tau <M(y_k - y_{k-1}), x_{k+1} - y_k> - 2 tau mu |y_k - x*|^2.

    Both points are proxes from x_k, so r_{k+1} <= t D_k, and the third and the fourth term add to at most t^2 D_k^2.
    With D_k^2 <= 2 s_k^2 + 2 r_k^2, Phi_k = |e_k|^2 + r_k^2 has Phi_{k+1} <= Phi_k - (1/2 - 2t^2) D_k^2 and, with
    |y_k - x*|^2 >= |e_k|^2/2 - s_k^2, Phi_{k+1} <= (1 - tau m) Phi_k. Phi_1 <= C |e_0|^2 by ``start_growth``, and
    |y_k - x*| <= |e_{k+1}| + r_{k+1}. The prox step at y_k is at most s_k away from x_{k+1}, so at most s_k + r_{k+1}
    from y_k, and the sum of s_k^2 + r_{k+1}^2 is at most Phi_1 / (1 - 4t^2).

    References
    ----------
    Popov (1980), for shorter steps.
    """

    steps: ClassVar[StepRange] = StepRange(0.5, "1/2")
    sources: ClassVar[Sources] = Sources(
        "derivation in the docstring, after Popov (1980)", "Popov (1980)", ("popov1980",)
    )

    @property
    def autonomous(self) -> bool:
        """False: a step also depends on x_k."""
        return False

    def start(self, problem: InclusionProblem, x0: Array) -> State:
        """Return the state at y_0 = x_0; its memory is x_k and v_k."""
        value = problem.value(x0)
        return State(x0, problem.residual(x0, value), 1, (x0, value))

    def step(self, problem: InclusionProblem, state: State) -> State:
        """Return the state at the next y, after both proxes along the same value."""
        base, value = state.memory
        following = problem.advance(base, value)
        x = problem.advance(following, value)
        value = problem.value(x)
        return State(x, problem.residual(x, value), state.evaluations + 1, (following, value))

    def bounds(self, reach: float, gain: float) -> Bounds:
        """Return the bounds of the derivation above."""
        slack = 1 - 4 * reach**2
        lead = math.sqrt(2 * start_growth(reach))
        return Bounds(
            residual=lead / math.sqrt(slack), slack=slack, square=1 - min(gain, slack / 2), lead=lead, counted=0
        )
