"""Anderson acceleration of types I and II, safeguarded, with a plain orbit that goes on where it does not pay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nngames.core.errors import check_choice
from nngames.core.pieces import LONG
from nngames.core.profiles import Array
from nngames.games import Game
from nngames.solvers.anderson_steps import AndersonProblem
from nngames.solvers.fixed_point import FixedPointProblem, check_map
from nngames.solvers.options import nonnegative_integer, number_that, share
from nngames.solvers.safeguard import SafeguardedSolver, growth_option
from nngames.solvers.solver import Guarantee, State, solver_named
from nngames.solvers.turn_order import finite_passes_guarantee, forward_pass

TYPES = ("II", "I")


@solver_named("anderson")
@dataclass(frozen=True)
class Anderson(SafeguardedSolver):
    """Anderson acceleration x_{k+1} = x_k + beta g_k - (X_k + beta G_k) gamma_k, g_k = R(x_k) - x_k.

    The columns of X_k and G_k are the last differences of the iterates and of their displacements. Type II takes the
    gamma that minimises |g_k - G_k gamma|, a multisecant method for the inverse Jacobian; type I the one with
    X_k' (g_k - G_k gamma) = 0, for the Jacobian. Both are solved through a QR factorisation that begins with the newest
    difference and leaves out those that depend on newer ones; type II without regularisation and with a short memory
    through the Gram matrix of G_k where its pivots show that no difference nearly depends on newer ones. Of iterates of
    at least 2^17 entries the differences are kept in single precision (``long_differences``).

    Where the residual of a proposal exceeds ``growth`` times the smallest one so far, a relaxed step x_k + lambda g_k,
    lambda <= 1/2, is taken instead, the memory begins anew, and beta is halved until proposals are accepted again.

    With mixing 1 a plain orbit p -> R(p) is kept alive. The lead of acceleration is the number of its passes less that
    of the orbit's, and less log(a/b) / log(1/0.7) for each of its passes that lowers the smallest residual from a to b.
    Once it is ``memory`` (or 1), the orbit has its turn until the lead is at most 0, and what was learnt is forgotten.
    The orbit goes on from x_k, and x_k with it; where a residual of it exceeds the growth, x_k stays behind, later
    turns go on from where the orbit was, and x_k moves there once that has the smallest residual. A plain pass that the
    scheme makes because it knows no difference is one of the orbit's. So are the first three of a run while each lowers
    the residual by a factor of 0.3: quick passes may end exactly, and on an affine map the differences of k plain ones
    lead as far as those of k accelerated ones. With a smaller mixing, where memory + 1 steps have lowered the residual
    by less than a factor of 0.7 each in the mean, as many steps x_k + beta g_k follow.

    On an acyclic network with mixing 1 all passes are plain, x_{k+1} = R(x_k), whatever the memory: they end exactly,
    and little is lost. For let R be linear with the matrix W, let each coordinate listen only to ones that are one
    depth below, and let g_0 be at depth 0. The plain displacements W^i g_0 then have no depth in common, so that what k
    passes with any memory leave, a combination of the first k + 1 of them with sum 1, is no shorter than
    (sum_i |W^i g_0|^-2)^(-1/2), which is at least the shortest of them over sqrt(k + 1).

    Parameters
    ----------
    memory : int
        How many differences are kept, at most the dimension; 0 is picard with the safeguard. On a linear map type II
        with the memory of the dimension n ends after n + 1 passes, as GMRES does; where the eigenvalues of R lie around
        the unit circle, no short memory helps.
    type : {"II", "I"}
    mixing : float
        beta in (0, 1].
    regularization : float
        Tikhonov's, relative to the largest eigenvalue of the Gram matrix of the differences (never absolute: at a tight
        tolerance an absolute one outweighs the residuals).
    growth : float
        A proposal is rejected where its residual exceeds this multiple of the smallest one so far.
    map : {"auto", "composite", "joint"}
        R, as for picard.

    Guarantee
    ---------
    Of the safeguard, whatever gamma is: if O is nonexpansive and has a fixed point, or R contracts in some norm, x_k
    converges to a fixed point. Passes of the orbit bring x_k no further from any fixed point in the first case, where
    they never raise the residual, and nearer to it in the second. No rate: the r-linear one of Toth and Kelley for
    contractions is local and asks for bounded coefficients, which no certificate checks.

    On an acyclic network with mixing 1 the run makes picard's P passes to the same target, counted alike, and so fewer
    than 2 P + memory.

    If R is acyclic and not known to be, as where the layers of a ring multiply to a triangular map, so that N passes
    reach the fixed point from every start, then with mixing 1 and a memory of at least 1 at most 2 N + memory + 1 + c
    passes are made, with c = log(|g_0| / r) / log(1/0.7) and r the smallest residual that accelerated passes reached
    before, as long as the orbit's residual stays below 1e10 |g_0|. Proof: let the components at depth d depend on those
    of smaller depth alone, and call a point exact to depth v if its components up to there are the fixed point's.
    Affine combinations and relaxed steps of such points are so too, and R makes them exact to depth v + 1. As the
    memory is forgotten at each turn of the orbit, all that the scheme combines is exact to depth v after v passes of
    the orbit, and so is the point from which that goes on: N of them reach the fixed point. The other passes are at
    most as many, and the lead, below memory + 2 as a rejection costs two, and c, as the factors by which they lowered
    the smallest residual multiply to at most |g_0| / r. No such bound holds on maps with cycles, where the orbit goes
    on from accelerated iterates and may take longer than from x_0.

    References
    ----------
    Anderson (1965); Walker and Ni (2011); Fang and Saad (2009) for the types; Toth and Kelley (2015) for the local
    rate; Zhang, O'Donoghue and Boyd (2020) for the safeguard.
    """

    memory: int = 5
    type: str = "II"
    mixing: float = 1.0
    regularization: float = 0.0
    growth: float = 4.0
    map: str = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", nonnegative_integer("anderson", "memory", self.memory))
        check_choice("anderson: type", self.type, TYPES)
        object.__setattr__(self, "mixing", share("anderson", "mixing", self.mixing))
        weight = number_that(
            "anderson", "regularization", self.regularization, "be finite and nonnegative", lambda number: number >= 0
        )
        object.__setattr__(self, "regularization", weight)
        object.__setattr__(self, "growth", growth_option("anderson", self.growth))
        check_map("anderson", self.map)

    def problem(self, game: Game, rng: np.random.Generator) -> AndersonProblem | FixedPointProblem:
        """Return the fixed-point view with the memory of one run; picard's problem where all passes are plain."""
        view = game.fixed_point(self.map)
        if self._stays_plain(game):
            problem = FixedPointProblem(view)
            problem.constant = 1.0
            return problem
        if view.size < LONG:
            return AndersonProblem(view, self)
        from nngames.solvers.long_anderson import LongAndersonProblem

        return LongAndersonProblem(view, self)

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether a contraction or nonexpansiveness of the map is proved, or the network is acyclic."""
        guarantee = super().guarantee(game)
        if guarantee.proved or not self._stays_plain(game):
            return guarantee
        return finite_passes_guarantee(game) or guarantee

    def _stays_plain(self, game: Game) -> bool:
        return self.mixing == 1 and forward_pass(game) is not None

    def start(self, problem: AndersonProblem | FixedPointProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.begin(x0) if isinstance(problem, AndersonProblem) else problem.start(x0)

    def step(self, problem: AndersonProblem | FixedPointProblem, state: State) -> State:
        """Return the state after the accelerated step, or the plain or relaxed one."""
        if isinstance(problem, AndersonProblem):
            return problem.follow(state) if problem.behind else problem.accelerate(state)
        return problem.relax(state, 1.0)
