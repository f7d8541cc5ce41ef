"""Halpern's scheme: x_{k+1} = x_0 / (k + 2) + (k + 1) / (k + 2) R(x_k), anchored at its start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nngames.certificates import verdict_of
from nngames.certificates.figures import shown
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import Game
from nngames.solvers.fixed_point import Accumulated, FixedPointProblem, check_map, contraction
from nngames.solvers.solver import MAX_ITERATIONS, Guarantee, Rate, Solver, State, no_guarantee, norm, solver_named

#: A contraction by less than this is as good as none in a run of that length: 2 / (k + 1) says more.
LEAST_GAIN = 1 / MAX_ITERATIONS


@solver_named("halpern")
@dataclass(frozen=True)
class Halpern(Solver):
    """Halpern's scheme x_{k+1} = beta_k x_0 + (1 - beta_k) R(x_k), beta_k = 1/(k + 2), k = 0, 1, ...

    Parameters
    ----------
    map : {"auto", "composite", "joint"}
        R, as for picard.

    Guarantee
    ---------
    If the composite map O is nonexpansive and has a fixed point x*: |O(x_k) - x_k| <= 2 |x_0 - x*| / (k + 1) for every
    k >= 0, and x_k converges to the fixed point nearest to x_0. The bound is attained: by R = -Id at every even k. If R
    contracts by q in some norm: |x_k - x*| <= a_k |x_0 - x*| in that norm, a_0 = 1 and
    a_{k+1} = beta_k + (1 - beta_k) q a_k, about 1 / ((1 - q) k): the anchor costs the linear rate. Where 1 - q < 1e-4
    the first bound is the one that is told.

    Proof of the rate. Let g_j = x_j - R(x_j) and w_j = (x_0 - x_j) / j. The scheme says R(x_{j-1}) = x_j - w_j, so
    x_j - x_{j-1} = w_j - g_{j-1} and R(x_j) - R(x_{j-1}) = w_j - g_j. Nonexpansiveness, |w_j - g_j| <= |w_j - g_{j-1}|,
    times j (j + 1), with (j + 1)(x_0 - x_j) = j (x_0 - x_{j-1}) + j g_{j-1}, says that
    E_j = j (j + 1) |g_j|^2 - 2 (j + 1) <x_0 - x_j, g_j> does not increase. E_0 = 0, so k |g_k|^2 <=
    2 <x_0 - x_k, g_k>. Adding |g_k|^2 <= 2 <x_k - x*, g_k>: (k + 1) |g_k|^2 <= 2 <x_0 - x*, g_k>.

    References
    ----------
    Halpern (1967); Wittmann (1992) for the limit; Lieder (2021), Theorem 2.1, and Sabach and Shtern (2017) for the
    rate.
    """

    map: str = "auto"

    def __post_init__(self) -> None:
        check_map("halpern", self.map)

    @property
    def autonomous(self) -> bool:
        """Never: a step depends on its number and on the start."""
        return False

    @property
    def rowwise(self) -> bool:
        """Always: every start of a batch takes the same step."""
        return True

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether a contraction or nonexpansiveness of the map is proved."""
        kind = game.fixed_point(self.map).name
        found = contraction(game, kind)
        nonexpansive = kind == "composite" and verdict_of("composite_nonexpansive", game).proved
        if found is not None and not (nonexpansive and 1 - found[0] < LEAST_GAIN):
            factor, measure, certificate = found
            shares = Accumulated(lambda k, a: (1 + (k + 1) * factor * a) / (k + 2) * (1 + 1e-15), 1.0)
            return Guarantee(
                Decision.PROVED,
                f"the {kind} map contracts by {shown(factor)}, so the scheme converges sublinearly to the unique "
                "equilibrium",
                f"{certificate}, the triangle inequality",
                margin=1 - factor,
                witness={"map": kind, "factor": factor, "certificate": certificate},
                references=("halpern1967",),
                rate=Rate(
                    "distance",
                    measure,
                    lambda k, d: shares(k) * d,
                    f"|x_k - x*| <= a_k |x_0 - x*|, a_(k+1) = (1 + (k + 1) {factor:.6g} a_k) / (k + 2)",
                ),
            )
        if nonexpansive:
            unique = found is not None
            return Guarantee(
                Decision.PROVED,
                "the composite map is nonexpansive, so the scheme converges to "
                + ("the unique equilibrium" if unique else "the equilibrium nearest to its start, if there is one"),
                "composite_nonexpansive, Lieder (2021)",
                witness={"map": "composite", "certificate": "composite_nonexpansive", "unique": unique},
                references=("lieder2021", "sabach2017", "wittmann1992"),
                rate=Rate(
                    "residual",
                    norm,
                    lambda k, d: 2 * d / (k + 1) * (1 + 1e-12),
                    "|O(x_k) - x_k| <= 2 |x_0 - x*| / (k + 1)",
                ),
            )
        return no_guarantee(f"neither a contraction nor nonexpansiveness of the {kind} map is proved")

    def problem(self, game: Game, rng: np.random.Generator) -> AnchoredProblem:
        """Return the fixed-point view with the anchor of one run."""
        return AnchoredProblem(game.fixed_point(self.map))

    def start(self, problem: AnchoredProblem, x0: Array) -> State:
        """Return the state at x0, which becomes the anchor."""
        problem.anchor = x0.copy()
        return problem.start(x0)

    def step(self, problem: AnchoredProblem, state: State) -> State:
        """Return the state at beta x_0 + (1 - beta) R(x); the k-th step follows k + 1 evaluations."""
        return problem.pull(state, 1 / (state.evaluations + 1))


class AnchoredProblem(FixedPointProblem):
    """A fixed-point map with the anchor of one run."""

    anchor: Array

    def keep(self, kept: NDArray[np.intp]) -> None:
        """Drop columns of the buffers and of the anchor."""
        super().keep(kept)
        self.anchor = self.anchor[:, kept]

    def pull(self, state: State, share: float) -> State:
        """Return the state at share * anchor + (1 - share) R(x); x itself stays whole."""
        following = np.multiply(state.memory, 1 - share, out=self._spare)
        following += share * self.anchor
        self._spare = state.x
        return self._state(following, state.memory, state.evaluations)
