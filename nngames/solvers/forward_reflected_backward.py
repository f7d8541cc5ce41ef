"""Forward-reflected-backward splitting: one pass and one prox an iteration, with the last operator value kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from nngames.core.profiles import Array
from nngames.solvers.inclusion import Bounds, InclusionProblem, InclusionSolver, Sources, StepRange
from nngames.solvers.solver import State, solver_named


@solver_named("forward_reflected_backward")
@dataclass(frozen=True)
class ForwardReflectedBackward(InclusionSolver):
    """The scheme x_{k+1} = prox(x_k - tau (2 u_k - u_{k-1})), u_k = M x_k + q, u_{-1} = u_0, prox of tau F.

    One pass an iteration. Without F it is the optimistic gradient method.

    Parameters
    ----------
    step_size : float, optional
        tau > 0. Default: 0.45 / |M| with a safe upper bound on |M|.

    Guarantee
    ---------
    With t = tau |M|. If M is monotone, t < 1/2 and a solution exists: x_k converges to one, and the best residual up to
    k is at most c (1 + t) |x_0 - x*| / sqrt((1 - 2t)(k + 1)), c of ``residual_factor``. If M is strongly monotone with
    modulus mu: |x_k - x*|^2 <= (1 + r)^-k |x_0 - x*|^2 / (1 - t), r = min(2 tau mu / (1 + t), (1 - 2t) / (2t)).

    Derivation
    ----------
    With e_k = x_k - x*, d_k = x_k - x_{k-1} and d_0 = 0: monotonicity of dF at x_{k+1} and x* gives

        Phi_{k+1} <= Phi_k - (1 - 2t) |d_{k+1}|^2 - 2 tau mu |e_{k+1}|^2,
        Phi_k = |e_k|^2 - 2 tau <M d_k, e_k> + t |d_k|^2 >= (1 - t) |e_k|^2,

    and Phi_0 = |e_0|^2. The prox step p_k at x_k has |x_k - p_k| <= |d_{k+1}| + t |d_k|, whose squares sum to at most
    (1 + t)^2 times the sum of |d_j|^2. Phi_k <= (1 + t) |e_k|^2 + 2t |d_k|^2 gives the factor.

    References
    ----------
    Malitsky and Tam (2020), Theorem 2.5.
    """

    steps: ClassVar[StepRange] = StepRange(0.5, "1/2")
    sources: ClassVar[Sources] = Sources("Malitsky and Tam (2020)", "Malitsky and Tam (2020)", ("malitsky2020frb",))

    @property
    def autonomous(self) -> bool:
        """False: a step also depends on the iterate before."""
        return False

    def start(self, problem: InclusionProblem, x0: Array) -> State:
        """Return the state at x0; its memory is u_k and u_{k-1}."""
        value = problem.value(x0)
        return State(x0, problem.residual(x0, value), 1, (value, value))

    def step(self, problem: InclusionProblem, state: State) -> State:
        """Return the state after the prox step along 2 u_k - u_{k-1}."""
        value, before = state.memory
        x = problem.advance(state.x, 2 * value - before)
        following = problem.value(x)
        return State(x, problem.residual(x, following), state.evaluations + 1, (following, value))

    def bounds(self, reach: float, gain: float) -> Bounds:
        """Return the bounds of the derivation above."""
        slack = 1 - 2 * reach
        growth = reflected_growth(reach, gain)
        return Bounds(
            residual=(1 + reach) / math.sqrt(slack), slack=slack, square=1 / growth, lead=1 / math.sqrt(1 - reach)
        )


def reflected_growth(reach: float, gain: float) -> float:
    """Return 1 + r, by which Phi falls in an iteration."""
    rate = 2 * gain / (1 + reach)
    return 1 + (min(rate, (1 - 2 * reach) / (2 * reach)) if reach > 0 else rate)
