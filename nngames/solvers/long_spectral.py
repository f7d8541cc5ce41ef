"""The steps of the spectral scheme on long iterates, in one sweep beside the pass itself, in arrays that are kept."""

from __future__ import annotations

import numpy as np

from nngames.core import pieces as division
from nngames.core.profiles import Array
from nngames.games import FixedPoint
from nngames.solvers.solver import State
from nngames.solvers.spectral import SpectralProblem, length_by


class LongSpectralProblem(SpectralProblem):
    """The problem whose passes are followed piece by piece: the sums of which the next length is made find each piece.

    Two iterates and their displacements take turns in the same arrays: new ones for each step would take as long as a
    tenth of a pass.
    """

    lends = True

    def __init__(self, view: FixedPoint, growth: float) -> None:
        super().__init__(view, growth)
        self._before: State | None = None
        #: -<y, g> and |y|^2 of the last pass.
        self._curvature, self._square = 0.0, 0.0
        self._change = np.empty(min(view.size, division.PIECE))

    def know(self, rows: Array, count: int) -> None:
        """Begin with the length that the last two of the first rows show; all of them become its own."""
        super().know(rows, count)
        self._rows = rows

    def resume(self, state: State) -> State:
        """Begin at a state of which the displacement is known, its memory, and return it."""
        state = super().resume(state)
        self._take_over(state)
        return state

    def move(self, state: State) -> State:
        """Return the state after the step, or the relaxed one."""
        used, following, trial = self.length, None, None
        self._before, evaluations = state, state.evaluations
        # A length is positive.
        if self.allowed(state, used * state.residual):
            trial, evaluations = self.tried(self.along(state, used), evaluations)
            if trial is not None and trial.residual <= self.growth * self._best:
                following = self.accept(trial)
        if following is None:
            used = self._relaxation
            following = self.relax(state, evaluations)
        self.length = length_by(used, state.residual, self._curvature, self._square)
        tried = () if trial is None else (trial.x, trial.memory)
        self._recycle((state.x, state.memory, *tried), (following.x, following.memory))
        self._before = None
        return following

    def _at(self, x: Array, evaluations: int) -> State:
        displacement, before = self._array(x), self._before
        self._curvature = self._square = 0.0

        def compare(piece: slice) -> None:
            if before is not None:
                old = before.memory[piece]
                change = np.subtract(displacement[piece], old, self._change[: old.size])
                self._curvature -= float(change.dot(old))
                self._square += float(change.dot(change))

        residual = self.view.displaced_by_pieces(x, displacement, displacement, compare)
        return State(x, residual, evaluations + 1, displacement)
