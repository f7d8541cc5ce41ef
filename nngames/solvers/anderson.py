"""Anderson acceleration of types I and II, safeguarded, and given up for a while where it does not pay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.core.errors import check_choice
from nngames.core.profiles import Array
from nngames.games import FixedPoint, Game
from nngames.networks.fused import FusedMap, Kernels
from nngames.solvers.differences import LARGEST_GRAM, Differences
from nngames.solvers.fixed_point import check_map
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
#: A difference is dropped if newer ones explain all but this share of it.
INDEPENDENCE = 1e-7
#: The smallest mixing that rejections lead to.
SMALLEST_MIXING = 1 / 64
#: What the compiled steps go by, in their order.
_RULES = np.array(
    [STEP_LIMIT, RESIDUAL_LIMIT, DECAY, RELAXATION, SMALLEST_RELAXATION, PAYING, SMALLEST_MIXING], dtype=np.float64
)


@solver_named("anderson")
@dataclass(frozen=True)
class Anderson(SafeguardedSolver):
    """Anderson acceleration x_{k+1} = x_k + beta g_k - (X_k + beta G_k) gamma_k, g_k = R(x_k) - x_k.

    The columns of X_k and G_k are the last differences of the iterates and of their displacements. Type II takes the
    gamma that minimises |g_k - G_k gamma|, a multisecant method for the inverse Jacobian; type I the one with
    X_k' (g_k - G_k gamma) = 0, for the Jacobian. Both are solved through a QR factorisation that begins with the newest
    difference and leaves out those that depend on newer ones; type II without regularisation and with a short memory
    through the Gram matrix of G_k where its pivots show that no difference nearly depends on newer ones.

    Two things end a stretch of acceleration. Where the residual of a proposal exceeds ``growth`` times the smallest one
    so far, a relaxed step x_k + lambda g_k, lambda <= 1/2, is taken instead, the memory begins anew, and beta is halved
    until proposals are accepted again. And where memory + 1 steps have lowered the residual by less than a factor of
    0.7 each in the mean, as many plain steps x_k + beta g_k follow: so acceleration costs about as many steps again
    where it does not pay, as on a chain through which a signal has to pass.

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
    converges to a fixed point. No rate: the r-linear one of Toth and Kelley for contractions is local and asks for
    bounded coefficients, which no certificate checks.

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
        return AndersonProblem(game.fixed_point(self.map), self)

    def start(self, problem: AndersonProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.begin(x0)

    def step(self, problem: AndersonProblem, state: State) -> State:
        """Return the state after the accelerated step, or the plain or relaxed one."""
        following = problem.advance(state, problem.proposal(state))
        problem.learn(state, following)
        return following


class AndersonProblem(SafeguardedProblem):
    """A fixed-point map with the differences of one run, and the turns of accelerated and plain steps."""

    def __init__(self, view: FixedPoint, scheme: Anderson) -> None:
        super().__init__(view, scheme.growth)
        self._scheme, self._mixing = scheme, scheme.mixing
        most = min(scheme.memory, view.size)
        by_gram = scheme.type == "II" and not scheme.regularization and most <= LARGEST_GRAM
        self._differences = Differences(most, by_gram)
        self.turns = Turns(most)

    def resume(self, state: State) -> State:
        """Begin a stretch of accelerated steps."""
        self.turns.begin(state.residual)
        return super().resume(state)

    def know(self, displacements: Array) -> None:
        """Begin with the differences of plain passes, whose displacements (count, n) are given in their order."""
        self._differences.fill(displacements[:-1], np.diff(displacements, axis=0))

    @property
    def fused(self) -> FusedMap | None:
        """The map for compiled steps, of type II through the Gram matrix."""
        return self.view.fused if self._differences.keeps_gram else None

    def several_steps(self, kernels: Kernels, state: State, stretch: Stretch) -> tuple[State, Array, Any]:
        """Return the state after compiled steps, or after one other step where the Gram matrix does not serve."""
        fused: Any = self.view.fused
        x, g, known, turns = state.x.copy(), state.memory.copy(), self._differences, self.turns
        if not len(known.moves):
            known.make_room(x)
        residuals, evaluations = np.empty(stretch.steps), np.empty(stretch.steps, dtype=np.int64)
        given = (stretch.target, stretch.bound, self._initial, self.growth, self._scheme.mixing)
        numbers = np.array((*given, self._best, self._relaxation, self._mixing, turns.residual))
        kept = (stretch.steps, state.evaluations, self._accepted, known.head, known.count, known.most)
        counts = np.array((*kept, turns.length, turns.accelerated, turns.left), dtype=np.int64)
        made = kernels.anderson_steps(
            *fused.arguments(),
            *(array.reshape(fused.shape) for array in (x, g)),
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
        _, passes, self._accepted, known.head, known.count, _, _, accelerated, left = counts.tolist()
        turns.resume(float(numbers[8]), accelerated, left)
        return State(x, float(residuals[made - 1]), passes, g), residuals[:made], evaluations[:made]

    def proposal(self, state: State) -> Array:
        """Return the step x_{k+1} - x_k of the scheme."""
        g, beta = state.memory, self._mixing
        known = self._differences
        if self.turns.plain or not known.count:
            return g if beta == 1.0 else beta * g
        moves, changes = known.moves[known.used], known.changes[known.used]
        gamma = known.least_squares(g)
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
            if self.turns.passed(following.residual):
                self._forget()
                return
        self._differences.push(state.x, following.x, state.memory, following.memory)

    def _forget(self) -> None:
        self._differences.clear()


def coefficients(tests: Array, changes: Array, g: Array, regularization: float) -> tuple[Array, Array]:
    """Return which rows of ``changes`` are used, and gamma with tests (g - changes' gamma) = 0 on those rows.

    Parameters
    ----------
    tests : ndarray (m, n)
        The differences, newest first, to which what is left of g becomes orthogonal: those of the displacements (then
        gamma is the least-squares solution) or of the iterates.
    changes : ndarray (m, n)
        The differences of the displacements.
    g : ndarray (n,)
    regularization : float
        Relative to the largest squared singular value of the system.

    Returns
    -------
    chosen : ndarray of bool (m,)
    gamma : ndarray
        Empty where nothing finite is found.
    """
    chosen = np.ones(len(tests), dtype=bool)
    basis, triangle = np.linalg.qr(tests.T)
    independent = np.abs(np.diag(triangle)) > INDEPENDENCE * np.sqrt(np.sum(triangle**2, axis=0))
    if not independent.all():
        chosen = independent
        basis, triangle = np.linalg.qr(tests[chosen].T)
    system = triangle if tests is changes else basis.T @ changes[chosen].T
    if system.size and np.isfinite(system).all():
        try:
            return chosen, _solved(system, basis.T @ g, regularization)
        except np.linalg.LinAlgError:
            # Type I may meet a singular system.
            pass
    return np.zeros(len(tests), dtype=bool), np.zeros(0, dtype=g.dtype)


def _solved(system: Array, target: Array, regularization: float) -> Array:
    """Return the solution of a square system, with Tikhonov's regularisation relative to its largest singular value."""
    if not regularization:
        return np.linalg.solve(system, target)
    left, values, right = np.linalg.svd(system)
    largest = values[0]
    if not largest > 0:
        return np.zeros_like(target)
    shares = values / largest
    return right.T @ (shares / (shares**2 + regularization) * ((left.T @ target) / largest))
