"""The extragradient method: two prox steps an iteration, convergent for monotone inclusions where Picard cycles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.certificates import verdict_of
from nngames.core.bounds import symmetric_extremes
from nngames.core.errors import NotApplicableError, OptionError, check_choice
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import Game
from nngames.solvers.solver import Guarantee, Problem, Rate, Solver, State, no_guarantee, norm, solver_named

OPERATORS = ("inclusion", "identity_minus_map")
#: The default step is this share of 1/|M|.
STEP_SHARE = 0.9


class InclusionProblem(Problem):
    """0 in dF(x) + M x + q with the step of one run."""

    def __init__(self, game: Game, step: float | None) -> None:
        self.view = game.inclusion()
        if step is None:
            bound = self.view.norm_bound
            if not math.isfinite(bound):
                raise NotApplicableError("no safe bound on |M| is known for this game: give extragradient a step")
            step = STEP_SHARE / bound if bound > 0 else 1.0
        self.step = step

    def restrict(self, profile: Array) -> Array:
        """Return a copy of the profile, float64."""
        return np.array(profile, dtype=np.float64)

    def profile(self, x: Array) -> Array:
        """Return the profile itself."""
        return x

    def value(self, x: Array) -> Array:
        """Return M x + q."""
        return self.view.operator(x, np.empty_like(x))

    def residual(self, x: Array, value: Array) -> float:
        """Return the game's residual at x, from ``value`` = M x + q."""
        return norm(self.view.response(x, value) - x)

    def advance(self, x: Array, value: Array) -> Array:
        """Return the prox step from x along ``value``."""
        return self.view.prox(x - self.step * value, self.step)


class DisplacementProblem(InclusionProblem):
    """0 = x - R(x), the inclusion with F = 0 and the operator Id - R of a fixed-point map."""

    def __init__(self, game: Game, step: float | None) -> None:
        self.map = game.fixed_point("auto")
        # Id - R is 2-Lipschitz for every nonexpansive R.
        self.step = STEP_SHARE / 2 if step is None else step

    def restrict(self, profile: Array) -> Array:
        """Return the map's argument, float64."""
        return np.array(self.map.restrict(profile), dtype=np.float64)

    def profile(self, x: Array) -> Array:
        """Return the profile of the map's argument."""
        return self.map.profile(x)

    def value(self, x: Array) -> Array:
        """Return x - R(x)."""
        return x - self.map.evaluate(x, np.empty_like(x))

    def residual(self, x: Array, value: Array) -> float:
        """Return |x - R(x)|."""
        return norm(value)

    def advance(self, x: Array, value: Array) -> Array:
        """Return x - step * value."""
        return x - self.step * value


