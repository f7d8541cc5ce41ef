"""What the schemes on the inclusion 0 in dF(x) + M x + q share: the problem, the step and its range, and the proofs."""

from __future__ import annotations

import math
import sys
from abc import abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from nngames.certificates import verdict_of
from nngames.certificates.figures import round_up
from nngames.core.bounds import symmetric_extremes
from nngames.core.errors import NotApplicableError
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game
from nngames.solvers.options import positive_number
from nngames.solvers.solver import Guarantee, Problem, Rate, Solver, State, no_guarantee, norm, row_norms

#: The default step is this share of the largest one that the proofs allow.
STEP_SHARE = 0.9


class InclusionProblem(Problem):
    """0 in dF(x) + M x + q with the step of one run.

    Parameters
    ----------
    game : Game
    step : float or None
        None: the share ``STEP_SHARE`` of ``limit`` / |M|, with a safe upper bound on |M|.
    owner : str
        The method that asks, for the error.
    limit : float
        The step times |M| must stay below this for the method's proofs.

    Raises
    ------
    NotApplicableError
        If the game has no inclusion view, or no bound on |M| is known and no step is given.
    """

    def __init__(self, game: Game, step: float | None, owner: str, limit: float = 1.0) -> None:
        self.view = game.inclusion()
        if step is None:
            bound = self.view.norm_bound
            if not math.isfinite(bound):
                raise NotApplicableError(f"no safe bound on |M| is known for this game: give {owner} a step")
            step = STEP_SHARE * limit / bound if bound > 0 else 1.0
        self.step = step

    #: The norm of the game's residual: of each row where there are many starts.
    norm: Callable[[Array], Any] = staticmethod(norm)

    def batched(self, dtype: np.dtype[Any]) -> InclusionProblem:
        """Return the problem on rows."""
        batched = copy(self)
        batched.norm = row_norms
        return batched

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
        return self.norm(self.view.response(x, value) - x)

    def advance(self, x: Array, value: Array) -> Array:
        """Return the prox step from x along ``value``."""
        return self.view.prox(x - self.step * value, self.step)


@dataclass(frozen=True)
class StepRange:
    """The steps that a method's proofs allow: tau |M| below ``limit``, or up to it.

    Attributes
    ----------
    limit : float
        Not above the exact limit.
    name : str
        The limit as a formula.
    closed : bool
        Whether the limit itself is allowed.
    """

    limit: float
    name: str
    closed: bool = False

    def allows(self, reach: float) -> bool:
        """Whether tau |M| = ``reach`` is in the range."""
        return reach < self.limit or (self.closed and reach == self.limit)

    @property
    def condition(self) -> str:
        """The range as a formula."""
        return f"tau |M| {'<=' if self.closed else '<'} {self.name}"

    def refusal(self, step: float, bound: float) -> Guarantee:
        """Return the verdict for a step outside."""
        quotient = f"{self.name}/|M|" if self.name.isalnum() else f"({self.name})/|M|"
        what, longest = "above" if self.closed else "not below", self.limit / bound
        shown = f"the step {step:.6g} is {what} {quotient} = {longest:.6g}"
        if self.closed and f"{step:.6g}" == f"{longest:.6g}":
            shown = f"the step {step:.17g} is not below {quotient} = {longest:.17g} up to rounding"
        return no_guarantee(f"M is monotone, but {shown}")


@dataclass(frozen=True)
class Bounds:
    """What a method's proof gives for t >= tau |M| and tau mu, mu the modulus of strong monotonicity.

    Attributes
    ----------
    residual : float
        c with |x_j - p_j| <= c |x_0 - x*| / (k + counted)^order, p_j the prox step at x_j, for the best j up to k, or
        for j = k. No bound where the divisor is 0.
    slack : float
        How far the step is inside its range: the factor of a squared step that the proof gives away.
    square, lead : float
        |x_k - x*|^2 <= lead^2 square^k |x_0 - x*|^2; square = 1 where nothing contracts.
    counted : {0, 1}
        Whether the start counts.
    order : float
    last : bool
        Whether the last iterate is bounded, not only the best.
    """

    residual: float
    slack: float
    square: float = 1.0
    lead: float = 1.0
    counted: int = 1
    order: float = 0.5
    last: bool = False

    def rate(self, factor: float) -> Rate | None:
        """Return the bound on the game's residual, which is at most ``factor`` |x - p|; None where that is infinite."""
        constant, counted, order = factor * self.residual, self.counted, self.order
        if not math.isfinite(constant):
            return None

        def bound(k: int, distance: float) -> float:
            return constant * distance / (k + counted) ** order * (1 + 1e-12) if k + counted else math.inf

        divisor = "k + 1" if counted else "k"
        what, start = ("residual", "") if self.last else ("best_residual", "min_(j<=k) ")
        divisor = f"sqrt({divisor})" if order == 0.5 else divisor
        j = "k" if self.last else "j"
        return Rate(what, norm, bound, f"{start}|R(x_{j}) - x_{j}| <= {constant:.4g} |x_0 - x*| / {divisor}")


