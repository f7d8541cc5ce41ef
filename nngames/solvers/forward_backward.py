"""Forward-backward splitting: one pass and one prox an iteration, for a cocoercive or strongly monotone operator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nngames.certificates import verdict_of
from nngames.games import Game
from nngames.games.self_loops import is_symmetric
from nngames.solvers.inclusion import (
    Bounds,
    InclusionProblem,
    InclusionSolver,
    Sources,
    StepRange,
    proved_modulus,
    upper_product,
)
from nngames.solvers.solver import Guarantee, State, no_guarantee, solver_named


@solver_named("forward_backward")
@dataclass(frozen=True)
class ForwardBackward(InclusionSolver):
    """The scheme x_{k+1} = prox(x_k - tau (M x_k + q)), prox of tau F.

    One pass an iteration. At tau = 1 it is Picard iteration on the joint map of a network whose slopes are at most 1.

    Parameters
    ----------
    step_size : float, optional
        tau > 0. Default, with mu the proved modulus of strong monotonicity, or 0, and a safe upper bound on |M|:
        2 / (mu + |M|) for a symmetric monotone M with mu > 0, mu / |M|^2 for any other with mu > 0, else 1 / |M|.

    Guarantee
    ---------
    With t = tau |M|. If M is strongly monotone and tau < 2 mu / |M|^2: |x_k - x*| <= r^k |x_0 - x*| with r^2 = 1 - 2
    tau mu + t^2. If M is symmetric and monotone, it is (1/|M|)-cocoercive, and t < 2 is enough: the same with r = max(1
    - tau mu, t - 1) where mu > 0; where mu = 0 and a solution exists, convergence to one with |R(x_k) - x_k| <= c |x_0
    - x*| / sqrt((1 - t/2)(k + 1)), c of ``residual_factor``. A merely monotone M is not enough: the scheme turns away
    from the solution of a skew one.

    Derivation
    ----------
    The prox is nonexpansive, and |d - tau M d|^2 = |d|^2 - 2 tau <M d, d> + tau^2 |M d|^2 <= r^2 |d|^2. For a symmetric
    M the eigenvalues of Id - tau M lie in [1 - t, 1 - tau mu]. A firmly nonexpansive prox and |M| <M d, d> >= |M d|^2
    give |x_{k+1} - x*|^2 <= |x_k - x*|^2 - (1 - t/2) |x_{k+1} - x_k|^2, and |x_{k+1} - x_k| does not increase.

    References
    ----------
    Bauschke and Combettes (2017), Chapter 26.
    """

    steps: ClassVar[StepRange] = StepRange(2.0, "2")
    sources: ClassVar[Sources] = Sources(
        "Bauschke and Combettes (2017), Chapter 26", "Bauschke and Combettes (2017), Chapter 26", ("bauschke2017",)
    )

    def problem(self, game: Game, rng: np.random.Generator) -> InclusionProblem:
        """Return the inclusion view, with the default step from what is proved about M."""
        problem = InclusionProblem(game, self.step_size, self.name)
        if self.step_size is None:
            problem.step = _default_step(game, problem.view.norm_bound)
        return problem

    def step(self, problem: InclusionProblem, state: State) -> State:
        """Return the state after the prox step."""
        x = problem.advance(state.x, state.memory)
        value = problem.value(x)
        return State(x, problem.residual(x, value), state.evaluations + 1, value)

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether strong monotonicity or cocoercivity is proved and licenses the step."""
        verdict = verdict_of("monotone", game)
        if not verdict.proved:
            return no_guarantee(f"M is not proved monotone: {verdict.statement}")
        problem, modulus = self.problem(game, np.random.default_rng(0)), proved_modulus(verdict)
        tau, bound = problem.step, problem.view.norm_bound
        # Off the diagonal an entry of M is one of -W or one of a block Q as it is given, so nothing is rounded there.
        reach, symmetric = upper_product(tau, bound), is_symmetric(problem.view.matrix)
        factor = _factor(reach, tau * modulus, symmetric)
        if modulus > 0 and factor < 1:
            kind, condition = ("symmetric and ", self.steps.condition) if symmetric else ("", "tau < 2 mu/|M|^2")
            premise = f"M is {kind}strongly monotone with modulus mu = {modulus:.6g} and {condition}"
            return self.linear(premise, problem, factor)
        if not symmetric:
            longest = 2 * modulus / bound**2 if bound > 0 else math.inf
            return no_guarantee(
                f"M is not symmetric, so cocoercivity is proved by strong monotonicity only, and the step {tau:.6g} is "
                f"not below 2 mu/|M|^2 = {longest:.6g}"
            )
        if not self.steps.allows(reach):
            return self.steps.refusal(tau, bound)
        premise = f"M is symmetric and monotone, so cocoercive, and {self.steps.condition}"
        return self.sublinear(premise, game, problem, self.bounds(reach, tau * modulus), modulus)

    def bounds(self, reach: float, gain: float) -> Bounds:
        """Return the bounds of the derivation above for a symmetric M."""
        slack = 1 - reach / 2
        return Bounds(residual=1 / math.sqrt(slack), slack=slack, last=True)


def _default_step(game: Any, bound: float) -> float:
    if bound == 0:
        return 1.0
    verdict = verdict_of("monotone", game)
    modulus = proved_modulus(verdict) if verdict.proved else 0.0
    if modulus == 0:
        return 1 / bound
    return 2 / (modulus + bound) if is_symmetric(game.inclusion().matrix) else modulus / bound**2


def _factor(reach: float, gain: float, symmetric: bool) -> float:
    """Return a factor by which the distance falls, rounded up."""
    # Absolute rounding: the terms are of order 1, and their sum may nearly vanish.
    if symmetric:
        return max(1 - gain, reach - 1) + 1e-15
    return math.sqrt(max(0.0, 1 - 2 * gain + reach**2) + 1e-15)