@solver_named("extragradient")
@dataclass(frozen=True)
class Extragradient(Solver):
    """The extragradient method y = prox(x - tau (Mx + q)), x <- prox(x - tau (My + q)), prox of tau F.

    Parameters
    ----------
    step_size : float, optional
        tau > 0. Default: 0.9 / |M| with a safe upper bound on |M|; 0.45 on Id - R.
    operator : {"inclusion", "identity_minus_map"}
        The game's inclusion 0 in dF(x) + Mx + q, or F = 0 with Id - R, R the composite map of a ring or the joint map.

    Guarantee
    ---------
    If M is monotone, tau |M| < 1 and a solution exists: x_k converges to one, |x_k - x*| does not increase, and the
    best residual up to k is at most c |x_0 - x*| / sqrt((1 - tau^2 |M|^2)(k + 1)), c of ``residual_factor``. If M is
    strongly monotone with modulus mu: |x_k - x*|^2 <= (1 - tau m)^k |x_0 - x*|^2 with
    m = min(mu, (1 - tau^2 |M|^2) / (2 tau)). Derivation: |x_{k+1} - x*|^2 <= |x_k - x*|^2
    - (1 - tau^2 |M|^2) |x_k - y_k|^2 - 2 tau mu |y_k - x*|^2 and |y - x*|^2 >= |x - x*|^2/2 - |x - y|^2.

    References
    ----------
    Korpelevich (1976); Facchinei and Pang (2003), Section 12.1.
    """

    step_size: float | None = None
    operator: str = "inclusion"

    def __post_init__(self) -> None:
        size = self.step_size
        if size is not None and (
            isinstance(size, bool) or not isinstance(size, int | float) or not 0 < size < math.inf
        ):
            raise OptionError(f"extragradient: step_size must be a positive number; got {size!r}")
        check_choice("extragradient: operator", self.operator, OPERATORS)

    def problem(self, game: Game, rng: np.random.Generator) -> InclusionProblem:
        """Return the inclusion view, or that of Id - R."""
        chosen = InclusionProblem if self.operator == "inclusion" else DisplacementProblem
        return chosen(game, self.step_size)

    def start(self, problem: InclusionProblem, x0: Array) -> State:
        """Return the state at x0."""
        value = problem.value(x0)
        return State(x0, problem.residual(x0, value), 1, value)

    def step(self, problem: InclusionProblem, state: State) -> State:
        """Return the state after both prox steps."""
        ahead = problem.advance(state.x, state.memory)
        x = problem.advance(state.x, problem.value(ahead))
        value = problem.value(x)
        return State(x, problem.residual(x, value), state.evaluations + 2, value)

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether monotonicity is proved and the step is in its range."""
        if self.operator == "identity_minus_map":
            return self._displacement_guarantee(game)
        verdict = verdict_of("monotone", game)
        if not verdict.proved:
            return no_guarantee(f"M is not proved monotone: {verdict.statement}")
        problem = self.problem(game, np.random.default_rng(0))
        return _monotone_guarantee(game, verdict, problem.step, problem.view.norm_bound)

    def _displacement_guarantee(self, game: Game) -> Guarantee:
        view = game.fixed_point("auto")
        tau = STEP_SHARE / 2 if self.step_size is None else self.step_size
        if view.name != "composite" or not verdict_of("composite_nonexpansive", game).proved or not 2 * tau < 1:
            return no_guarantee("Id - O is proved monotone and 2-Lipschitz only for a nonexpansive composite map O")
        constant = 1 / (tau * math.sqrt(1 - 4 * tau**2))
        return Guarantee(
            Decision.PROVED,
            "the composite map is nonexpansive, so Id - O is monotone and 2-Lipschitz: the method converges to an "
            "equilibrium, if there is one",
            "composite_nonexpansive, Korpelevich (1976)",
            witness={"map": "composite", "step": tau},
            references=("korpelevich1976", "facchinei2003"),
            rate=Rate(
                "best_residual",
                norm,
                lambda k, d: constant * d / math.sqrt(k + 1) * (1 + 1e-12),
                f"min |O(x_j) - x_j| <= {constant:.4g} |x_0 - x*| / sqrt(k + 1)",
            ),
        )


def _monotone_guarantee(game: Any, verdict: Any, tau: float, bound: float) -> Guarantee:
    slack = 1 - (tau * bound) ** 2 * (1 + 1e-15)
    if not slack > 0:
        return no_guarantee(f"M is monotone, but the step {tau:.6g} is not below 1/|M| = {1 / bound:.6g}")
    modulus = max(0.0, float(verdict.witness.get("modulus") or 0.0))
    if modulus > 0:
        m = min(modulus, slack / (2 * tau))
        factor = math.sqrt(1 - tau * m) * (1 + 4e-16)
        if factor < 1:
            return Guarantee(
                Decision.PROVED,
                f"M is strongly monotone with modulus {modulus:.6g} and tau |M| < 1: linear convergence to the unique "
                f"equilibrium, by {factor:.6g} an iteration",
                "monotone, Facchinei and Pang (2003)",
                margin=1 - factor,
                witness={"map": "inclusion", "factor": factor, "step": tau, "norm_bound": bound},
                references=("korpelevich1976", "facchinei2003"),
                rate=Rate("distance", norm, lambda k, d: factor**k * d, f"|x_k - x*| <= {factor:.6g}^k |x_0 - x*|"),
            )
    constant = residual_factor(game, tau) / math.sqrt(slack)
    # Where slopes are unbounded, the residual is not bounded by the distance.
    rate = Rate(
        "best_residual",
        norm,
        lambda k, d: constant * d / math.sqrt(k + 1) * (1 + 1e-12),
        f"min_(j<=k) |R(x_j) - x_j| <= {constant:.4g} |x_0 - x*| / sqrt(k + 1)",
    )
    return Guarantee(
        Decision.PROVED,
        "M is monotone and tau |M| < 1: the method converges to an equilibrium, if there is one",
        "monotone, Korpelevich (1976)",
        margin=slack,
        witness={"map": "inclusion", "step": tau, "norm_bound": bound},
        references=("korpelevich1976", "facchinei2003"),
        rate=rate if math.isfinite(constant) else None,
    )


def residual_factor(game: Any, tau: float) -> float:
    """Return c with |R(x) - x| <= c |x - p|, p = prox of tau F at x - tau (Mx + q), R the map of the game's residual.

    z = R(x) solves Q(x - z) - w in df(z), Q the metric of R (the identity for a network's T) and w = Mx + q unshifted;
    p solves (1/tau + k)(x - p) - w in df(p), k = max(0, 1 - 1/S) the shift that makes F convex. df + k Id is monotone,
    so <(1/tau + k - Q)(x - p), p - z> >= <(Q - k)(p - z), p - z>, and
    c = 1 + |1/tau + k - Q| / (lambda_min(Q) - k): S/tau for a network where tau <= S; inf where S is.
    """
    factor = 1.0
    for cost in game.own.values():
        slope = cost.activation.slope_range[1]
        shift = max(0.0, 1 - 1 / slope) if slope > 0 else 0.0
        low, high = curvature_range(cost) if game.cost_name == "quadratic" else (1.0, 1.0)
        spread = max(abs(1 / tau + shift - low), abs(1 / tau + shift - high))
        factor = max(factor, 1 + spread / (low - shift)) if low > shift else math.inf
    return factor


def curvature_range(cost: Any) -> tuple[float, float]:
    """Return safe bounds on the eigenvalues of an own cost's metric."""
    if cost.metric is None:
        return 1.0, 1.0
    if cost.metric.ndim == 1:
        return float(cost.metric.min()), float(cost.metric.max())
    smallest, largest = symmetric_extremes(cost.metric)
    return smallest.lower, largest.upper
