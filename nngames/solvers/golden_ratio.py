"""The golden ratio algorithm: one pass and one prox an iteration, from a running mean; with adaptive steps if asked."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nngames.certificates import verdict_of
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import Game
from nngames.solvers.inclusion import (
    Bounds,
    InclusionProblem,
    InclusionSolver,
    Sources,
    StepRange,
    proved_modulus,
    start_growth,
)
from nngames.solvers.options import check_switch
from nngames.solvers.solver import Guarantee, State, no_guarantee, norm, solver_named

PHI = (1 + math.sqrt(5)) / 2
#: phi of the adaptive rule; 1/phi + 1/phi^2 = 10/9 is by how much a step may grow.
ADAPTIVE_PHI = 1.5
#: An adaptive step stays below this many times the first one, which the proof needs and no run meets.
MOST_GROWTH = 1e6
#: An adaptive step and its h stay between these.
SMALLEST, LARGEST = sys.float_info.min, sys.float_info.max


@solver_named("golden_ratio")
@dataclass(frozen=True)
class GoldenRatio(InclusionSolver):
    """The golden ratio algorithm m_k = ((phi - 1) x_k + m_{k-1}) / phi, x_{k+1} = prox(m_k - tau (M x_k + q)).

    phi = (1 + sqrt(5))/2, m_{-1} = x_0, prox of tau F. One pass an iteration.

    Parameters
    ----------
    step_size : float, optional
        tau > 0. Default: 0.9 phi / (2 |M|) = 0.728 / |M| with a safe upper bound on |M|.
    adaptive : bool
        Whether tau adapts: tau_{k+1} = min(10/9 tau_k, phi h_k / (4 tau_k) |x_{k+1} - x_k|^2 / |M (x_{k+1} - x_k)|^2),
        h_{k+1} = phi tau_{k+1} / tau_k, h_0 = 1, with phi = 3/2 throughout, and never above 10^6 tau_0. The norms are
        squared. ``step_size`` is then tau_0; its default is 1 where |M| is not known.

    Guarantee
    ---------
    With t = tau |M| and C = (t + sqrt(1 + t^2))^2. If M is monotone, t <= phi/2 and a solution exists: x_k converges to
    one, and the best residual up to k is at most
    c (phi + 2) sqrt((phi + C) / phi) |x_0 - x*| / sqrt(k), c of ``residual_factor``. If M is strongly monotone
    with modulus mu and t < phi/2: |x_k - x*|^2 <= a^2 (phi + C) r^(k-1) |x_0 - x*|^2 with a = 1/phi + 1/sqrt(phi) and
    r = max(1 - min(phi, 2 tau mu) / (2 phi^2), t / (phi - t)). Adaptive: convergence for every monotone M.

    Derivation
    ----------
    With e_k = x_k - x*, w_k = m_k - x*, s_k = |x_k - m_k|, d_k = x_k - x_{k-1} and k >= 1, where x_k is the
    result of a prox: x_k - m_{k-1} = phi (x_k - m_k), so the subgradient inequalities of F at x_{k+1}, x_k and x* give

        phi^2 |w_{k+1}|^2 <= phi^2 |w_k|^2 - phi s_k^2 - phi |d_{k+1}|^2 - 2 tau <M d_k, d_{k+1}> - 2 tau mu |e_k|^2

    since |e_{k+1}|^2 = phi^2 |w_{k+1}|^2 - phi |w_k|^2 + |x_{k+1} - m_k|^2 / phi and 1/phi + 1 = phi. So
    Phi_k = phi^2 |w_k|^2 + t |d_k|^2 falls by phi s_k^2, and Phi_1 <= (phi + C) |e_0|^2 by ``start_growth``. The prox
    step at x_k is at most s_k + |d_{k+1}| <= 2 s_k + phi s_{k+1} away from x_k. For the factor:
    phi s_k^2 + 2 tau mu |e_k|^2 >= min(phi, 2 tau mu) |w_k|^2 / 2, so Psi_k = phi^2 |w_k|^2 + (phi - t) |d_k|^2 has
    Psi_{k+1} <= r Psi_k, and |e_k| <= |w_k| + s_k <= a sqrt(Psi_k).

    Adaptive, phi = 3/2: the same with phi/(phi - 1) |w_k|^2 + h_{k-1} |d_k|^2 / 2, which does not increase because
    h_k <= 1 + 1/phi and tau_k^2 |M d_k|^2 <= h_k h_{k-1} |d_k|^2 / 4; the steps stay above a positive number since
    M is bounded.

    References
    ----------
    Malitsky (2020), Theorems 1 and 2.
    """

    adaptive: bool = False

    # The float below phi/2.
    steps: ClassVar[StepRange] = StepRange(math.nextafter(PHI / 2, 0), "phi/2", closed=True)
    sources: ClassVar[Sources] = Sources(
        "derivation in the docstring, after Malitsky (2020)", "Malitsky (2020)", ("malitsky2020golden",)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_switch("golden_ratio", "adaptive", self.adaptive)

    @property
    def rowwise(self) -> bool:
        """Whether the step is constant: adaptive steps differ from start to start."""
        return not self.adaptive

    @property
    def autonomous(self) -> bool:
        """False: a step also depends on the mean."""
        return False

    def problem(self, game: Game, rng: np.random.Generator) -> InclusionProblem:
        """Return the inclusion view."""
        step = self.step_size
        if step is None and self.adaptive and not math.isfinite(game.inclusion().norm_bound):
            step = 1.0
        return InclusionProblem(game, step, self.name, self.steps.limit)

    def start(self, problem: InclusionProblem, x0: Array) -> State:
        """Return the state at x0; its memory is the mean, M x + q, and the adaptive step with h."""
        value = problem.value(x0)
        return State(x0, problem.residual(x0, value), 1, (x0, value, problem.step, 1.0))

    def step(self, problem: InclusionProblem, state: State) -> State:
        """Return the state after the prox step from the mean."""
        mean, value, tau, ratio = state.memory
        x = problem.view.prox(mean - tau * value, tau)
        following = problem.value(x)
        phi = PHI
        if self.adaptive:
            phi = ADAPTIVE_PHI
            longest = MOST_GROWTH * problem.step
            tau, ratio = adapted(tau, ratio, x - state.x, following - value, longest)
        mean = ((phi - 1) * x + mean) / phi
        memory = (mean, following, tau, ratio)
        return State(x, problem.residual(x, following), state.evaluations + 1, memory)

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether monotonicity is proved and a constant step is in its range."""
        return self._adaptive_guarantee(game) if self.adaptive else super().guarantee(game)

    def _adaptive_guarantee(self, game: Any) -> Guarantee:
        verdict = verdict_of("monotone", game)
        if not verdict.proved:
            return no_guarantee(f"M is not proved monotone: {verdict.statement}")
        problem, unique = self.problem(game, np.random.default_rng(0)), proved_modulus(verdict) > 0
        return Guarantee(
            Decision.PROVED,
            "M is monotone: with adaptive steps the method converges to an equilibrium, if there is one",
            f"monotone, {self.sources.convergence}",
            witness={"map": "inclusion", "first_step": problem.step, "unique": unique},
            references=self.sources.keys,
        )

    def bounds(self, reach: float, gain: float) -> Bounds:
        """Return the bounds of the derivation above."""
        start = PHI + start_growth(reach)
        square = max(1 - min(PHI, 2 * gain) / (2 * PHI**2), reach / (PHI - reach))
        return Bounds(
            residual=(PHI + 2) * math.sqrt(start / PHI),
            slack=PHI - 2 * reach,
            square=min(square, 1.0),
            lead=(1 / PHI + 1 / math.sqrt(PHI)) * math.sqrt(start / square),
            counted=0,
        )


def adapted(tau: float, ratio: float, moved: Array, change: Array, longest: float) -> tuple[float, float]:
    """Return the next step and its h, from the difference of the iterates and that of the operator's values.

    The step is kept where a difference is not finite; it and h stay positive and finite where they would leave the
    range of numbers.
    """
    following = min((1 / ADAPTIVE_PHI + 1 / ADAPTIVE_PHI**2) * tau, longest, LARGEST)
    (distance, size), (other, reach) = _scaled_norm(moved), _scaled_norm(change)
    if not (math.isfinite(distance) and math.isfinite(other)):
        following = min(tau, following)
    elif other > 0:
        # The squares of the norms overflow where their quotient does not.
        quotient = distance / other * (size / reach)
        following = min(following, ADAPTIVE_PHI * ratio / 4 * quotient * (quotient / tau))
    following = max(following, SMALLEST)
    return following, max(ADAPTIVE_PHI * following / tau, SMALLEST)


def _scaled_norm(d: Array) -> tuple[float, float]:
    """Return the largest |d_i| and the norm of d over it, 1 where it is 0 or not finite."""
    largest = float(np.abs(d).max(initial=0.0))
    return largest, norm(d / largest) if 0 < largest < math.inf else 1.0
