"""Picard iteration: x_{k+1} = R(x_k), the network's own iterated feed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Game
from nngames.networks import Constant
from nngames.solvers.fixed_point import FixedPointProblem, check_map, relaxed_guarantee
from nngames.solvers.mixed_precision import MixedProblem, check_precision, mixed_guarantee
from nngames.solvers.solver import Guarantee, Solver, State, solver_named
from nngames.solvers.turn_order import finite_passes_guarantee


@solver_named("picard")
@dataclass(frozen=True)
class Picard(Solver):
    """Picard iteration x_{k+1} = R(x_k).

    Parameters
    ----------
    map : {"auto", "composite", "joint"}
        R: the composite map O of a ring, or the joint map T. ``auto``: O on a ring, T elsewhere.
    precision : {"double", "mixed"}
        ``mixed``: steps in single precision while they help, then in double; for large dense networks, whose passes
        take the time of reading the weights. The iterates differ, the target and its test do not, and the bounds of the
        guarantee count from the change.

    Guarantee
    ---------
    If R contracts by q < 1 in some norm: |x_k - x*| <= q^k |x_0 - x*| (Banach). The 2-norm for O, a weighted block
    maximum norm, or the 2-norm, for T. If O is averaged with alpha < 1 and has a fixed point: convergence to one, with
    |O(x_k) - x_k| <= |x_0 - x*| / sqrt((1/alpha - 1)(k + 1)). Nonexpansiveness is not enough: a rotation cycles.
    A nonnegative network whose responses are concave and nowhere negative converges from every start, if its asymptotic
    map has a spectral radius below 1 (the certificate ``nonnegative``). On an acyclic network the one
    equilibrium is reached after at most as many passes as there are coordinates, whatever the residual does before.

    References
    ----------
    Bauschke and Combettes (2017), Theorem 1.50 and Proposition 5.16; Combettes and Pesquet (2020).
    """

    map: str = "auto"
    precision: str = "double"

    def __post_init__(self) -> None:
        check_map("picard", self.map)
        check_precision("picard", self.precision)

    @property
    def rowwise(self) -> bool:
        """Always: every start of a batch takes the same step."""
        return True

    @property
    def autonomous(self) -> bool:
        """In double precision: a mixed step also depends on what came before."""
        return self.precision == "double"

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether the map is proved to contract or to be averaged, or the network is acyclic."""
        guarantee = relaxed_guarantee(game, game.fixed_point(self.map).name, Constant(1.0))
        if not guarantee.proved:
            guarantee = finite_passes_guarantee(game) or guarantee
        return guarantee if self.precision == "double" else mixed_guarantee(guarantee)

    def problem(self, game: Game, rng: np.random.Generator) -> FixedPointProblem:
        """Return the fixed-point view."""
        view = game.fixed_point(self.map)
        if self.precision == "mixed":
            return MixedProblem(view, Constant(1.0))
        problem = FixedPointProblem(view)
        problem.constant = 1.0
        return problem

    def start(self, problem: FixedPointProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.start(x0)

    def step(self, problem: FixedPointProblem, state: State) -> State:
        """Return the state at R(x)."""
        return problem.relax(state, 1.0)
