"""The Krasnoselskii-Mann scheme: x_{k+1} = x_k + lambda_k (R(x_k) - x_k), the network's averaged feed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Game
from nngames.networks import Constant, as_relaxation
from nngames.solvers.fixed_point import FixedPointProblem, check_map, relaxed_guarantee
from nngames.solvers.mixed_precision import MixedProblem, check_precision, mixed_guarantee
from nngames.solvers.solver import Guarantee, Solver, State, solver_named


@solver_named("km")
@dataclass(frozen=True)
class KrasnoselskiiMann(Solver):
    """The Krasnoselskii-Mann scheme x_{k+1} = x_k + lambda_k (R(x_k) - x_k).

    Parameters
    ----------
    relaxation : float, "diminishing", mapping, sequence or callable
        lambda_k: a constant; 1/(k+1); ``{"initial": a, "power": p}`` for a/(k+1)^p; the first values, the last of which
        repeats; a function of k.
    map : {"auto", "composite", "joint"}
        R, as for picard. A relaxation range belongs to one map: what is safe for O need not be for T.
    precision : {"double", "mixed"}
        ``mixed``: steps in single precision while they help, then in double; for large dense networks, whose passes
        take the time of reading the weights. The iterates differ, the target and its test do not, and the bounds of the
        guarantee count from the change.

    Guarantee
    ---------
    If R contracts by q: |x_k - x*| <= prod (|1 - lambda_t| + lambda_t q) |x_0 - x*|. If O is averaged with alpha and
    has a fixed point, lambda_t in (0, 1/alpha) and sum lambda_t (1 - alpha lambda_t) = infinity: convergence to a fixed
    point, with |O(x_k) - x_k| <= |x_0 - x*| / sqrt(sum_{t <= k} lambda_t (1/alpha - lambda_t)). A nonexpansive O is the
    case alpha = 1. Of two proved bounds the one is told that leaves less after 10 000 passes.

    References
    ----------
    Bauschke and Combettes (2017), Theorem 5.15 and Proposition 5.16; Combettes and Pesquet (2020); Cominetti, Soto and
    Vaisman (2014) for the rate.
    """

    relaxation: Any = 0.5
    map: str = "auto"
    precision: str = "double"

    def __post_init__(self) -> None:
        check_map("km", self.map)
        check_precision("km", self.precision)
        as_relaxation(self.relaxation)

    @property
    def rowwise(self) -> bool:
        """Always: every start of a batch takes the same step."""
        return True

    @property
    def autonomous(self) -> bool:
        """Whether the relaxation is constant and the precision double."""
        return self.precision == "double" and isinstance(as_relaxation(self.relaxation), Constant)

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether a contraction or averagedness licenses the relaxation."""
        guarantee = relaxed_guarantee(game, game.fixed_point(self.map).name, as_relaxation(self.relaxation))
        return guarantee if self.precision == "double" else mixed_guarantee(guarantee)

    def problem(self, game: Game, rng: np.random.Generator) -> RelaxedProblem | MixedProblem:
        """Return the fixed-point view with the relaxation."""
        kind = RelaxedProblem if self.precision == "double" else MixedProblem
        return kind(game.fixed_point(self.map), as_relaxation(self.relaxation))

    def start(self, problem: RelaxedProblem | MixedProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.start(x0)

    def step(self, problem: RelaxedProblem | MixedProblem, state: State) -> State:
        """Return the relaxed state; the k-th step follows k + 1 evaluations of the map."""
        return problem.relax(state, problem.relaxation(state.evaluations - 1))


class RelaxedProblem(FixedPointProblem):
    """A fixed-point map with the relaxation of one run."""

    def __init__(self, view: Any, relaxation: Any) -> None:
        super().__init__(view)
        self.relaxation = relaxation
        if isinstance(relaxation, Constant):
            self.constant = relaxation.value