@dataclass(frozen=True)
class Sources:
    """The theorems behind a method: of linear convergence, of convergence, and the keys of the literature."""

    linear: str
    convergence: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class InclusionSolver(Solver):
    """A scheme on the inclusion with a constant step ``step_size``, proved for a monotone M and a range of steps."""

    step_size: float | None = None

    steps: ClassVar[StepRange]
    sources: ClassVar[Sources]

    @property
    def rowwise(self) -> bool:
        """Whether every start of a batch takes the same step: with a constant step."""
        return True

    def __post_init__(self) -> None:
        if self.step_size is not None:
            object.__setattr__(self, "step_size", positive_number(self.name, "step_size", self.step_size))

    def problem(self, game: Game, rng: np.random.Generator) -> InclusionProblem:
        """Return the inclusion view."""
        return InclusionProblem(game, self.step_size, self.name, self.steps.limit)

    def start(self, problem: InclusionProblem, x0: Array) -> State:
        """Return the state at x0; its memory is M x0 + q."""
        value = problem.value(x0)
        return State(x0, problem.residual(x0, value), 1, value)

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether monotonicity is proved and the step is in its range."""
        verdict = verdict_of("monotone", game)
        if not verdict.proved:
            return no_guarantee(f"M is not proved monotone: {verdict.statement}")
        problem = self.problem(game, np.random.default_rng(0))
        tau, bound = problem.step, problem.view.norm_bound
        reach = upper_product(tau, bound)
        if not self.steps.allows(reach):
            return self.steps.refusal(tau, bound)
        modulus = proved_modulus(verdict)
        bounds = self.bounds(reach, tau * modulus)
        factor = math.sqrt(bounds.square) * (1 + 4e-16)
        if factor < 1:
            premise = f"M is strongly monotone with modulus {modulus:.6g} and {self.steps.condition}"
            return self.linear(premise, problem, factor, bounds.lead)
        return self.sublinear(f"M is monotone and {self.steps.condition}", game, problem, bounds, modulus)

    def linear(self, premise: str, problem: InclusionProblem, factor: float, lead: float = 1.0) -> Guarantee:
        """Return the proof of |x_k - x*| <= lead factor^k |x_0 - x*|."""
        # Where only the factor was rounded, and upwards, nothing is added.
        constant, shown = (1.0, "") if lead == 1 else (lead * (1 + 1e-12), f"{lead:.4g} ")
        formula = f"|x_k - x*| <= {shown}{factor:.6g}^k |x_0 - x*|"
        return Guarantee(
            Decision.PROVED,
            f"{premise}: linear convergence to the unique equilibrium, by {factor:.6g} an iteration",
            f"monotone, {self.sources.linear}",
            margin=1 - factor,
            witness={"map": "inclusion", "factor": factor, "step": problem.step, "norm_bound": problem.view.norm_bound},
            references=self.sources.keys,
            rate=Rate("distance", norm, lambda k, d: constant * factor**k * d, formula),
        )

    def outcome(self, bounded: bool) -> str:
        """Return what is proved without a factor; ``bounded`` says whether the game's residual has a bound."""
        return "the method converges to an equilibrium, if there is one"

    def sublinear(
        self, premise: str, game: Game, problem: InclusionProblem, bounds: Bounds, modulus: float
    ) -> Guarantee:
        """Return the proof of convergence without a factor; a ``modulus`` > 0 proves that there is an equilibrium."""
        # Where slopes are unbounded, the residual is not bounded by the distance.
        rate = bounds.rate(residual_factor(game, problem.step))
        unique = modulus > 0
        return Guarantee(
            Decision.PROVED,
            f"{premise}: {self.outcome(bounded=rate is not None)}",
            f"monotone, {self.sources.convergence}",
            margin=bounds.slack,
            witness={"map": "inclusion", "step": problem.step, "norm_bound": problem.view.norm_bound, "unique": unique},
            references=self.sources.keys,
            rate=rate,
        )

    @abstractmethod
    def bounds(self, reach: float, gain: float) -> Bounds:
        """Return what the proof gives for ``reach`` >= tau |M|, in the range of steps, and ``gain`` <= tau mu."""


