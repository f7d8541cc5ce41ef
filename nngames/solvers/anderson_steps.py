"""The steps of Anderson acceleration, described in ``anderson``: proposals, the plain orbit, and whose turn it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nngames.core.profiles import Array
from nngames.games import FixedPoint
from nngames.networks.compiled.loading import Kernels
from nngames.networks.compiled.maps import FusedMap
from nngames.solvers.differences import LARGEST_GRAM, Differences
from nngames.solvers.multisecant import coefficients
from nngames.solvers.safeguard import (
    DECAY,
    PAYING,
    RELAXATION,
    RESIDUAL_LIMIT,
    SMALLEST_RELAXATION,
    STEP_LIMIT,
    SafeguardedProblem,
    Turns,
)
from nngames.solvers.solver import State
from nngames.solvers.stopping import Stretch

if TYPE_CHECKING:
    from nngames.solvers.anderson import Anderson

#: The smallest mixing that rejections lead to.
SMALLEST_MIXING = 1 / 64
#: A plain orbit whose residual exceeds the first one by this factor is given up.
ORBIT_LIMIT = 1e10
#: So many passes from the start are plain while each lowers the residual by this factor.
FIRST_PASSES, QUICK = 3, 0.3
#: What the compiled steps go by, in their order.
_RULES = np.array(
    [STEP_LIMIT, RESIDUAL_LIMIT, DECAY, RELAXATION, SMALLEST_RELAXATION, PAYING, SMALLEST_MIXING, ORBIT_LIMIT, QUICK]
)


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

    def begin(self, x0: Array) -> State:
        """Return the state at x0, from which the first passes are plain while they are quick."""
        state = super().begin(x0)
        if self._keeps_orbit:
            self.turns.left = min(FIRST_PASSES, self._differences.most)
        return state

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
        plain = self._orbit is None and self._mixing == 1 and (self.turns.plain or not self._differences.count)
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

    def overwritten(self, rows: Array) -> Array:
        """Return those of the rows that become the differences' own: of long ones as many as are kept."""
        return rows[: self._differences.most]

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
            if self._keeps_orbit:
                quick = following.residual <= QUICK * state.residual
                self.turns.left = max(0, self.turns.left - 1) if quick else 0
            elif self.turns.passed(following.residual):
                self._forget()
                return
        self._keep(state, following)

    def _keep(self, state: State, following: State) -> None:
        self._differences.push(state.x, following.x, state.memory, following.memory)

    def _forget(self) -> None:
        self._differences.clear()
