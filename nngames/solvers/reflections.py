"""What Douglas-Rachford and Peaceman-Rachford splitting share: the reflected resolvents of x -> Mx + q and of dF."""

from __future__ import annotations

import math
import sys
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nngames.certificates import verdict_of
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import Game, Inclusion
from nngames.games.self_loops import is_symmetric
from nngames.solvers.inclusion import InclusionProblem, proved_modulus, residual_factor, upper_product
from nngames.solvers.options import positive_number
from nngames.solvers.solver import Guarantee, Rate, Solver, State, no_guarantee, norm

#: The relaxation at which both steps are whole reflections.
REFLECTION = 2.0


class ReflectionProblem(InclusionProblem):
    """0 in dF(x) + M x + q with the resolvents of both parts.

    The scheme's own variable is z = x + tau (M x + q), which x determines; so M x + q = (z - x) / tau costs no pass.

    Parameters
    ----------
    game : Game
    step : float or None
        tau; None: ``default_step``.
    relaxation : float
        lambda.

    Raises
    ------
    NotApplicableError
        If the game has no inclusion view, or Id + tau M is not factorised.
    """

    def __init__(self, game: Game, step: float | None, relaxation: float) -> None:
        self.view = game.inclusion()
        self.step = default_step(self.view) if step is None else step
        self.relaxation = relaxation
        self.resolvent = self.view.resolvent(self.step)

    def begin(self, x: Array) -> State:
        """Return the state at x; its memory is z and M x + q."""
        value = self.value(x)
        return State(x, self.residual(x, value), 1, (x + self.step * value, value))

    def follow(self, state: State) -> State:
        """Return the next state: z + lambda (y - x), y the prox at 2x - z, and its resolvent."""
        z, _ = state.memory
        y = self.view.prox(2 * state.x - z, self.step)
        z = z + self.relaxation * (y - state.x)
        x = self.resolvent(z)
        value = (z - x) / self.step
        return State(x, self.residual(x, value), state.evaluations + self.resolvent.passes, (z, value))


def default_step(view: Inclusion) -> float:
    """Return one over the root mean square of the singular values of M, 1 where M = 0; never 0."""
    size = min(view.mean_singular_value, sys.float_info.max)
    return 1 / size if size > 0 else 1.0


@dataclass(frozen=True)
class ReflectionSolver(Solver):
    """A scheme z <- (1 - lambda/2) z + lambda/2 R_F R_M z, R_M and R_F the reflected resolvents of M x + q and dF."""

    step_size: float | None = None

    keys: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        if self.step_size is not None:
            object.__setattr__(self, "step_size", positive_number(self.name, "step_size", self.step_size))

    @property
    @abstractmethod
    def weight(self) -> float:
        """Lambda, in (0, 2]."""

    def problem(self, game: Game, rng: np.random.Generator) -> ReflectionProblem:
        """Return the inclusion view with both resolvents."""
        return ReflectionProblem(game, self.step_size, self.weight)

    def start(self, problem: ReflectionProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.begin(x0)

    def step(self, problem: ReflectionProblem, state: State) -> State:
        """Return the state after both resolvents."""
        return problem.follow(state)

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether monotonicity is proved, and what follows at this relaxation."""
        verdict = verdict_of("monotone", game)
        if not verdict.proved:
            return no_guarantee(f"M is not proved monotone: {verdict.statement}")
        view: Any = game.inclusion()
        tau = default_step(view) if self.step_size is None else self.step_size
        modulus = proved_modulus(verdict)
        # Off the diagonal an entry of M is one of -W or one of a block Q as it is given, so nothing is rounded there.
        reflected = reflection_factor(upper_product(tau, view.norm_bound), tau * modulus, is_symmetric(view.matrix))
        factor = 1 - self.weight / 2 * (1 - reflected) + 4e-16
        witness = {"map": "inclusion", "step": tau, "relaxation": self.weight, "norm_bound": view.norm_bound}
        if modulus > 0 and factor < 1:
            return self._linear(view, tau, modulus, factor, witness)
        if self.weight == REFLECTION:
            return no_guarantee(
                "M is monotone, and no contraction of its reflected resolvent is proved: two whole reflections need "
                "strong monotonicity"
            )
        return self._sublinear(game, view, tau, modulus, witness)

    def _linear(self, view: Inclusion, tau: float, modulus: float, factor: float, witness: dict[str, Any]) -> Guarantee:
        return Guarantee(
            Decision.PROVED,
            f"M is strongly monotone with modulus {modulus:.6g}: linear convergence to the unique equilibrium, by "
            f"{factor:.6g} an iteration",
            "monotone, the contraction of its reflected resolvent",
            margin=1 - factor,
            witness={**witness, "factor": factor},
            references=self.keys,
            rate=Rate(
                "distance",
                _reach(view, tau),
                lambda k, d: factor**k * d * (1 + 1e-12),
                f"|d_k| <= {factor:.6g}^k |d_0|, d_k = (Id + {tau:.4g} M)(x_k - x*)",
            ),
        )

    def _sublinear(self, game: Game, view: Inclusion, tau: float, modulus: float, witness: dict[str, Any]) -> Guarantee:
        constant = residual_factor(game, tau) / math.sqrt(self.weight * (2 - self.weight)) * (1 + 1e-12)
        rate = Rate(
            "residual",
            _reach(view, tau),
            lambda k, d: constant * d / math.sqrt(k + 1),
            f"|R(x_k) - x_k| <= {constant:.4g} |(Id + {tau:.4g} M)(x_0 - x*)| / sqrt(k + 1)",
        )
        return Guarantee(
            Decision.PROVED,
            "M is monotone: the method converges to an equilibrium, if there is one",
            "monotone, Lions and Mercier (1979)",
            margin=self.weight * (2 - self.weight),
            witness={**witness, "unique": modulus > 0},
            references=self.keys,
            # Where slopes are unbounded, the residual is not bounded by the distance.
            rate=rate if math.isfinite(constant) else None,
        )


def reflection_factor(reach: float, gain: float, symmetric: bool) -> float:
    """Return a Lipschitz constant of the reflected resolvent of M, from t >= tau |M| and g <= tau mu; rounded up.

    For d = x - x' the reflected resolvent maps d + tau M d to d - tau M d. With s = |d|^2 + tau^2 |M d|^2 and
    c = 2 tau <M d, d> the squared quotient is (s - c)/(s + c), which falls in c and, with c fixed, grows in s: it is at
    most (1 - 2g + t^2)/(1 + 2g + t^2), the least at t = 1. For a symmetric M the eigenvalues (1 - v)/(1 + v),
    g <= v <= t, give max((1 - g)/(1 + g), (t - 1)/(t + 1)).
    """
    square = reach * reach
    if not math.isfinite(square):
        return 1.0
    # Absolute rounding: the terms are of order 1, and their sum may nearly vanish.
    if symmetric:
        return min(1.0, max((1 - gain) / (1 + gain), (reach - 1) / (reach + 1)) + 1e-15)
    return min(1.0, math.sqrt(max(0.0, (1 - 2 * gain + square) / (1 + 2 * gain + square)) + 1e-15))


def _reach(view: Any, tau: float) -> Any:
    """Return d -> |d + tau M d|, the norm of a difference of z for one of x."""
    return lambda d: norm(d + tau * view.matrix.apply(d))