def proved_modulus(verdict: Verdict) -> float:
    """Return the modulus of strong monotonicity that the verdict proves, 0 where it proves none."""
    return max(0.0, float(verdict.witness.get("modulus") or 0.0))


def upper_product(tau: float, bound: float) -> float:
    """Return a number that is not below tau * bound."""
    return tau * bound * (1 + 5e-16)


def fejer_bounds(reach: float, gain: float) -> Bounds:
    """Return the bounds that extragradient and forward-backward-forward share, from

    |x_{k+1} - x*|^2 <= |x_k - x*|^2 - (1 - t^2) |x_k - y_k|^2 - 2 tau mu |y_k - x*|^2,  y_k the prox step at x_k,

    and |y - x*|^2 >= |x - x*|^2/2 - |x - y|^2: with m <= mu and 2 tau m <= 1 - t^2 the factor is 1 - tau m.
    """
    slack = 1 - reach**2
    return Bounds(residual=1 / math.sqrt(slack), slack=slack, square=1 - min(gain, slack / 2))


def start_growth(reach: float) -> float:
    """Return C with |x_1 - x*|^2 + |x_1 - x_0|^2 <= C |x_0 - x*|^2 for x_1 = prox(x_0 - tau (M x_0 + q)), M monotone.

    With r = |x_1 - x_0| and t >= tau |M|: |x_1 - x*|^2 + r^2 <= |x_0 - x*|^2 - 2 tau <M(x_0 - x*), x_1 - x*>, and
    <M(x_0 - x*), x_0 - x*> >= 0, so the left side is at most d^2 + 2 t d r, d = |x_0 - x*|. Then r^2 <= d^2 + 2 t d r
    gives r <= (t + sqrt(1 + t^2)) d, and C = 1 + 2t (t + sqrt(1 + t^2)) = (t + sqrt(1 + t^2))^2.
    """
    return (reach + math.hypot(1.0, reach)) ** 2


def residual_factor(game: Any, tau: float) -> float:
    """Return c with |R(x) - x| <= c |x - p|, p = prox of tau F at x - tau (Mx + q), R the map of the game's residual.

    z = R(x) solves Q(x - z) - w in df(z), Q the metric of R (the identity for a network's T) and w = Mx + q unshifted;
    p solves (1/tau + k)(x - p) - w in df(p), k = max(0, 1 - 1/S) the shift that makes F convex. df + k Id is monotone,
    so <(1/tau + k - Q)(x - p), p - z> >= <(Q - k)(p - z), p - z>, and
    c = 1 + |1/tau + k - Q| / (lambda_min(Q) - k): S/tau for a network where tau <= S; inf where S is. c is rounded up,
    and allows for a k in p that is rounded: below, only the exact one makes F convex.
    """
    if not tau > 0:
        return math.inf
    factor, inverse = Fraction(1), 1 / Fraction(tau)
    curved = game.cost_name == "quadratic"
    # Of many players there are few kinds.
    kinds = {
        (cost.activation.slope_range[1], curvature_range(cost) if curved else (1.0, 1.0)) for cost in game.own.values()
    }
    for slope, ends in kinds:
        if not all(math.isfinite(end) for end in ends):
            return math.inf
        shift = Fraction(0)
        if slope > 0:
            shift = max(shift, 1 - 1 / Fraction(slope)) if math.isfinite(slope) else Fraction(1)
        low, high = map(Fraction, ends)
        if low <= shift:
            return math.inf
        spread = max(abs(inverse + shift - low), abs(inverse + shift - high)) + Fraction(sys.float_info.epsilon)
        factor = max(factor, 1 + spread / (low - shift))
    return round_up(factor)


def curvature_range(cost: Any) -> tuple[float, float]:
    """Return safe bounds on the eigenvalues of an own cost's metric."""
    if cost.metric is None:
        return 1.0, 1.0
    if cost.metric.ndim == 1:
        return float(cost.metric.min()), float(cost.metric.max())
    smallest, largest = symmetric_extremes(cost.metric)
    return smallest.lower, largest.upper
