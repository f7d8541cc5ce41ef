"""Forward-backward-forward splitting: one prox step and one correction without a prox an iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nngames.solvers.inclusion import Bounds, InclusionProblem, InclusionSolver, Sources, StepRange, fejer_bounds
from nngames.solvers.solver import State, solver_named


@solver_named("forward_backward_forward")
@dataclass(frozen=True)
class ForwardBackwardForward(InclusionSolver):
    """Tseng's scheme y = prox(x - tau (Mx + q)), x <- y - tau (My - Mx), prox of tau F.

    Two passes an iteration, and one prox where extragradient has two. An iterate may lie outside the domain of F.

    Parameters
    ----------
    step_size : float, optional
        tau > 0. Default: 0.9 / |M| with a safe upper bound on |M|.

    Guarantee
    ---------
    With t = tau |M|. If M is monotone, t < 1 and a solution exists: x_k converges to one, |x_k - x*| does not increase,
    and the best residual up to k is at most c |x_0 - x*| / sqrt((1 - t^2)(k + 1)), c of ``residual_factor``. If M is
    strongly monotone with modulus mu: |x_k - x*|^2 <= (1 - tau m)^k |x_0 - x*|^2 with
    m = min(mu, (1 - t^2) / (2 tau)).

    Derivation
    ----------
    x - y - tau (Mx + q) is in tau dF(y), so monotonicity at y and x* gives <x - x_+, y - x*> >= tau mu |y - x*|^2 for
    x_+ the next iterate; and |x_+ - x*|^2 = |x - x*|^2 - |x - y|^2 + tau^2 |M(x - y)|^2 - 2 <x - x_+, y - x*>. From
    there on as for extragradient.

    References
    ----------
    Tseng (2000), Theorem 3.4.
    """

    steps: ClassVar[StepRange] = StepRange(1.0, "1")
    sources: ClassVar[Sources] = Sources(
        "derivation in the docstring, after Tseng (2000)", "Tseng (2000)", ("tseng2000",)
    )

    def step(self, problem: InclusionProblem, state: State) -> State:
        """Return the state after the prox step and the correction."""
        ahead = problem.advance(state.x, state.memory)
        x = ahead - problem.step * (problem.value(ahead) - state.memory)
        value = problem.value(x)
        return State(x, problem.residual(x, value), state.evaluations + 2, value)

    def bounds(self, reach: float, gain: float) -> Bounds:
        """Return the bounds of the derivation above."""
        return fejer_bounds(reach, gain)
