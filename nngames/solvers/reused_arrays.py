"""Arrays of a safeguarded run that take turns: on long iterates new ones for each step would take as long as a pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.core.profiles import Array
from nngames.solvers.safeguard import SafeguardedProblem
from nngames.solvers.solver import State


class ReusedArrays(SafeguardedProblem):
    """The problem of a run that uses the arrays of its old states again."""

    #: An iterate that is not the run's own, nor is its displacement.
    _given: Array | None = None

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        #: Arrays of iterates and displacements that nothing refers to any more.
        self._spare: list[Array] = []

    def begin(self, x0: Array) -> State:
        """Return the state at x0."""
        state = super().begin(x0)
        self._given = None
        return state

    def resume(self, state: State) -> State:
        """Begin at a state of which the displacement is known, its memory, and return it."""
        self._given = state.x
        return super().resume(state)

    def profile(self, x: Array) -> Array:
        """Return the profile of the map's argument, which a copy follows that may take the place of spare arrays."""
        self._spare.clear()
        return super().profile(x)

    def _take_over(self, rows: Array, state: State) -> None:
        """Let rows that became the run's own be spare arrays, but for that of the state's displacement."""
        self._spare += [row for row in rows if not np.may_share_memory(row, state.memory)]

    def _array(self, like: Array) -> Array:
        return self._spare.pop() if self._spare else np.empty_like(like)
