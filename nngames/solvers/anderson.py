"""Anderson acceleration of types I and II, safeguarded, with a plain orbit that goes on where it does not pay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.core.errors import check_choice
from nngames.core.pieces import LONG
from nngames.core.profiles import Array
from nngames.games import FixedPoint, Game
from nngames.networks.compiled.loading import Kernels
from nngames.networks.compiled.maps import FusedMap
from nngames.solvers.differences import LARGEST_GRAM, Differences
from nngames.solvers.fixed_point import check_map
from nngames.solvers.multisecant import coefficients
from nngames.solvers.options import nonnegative_integer, number_that, share
from nngames.solvers.safeguard import (
    DECAY,
    PAYING,
    RELAXATION,
    RESIDUAL_LIMIT,
    SMALLEST_RELAXATION,
    STEP_LIMIT,
    SafeguardedProblem,
    SafeguardedSolver,
    Turns,
    growth_option,
)
from nngames.solvers.solver import State, solver_named
from nngames.solvers.stopping import Stretch

TYPES = ("II", "I")
#: The smallest mixing that rejections lead to.
SMALLEST_MIXING = 1 / 64
#: A plain orbit whose residual exceeds the first one by this factor is given up.
ORBIT_LIMIT = 1e10
#: What the compiled steps go by, in their order.
_RULES = np.array(
    [STEP_LIMIT, RESIDUAL_LIMIT, DECAY, RELAXATION, SMALLEST_RELAXATION, PAYING, SMALLEST_MIXING, ORBIT_LIMIT]
)


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
    scheme makes because it knows no difference is one of the orbit's. With a smaller mixing, where memory + 1 steps
    have lowered the residual by less than a factor of 0.7 each in the mean, as many steps x_k + beta g_k follow.

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

    If R is acyclic, so that N passes reach the fixed point from every start, then with mixing 1 and a memory of at
    least 1 at most 2 N + memory + 1 + c passes are made, with c = log(|g_0| / r) / log(1/0.7) and r the smallest
    residual that accelerated passes reached before, as long as the orbit's residual stays below 1e10 |g_0|. Proof: let
    the components at depth d depend on those of smaller depth alone, and call a point exact to depth v if its
    components up to there are the fixed point's. Affine combinations and relaxed steps of such points are so too, and R
    makes them exact to depth v + 1. As the memory is forgotten at each turn of the orbit, all that the scheme combines
    is exact to depth v after v passes of the orbit, and so is the point from which that goes on: N of them reach the
    fixed point. The other passes are at most as many, and the lead, below memory + 2 as a rejection costs two, and c,
    as the factors by which they lowered the smallest residual multiply to at most |g_0| / r. No such bound holds on
    maps with cycles, where the orbit goes on from accelerated iterates and may take longer than from x_0.

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

    def problem(self, game: Game, rng: np.random.Generator) -> AndersonProblem:
        """Return the fixed-point view with the memory of one run."""
        view = game.fixed_point(self.map)
        if view.size < LONG:
            return AndersonProblem(view, self)
        from nngames.solvers.long_anderson import LongAndersonProblem

        return LongAndersonProblem(view, self)

    def start(self, problem: AndersonProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.begin(x0)

    def step(self, problem: AndersonProblem, state: State) -> State:
        """Return the state after the accelerated step, or the plain or relaxed one."""
        return problem.follow(state) if problem.behind else problem.accelerate(state)


class AndersonProblem(SafeguardedProblem):
    """A fixed-point map with the differences of one run, and the turns of accelerated and plain steps.

    Attributes
    ----------
    behind : bool
        Whether the next pass is the plain orbit's.
    """

    def __init__(self, view: FixedPoint, scheme: Anderson) -> None:
        super().__init__(view, scheme.growth)
        self._scheme, self._mixing = scheme, scheme.mixing
        most = min(scheme.memory, view.size)
        by_gram = scheme.type == "II" and not scheme.regularization and most <= LARGEST_GRAM
        self._differences: Any = self._room(most, by_gram)
        self.turns = Turns(most)
        self._keeps_orbit = scheme.mixing == 1
        self._trial: State | None = None

    def _room(self, most: int, gram: bool) -> Any:
        return Differences(most, gram)

    def resume(self, state: State) -> State:
        """Begin a stretch of accelerated steps."""
        self._near = self.view.from_base() if self.refined and state.x.dtype == np.float64 else None
        self.turns.begin(state.residual)
        # The orbit's point and its displacement, None where it goes on from the iterate.
        self._orbit: tuple[Array, Array] | None = None
        self.behind, self._lead = False, 0.0
        return super().resume(state)

    def attempt(self, state: State, step: Array) -> tuple[State | None, int]:
        """Return the state at x + step, or None where the map is undefined or not finite, and the passes so far.

        x + step takes the place of a step that is not the state's own displacement.
        """
        x = np.add(state.x, step, None if step is state.memory else step)
        self._trial, evaluations = self.tried(x, state.evaluations)
        return self._trial, evaluations

    def accelerate(self, state: State) -> State:
        """Return the state after the accelerated step, or the relaxed one."""
        plain = self._orbit is None and not self._differences.count and self._mixing == 1
        best = self._best
        following = self._advanced(state)
        if self._keeps_orbit:
            passes = following.evaluations - state.evaluations
            if plain and (passes == 2 or not self.rejected):
                passes -= 1
                if self.rejected:
                    self._leave(self._trial)
            self._lead += passes
            if passes and not self.rejected and 0 < following.residual < best:
                self._lead -= math.log(best / following.residual) / math.log(1 / PAYING)
            self.behind = self._lead >= max(1, self._differences.most)
        self.learn(state, following)
        return following

    def _advanced(self, state: State) -> State:
        """Return the state after the proposed step if it is accepted, else after the relaxed one."""
        return self.advance(state, self.proposal(state))

    def follow(self, state: State) -> State:
        """Return the state after a pass of the plain orbit: the orbit's, or the old one where that stays behind."""
        joined = self._orbit is None
        x, g = self._orbit or (state.x, state.memory)
        trial, evaluations = self.attempt(State(x, state.residual, state.evaluations, g), g)
        self._forget()
        self._lead -= 1
        if trial is None:
            moves = False
        elif joined:
            moves = trial.residual <= self.growth * self._best
        else:
            moves = trial.residual < self._best and self.licensed(trial, trial.memory)
        if trial is not None and moves:
            self._orbit = None
            if not joined:
                self._accepted += 1
            self.rejected, self._best = False, min(self._best, trial.residual)
            self.behind = self._lead > 0
            return trial
        self._leave(trial)
        self.behind = self._lead > 0
        return State(state.x, state.residual, evaluations, state.memory)

    def _leave(self, trial: State | None) -> None:
        """Let the orbit go on from the trial, apart from the iterate; a lost orbit begins anew there later."""
        if trial is not None and trial.residual <= ORBIT_LIMIT * self._initial:
            self._orbit = trial.x, trial.memory
        else:
            self._orbit, self._lead = None, 0.0

    def know(self, rows: Array, count: int) -> None:
        """Begin with the differences of plain passes, whose displacements are the first rows in their order.

        Long rows belong to the differences from now on.
        """
        self._differences.fill(rows[:count])

    @property
    def fused(self) -> FusedMap | None:
        """The map for compiled steps, of type II through the Gram matrix."""
        fused = self.view.fused
        served = fused is not None and not fused.sparse and self._differences.keeps_gram
        return fused if served else None

    def several_steps(self, kernels: Kernels, state: State, stretch: Stretch) -> tuple[State, Array, Any]:
        """Return the state after compiled steps, or after one other step where the Gram matrix does not serve."""
        fused: Any = self.view.fused
        x, g, known, turns = state.x.copy(), state.memory.copy(), self._differences, self.turns
        if not len(known.moves):
            known.make_room(x)
        residuals, evaluations = np.empty(stretch.steps), np.empty(stretch.steps, dtype=np.int64)
        given = (stretch.target, stretch.bound, self._initial, self.growth, self._scheme.mixing)
        numbers = np.array((*given, self._best, self._relaxation, self._mixing, turns.residual, self._lead))
        orbit = [np.array(array) for array in self._orbit or (x, g)]
        kept = (stretch.steps, state.evaluations, self._accepted, known.head, known.count, known.most)
        turn = (turns.length, turns.accelerated, turns.left, self._orbit is None, self.behind)
        counts = np.array((*kept, *turn), dtype=np.int64)
        made = kernels.anderson_steps(
            *fused.arguments(),
            *(array.reshape(fused.shape) for array in (x, g, *orbit)),
            *(array.reshape(-1, *fused.shape) for array in (known.moves, known.changes)),
            known.gram,
            _RULES,
            numbers,
            counts,
            residuals,
            evaluations,
        )
        if not made:
            following = self._scheme.step(self, state)
            return following, np.array([following.residual]), np.array([following.evaluations])
        self._best, self._relaxation, self._mixing = numbers[5:8].tolist()
        _, passes, self._accepted, known.head, known.count, _, _, accelerated, left, joined, behind = counts.tolist()
        turns.resume(float(numbers[8]), accelerated, left)
        self._orbit = None if joined else (orbit[0], orbit[1])
        self.behind, self._lead = bool(behind), float(numbers[9])
        return State(x, float(residuals[made - 1]), passes, g), residuals[:made], evaluations[:made]

    def proposal(self, state: State) -> Array:
        """Return the step x_{k+1} - x_k of the scheme."""
        g, beta = state.memory, self._mixing
        known = self._differences
        if self.turns.plain or not known.count:
            return g if beta == 1.0 else beta * g
        gamma = known.least_squares(g)
        moves, changes = known.newest_first
        if gamma is None:
            tests = changes if self._scheme.type == "II" else moves
            chosen, gamma = coefficients(tests, changes, g, self._scheme.regularization)
            if not chosen.all():
                moves, changes = moves[chosen], changes[chosen]
        move, change = gamma.dot(moves), gamma.dot(changes)
        if beta != 1.0:
            g, change = beta * g, beta * change
        move += change
        return np.subtract(g, move, move)

    def learn(self, state: State, following: State) -> None:
        """Keep the differences of a step and decide whose turn the next one is."""
        if self.rejected:
            self._forget()
            self.turns.begin(following.residual)
            self._mixing = max(self._mixing / 2, SMALLEST_MIXING)
        else:
            self._mixing = min(2 * self._mixing, self._scheme.mixing)
            if not self._keeps_orbit and self.turns.passed(following.residual):
                self._forget()
                return
        self._keep(state, following)

    def _keep(self, state: State, following: State) -> None:
        self._differences.push(state.x, following.x, state.memory, following.memory)

    def _forget(self) -> None:
        self._differences.clear()
