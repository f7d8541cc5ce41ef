"""The anchored extragradient method: extragradient pulled back towards its start, with a residual of order 1/k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nngames.core.profiles import Array
from nngames.solvers.inclusion import Bounds, InclusionProblem, InclusionSolver, Sources, StepRange
from nngames.solvers.solver import State, solver_named


@solver_named("anchored_extragradient")
@dataclass(frozen=True)
class AnchoredExtragradient(InclusionSolver):
    """The scheme y_k = h_k - (1 - b_k) tau G_k, x_{k+1} = prox(h_k - tau (M y_k + q)), h_k = x_k + b_k (x_0 - x_k).

    b_k = 1/(k + 1), prox of tau F, and G_k in dF(x_k) + M x_k + q is what the prox left: G_0 = 0, which b_0 = 1 hides,
    and G_{k+1} = (h_k - x_{k+1}) / tau - (M y_k + q) + M x_{k+1} + q. Two passes and one prox an iteration. It has no
    linear rate: prefer another scheme where M is strongly monotone.

    Parameters
    ----------
    step_size : float, optional
        tau > 0. Default: 0.9 / |M| with a safe upper bound on |M|.

    Guarantee
    ---------
    If M is monotone, tau |M| <= 1 and a solution exists: |G_k| <= 2 |x_0 - x*| / (tau k) for every k >= 1, so
    |R(x_k) - x_k| <= 2c |x_0 - x*| / k, c of ``residual_factor``. Order 1/k is the best that passes and proxes can have
    on all monotone problems.

    Derivation
    ----------
    Let H be G_{k+1} with M y_k in place of M x_{k+1}. Then x_{k+1} - y_k = -tau (H - (1 - b) G_k), so tau |M| <= 1
    gives |G_{k+1} - H| = |M(x_{k+1} - y_k)| <= |H - (1 - b) G_k|, that is

        |G_{k+1}|^2 - (1 - b)^2 |G_k|^2 <= 2 <G_{k+1}, H> - 2 (1 - b) <G_k, H>.

    Monotonicity gives <G_{k+1} - G_k, x_{k+1} - x_k> >= 0, where x_{k+1} - x_k = b (x_0 - x_k) - tau H, which is
    (b (x_0 - x_{k+1}) - tau H) / (1 - b). Adding tau (k + 1)^2 / 2 times the first to k (k + 1) times the second shows
    that tau k^2 |G_k|^2 / 2 - k <G_k, x_0 - x_k> does not increase. It is 0 at k = 0, and
    <G_k, x_0 - x_k> <= <G_k, x_0 - x*> <= |G_k| |x_0 - x*|. Last, x = prox(x + tau (G - Mx - q)), so the prox step p
    at x has |x - p| <= tau |G|.

    References
    ----------
    Yoon and Ryu (2021), without F and with a larger constant; Lee and Kim (2021), the scheme without F; Cai, Oikonomou
    and Zheng (2022) with F.
    """

    steps: ClassVar[StepRange] = StepRange(1.0, "1", closed=True)
    sources: ClassVar[Sources] = Sources(
        "Cai, Oikonomou and Zheng (2022)", "Cai, Oikonomou and Zheng (2022)", ("yoon2021", "lee2021", "cai2022")
    )

    @property
    def autonomous(self) -> bool:
        """False: a step also depends on its number and the start."""
        return False

    def start(self, problem: InclusionProblem, x0: Array) -> State:
        """Return the state at x0; its memory is k, x_0 and G_k."""
        return State(x0, problem.residual(x0, problem.value(x0)), 1, (0, x0, np.zeros_like(x0)))

    def step(self, problem: InclusionProblem, state: State) -> State:
        """Return the state after the look ahead and the prox step."""
        k, anchor, element = state.memory
        tau = problem.step
        base = state.x + (anchor - state.x) / (k + 1)
        ahead = problem.value(base - k / (k + 1) * tau * element)
        x = problem.advance(base, ahead)
        value = problem.value(x)
        memory = (k + 1, anchor, (base - x) / tau - ahead + value)
        return State(x, problem.residual(x, value), state.evaluations + 2, memory)

    def outcome(self, bounded: bool) -> str:
        """Return the order of the game's residual, or of that of the inclusion where the game's has no bound."""
        what = "the residual" if bounded else "the inclusion's residual |G_k|"
        return f"{what} falls to 0 like 1/k, if there is an equilibrium"

    def bounds(self, reach: float, gain: float) -> Bounds:
        """Return the bounds of the derivation above."""
        return Bounds(residual=2.0, slack=1 - reach, counted=0, order=1.0, last=True)
