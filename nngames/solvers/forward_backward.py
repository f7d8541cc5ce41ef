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
        tau > 0. Default: 2 / (mu + |M|) for a symmetric M that is strongly monotone with a proved modulus mu > 0, with
        a safe upper bound on |M|; beta for any other that is proved beta-cocoercive; else 1 / |M|.

    Guarantee
    ---------
    If M is beta-cocoercive, <M d, d> >= beta |M d|^2 (symmetric and monotone: beta = 1/|M|; strongly monotone: at least
    mu/|M|^2), and tau < 2 beta: |x_k - x*| <= r^k |x_0 - x*| with r^2 = 1 - tau mu (2 - tau/beta) where mu > 0, for a
    symmetric M with r = max(1 - tau mu, tau |M| - 1); where mu = 0 and a solution exists, convergence to one with
    |R(x_k) - x_k| <= c |x_0 - x*| / sqrt((1 - tau/(2 beta))(k + 1)), c of ``residual_factor``. A merely monotone M is
    not enough: the scheme turns away from the solution of a skew one.

    Derivation
    ----------
    The prox is nonexpansive, and |d - tau M d|^2 = |d|^2 - 2 tau <M d, d> + tau^2 |M d|^2 <= |d|^2 - tau (2 - tau/beta)
    <M d, d>, which is at most r^2 |d|^2. For a symmetric M the eigenvalues of Id - tau M lie in [1 - tau |M|, 1 - tau
    mu]. With a firmly nonexpansive prox and s = x_{k+1} - x_k: |x_{k+1} - x*|^2 <= |x_k - x*|^2 - |s|^2 - 2 tau
    <M(x_k - x*), x_{k+1} - x*>, and <M d, d + s> >= beta |M d|^2 - |M d| |s| >= -|s|^2/(4 beta), so the squared
    distance falls by (1 - tau/(2 beta)) |s|^2; and |s| does not increase.

    References
    ----------
    Bauschke and Combettes (2017), Chapter 26.
    """

    #: Here of tau/beta.
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
        """Return whether cocoercivity is proved and licenses the step."""
        monotone, verdict = verdict_of("monotone", game), verdict_of("cocoercive", game)
        if not monotone.proved and not verdict.proved:
            return no_guarantee(f"M is not proved monotone: {monotone.statement}")
        if not verdict.proved:
            return no_guarantee(f"M is not proved cocoercive: {verdict.statement}")
        problem, beta = self.problem(game, np.random.default_rng(0)), float(verdict.witness["beta"])
        tau, modulus = problem.step, proved_modulus(monotone)
        # tau/beta, rounded up.
        reach = tau / beta * (1 + 5e-16)
        if not self.steps.allows(reach):
            return no_guarantee(
                f"M is cocoercive with beta = {beta:.6g}, but the step {tau:.6g} is not below 2 beta = {2 * beta:.6g}"
            )
        factor = _factor(game, tau, modulus, reach)
        if modulus > 0 and factor < 1:
            premise = (
                f"M is strongly monotone with modulus mu = {modulus:.6g}, cocoercive with beta = {beta:.6g}, and tau < "
                "2 beta"
            )
            return self.linear(premise, problem, factor)
        premise = f"M is cocoercive with beta = {beta:.6g} and tau < 2 beta"
        return self.sublinear(premise, game, problem, self.bounds(reach, tau * modulus), modulus)

    def bounds(self, reach: float, gain: float) -> Bounds:
        """Return the bounds of the derivation above for ``reach`` >= tau/beta."""
        slack = 1 - reach / 2
        return Bounds(residual=1 / math.sqrt(slack), slack=slack, last=True)


def _default_step(game: Any, bound: float) -> float:
    if bound == 0:
        return 1.0
    modulus = proved_modulus(verdict_of("monotone", game))
    if modulus > 0 and is_symmetric(game.inclusion().matrix):
        return 2 / (modulus + bound)
    verdict = verdict_of("cocoercive", game)
    return float(verdict.witness["beta"]) if verdict.proved else 1 / bound


def _factor(game: Any, tau: float, modulus: float, reach: float) -> float:
    """Return a factor by which the distance falls, rounded up, for ``reach`` >= tau/beta."""
    # Absolute rounding: the terms are of order 1, and their sum may nearly vanish.
    factor = math.sqrt(max(0.0, 1 - tau * modulus * (2 - reach)) + 1e-15)
    inclusion = game.inclusion()
    if is_symmetric(inclusion.matrix):
        factor = min(factor, max(1 - tau * modulus, upper_product(tau, inclusion.norm_bound) - 1) + 1e-15)
    return factor
