"""The steps of Anderson acceleration on long iterates, in two sweeps over its memory beside the pass itself."""

from __future__ import annotations

import math

import numpy as np

from nngames.core.errors import DomainError
from nngames.core.profiles import Array
from nngames.networks.compiled.maps import FusedMap
from nngames.solvers.anderson_steps import AndersonProblem
from nngames.solvers.long_differences import LongDifferences
from nngames.solvers.multisecant import SINGLE_INDEPENDENCE, coefficients
from nngames.solvers.reused_arrays import ReusedArrays
from nngames.solvers.solver import State


class LongAndersonProblem(ReusedArrays, AndersonProblem):
    """The problem with differences in single precision.

    One sweep combines them into the next iterate. The other one follows the pass piece by piece: it subtracts, squares,
    and puts the difference in place and multiplies it with the others, before it is known whether the iterate is
    accepted; where it is not, all differences are forgotten anyway.
    """

    _differences: LongDifferences
    lends = True

    def _room(self, most: int, gram: bool) -> LongDifferences:
        return LongDifferences(most, self.view.size, gram)

    def resume(self, state: State) -> State:
        """Begin a stretch of accelerated steps."""
        # In single precision squares say too little about dependence.
        self._differences.keeps_gram &= state.x.dtype == np.float64
        state = super().resume(state)
        self._take_over(state)
        return state

    def know(self, rows: Array, count: int) -> None:
        """Begin with the differences of plain passes, whose displacements are the first rows, which become its own."""
        self._differences.take_over(rows, count)
        # One of those that are not the differences' may be the first displacement.
        self._rows = rows[self._differences.most :]

    @property
    def fused(self) -> FusedMap | None:
        """None: long iterates leave no room in the cache for compiled steps."""
        return None

    def accelerate(self, state: State) -> State:
        """Return the state after the accelerated step, or the relaxed one."""
        orbit = self._orbit
        return self._settled(state, orbit, super().accelerate(state))

    def follow(self, state: State) -> State:
        """Return the state after a pass of the plain orbit: the orbit's, or the old one where that stays behind."""
        orbit = self._orbit
        return self._settled(state, orbit, super().follow(state))

    def attempt(self, state: State, step: Array) -> tuple[State | None, int]:
        """Return the state at x + step, or None where the map is undefined or not finite, and the passes so far."""
        self._trial, evaluations = self.tried(np.add(state.x, step, self._array(state.x)), state.evaluations)
        return self._trial, evaluations

    def _settled(self, state: State, orbit: tuple[Array, Array] | None, following: State) -> State:
        """Return the state that follows; what is no part of it, nor of the orbit, comes into use again."""
        trial, self._trial = self._trial, None
        tried = () if trial is None else (trial.x, trial.memory)
        in_use = following.x, following.memory, *(self._orbit or ())
        self._recycle((state.x, state.memory, *(orbit or ()), *tried), in_use)
        return following

    def _advanced(self, state: State) -> State:
        x = self._array(state.x)
        length = self._differences.step(state.x, state.memory, self._combination(state.memory), self._mixing, x)
        evaluations = state.evaluations
        if self.allowed(state, length):
            self._trial, evaluations = self._tried_from(state, x)
            trial = self._trial
            if trial is not None and trial.residual <= self.growth * self._best:
                return self.accept(trial)
        return self.relax(state, evaluations)

    def _combination(self, g: Array) -> Array:
        """Return the coefficients of the differences, newest first; none where the step is the displacement's."""
        known = self._differences
        if self.turns.plain or not known.count:
            return np.zeros(0)
        gamma = known.least_squares(g)
        if gamma is None:
            moves, changes = known.newest_first(g.dtype)
            tests = changes if self._scheme.type == "II" else moves
            chosen, found = coefficients(tests, changes, g, self._scheme.regularization, SINGLE_INDEPENDENCE)
            gamma = np.zeros(known.count)
            gamma[chosen] = found
        return gamma

    def _tried_from(self, before: State, x: Array) -> tuple[State | None, int]:
        """Return what ``tried`` does, and take the difference from the state before."""
        try:
            trial = self._at(x, before.evaluations, before)
        except DomainError:
            return None, before.evaluations + 1
        return (trial if math.isfinite(trial.residual) else None), trial.evaluations

    def _at(self, x: Array, evaluations: int, before: State | None = None) -> State:
        displacement, known = self._array(x), self._differences

        def take(piece: slice) -> None:
            if before is not None:
                known.take(piece, before.memory, displacement)

        residual = self.view.displaced_by_pieces(x, displacement, displacement, take)
        if before is not None:
            known.end(displacement)
        return State(x, residual, evaluations + 1, displacement)

    def _keep(self, state: State, following: State) -> None:
        if self.rejected:
            super()._keep(state, following)
