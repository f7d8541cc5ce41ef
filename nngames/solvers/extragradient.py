"""The extragradient method: two prox steps an iteration, convergent for monotone inclusions where Picard cycles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nngames.certificates import verdict_of
from nngames.core.errors import NotApplicableError, check_choice
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import Game
from nngames.solvers.inclusion import (
    STEP_SHARE,
    Bounds,
    InclusionProblem,
    InclusionSolver,
    Sources,
    StepRange,
    fejer_bounds,
)
from nngames.solvers.solver import Guarantee, Rate, State, no_guarantee, norm, solver_named

OPERATORS = ("inclusion", "identity_minus_map")


class DisplacementProblem(InclusionProblem):
    """0 = x - R(x), the inclusion with F = 0 and the operator Id - R of a fixed-point map."""

    def __init__(self, game: Game, step: float | None) -> None:
        self.map = game.fixed_point("auto")
        # Id - R is 2-Lipschitz for every nonexpansive R.
        self.step = STEP_SHARE / 2 if step is None else step

    def batched(self, dtype: np.dtype[Any]) -> InclusionProblem:
        """Refuse: Id - R is evaluated for one argument at a time."""
        raise NotApplicableError("Id - R is evaluated for one start at a time: use the operator 'inclusion'")

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
class Extragradient(InclusionSolver):
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

    operator: str = "inclusion"

    steps: ClassVar[StepRange] = StepRange(1.0, "1")
    sources: ClassVar[Sources] = Sources(
        "Facchinei and Pang (2003)", "Korpelevich (1976)", ("korpelevich1976", "facchinei2003")
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("extragradient: operator", self.operator, OPERATORS)

    def problem(self, game: Game, rng: np.random.Generator) -> InclusionProblem:
        """Return the inclusion view, or that of Id - R."""
        if self.operator == "inclusion":
            return InclusionProblem(game, self.step_size, self.name)
        return DisplacementProblem(game, self.step_size)

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
        return super().guarantee(game)

    def bounds(self, reach: float, gain: float) -> Bounds:
        """Return the bounds of the derivation above."""
        return fejer_bounds(reach, gain)

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
