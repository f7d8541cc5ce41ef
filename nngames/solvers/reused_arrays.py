"""Arrays of a safeguarded run that take turns: on long iterates new ones for each step would take as long as a pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from nngames.core.pieces import LONG, pieces
from nngames.core.profiles import Array
from nngames.solvers.safeguard import SafeguardedProblem
from nngames.solvers.solver import State


class ReusedArrays(SafeguardedProblem):
    """The problem of a run that uses the arrays of its old states again."""

    #: Whether every step recycles the arrays of the state before, but for an iterate that was lent.
    lends = False
    #: Arrays that stay whole: others refer to them.
    _kept: tuple[Array, ...] = ()
    #: Rows of plain passes that became the run's own, until it begins.
    _rows: Array | None = None

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        #: Arrays of iterates and displacements that nothing refers to any more.
        self._spare: list[Array] = []

    def begin(self, x0: Array) -> State:
        """Return the state at x0."""
        state = super().begin(x0)
        self._kept = ()
        return state

    def resume(self, state: State) -> State:
        """Begin at a state of which the displacement is known, its memory, and return it."""
        self._kept = state.x, state.memory
        return super().resume(state)

    def lend(self, x: Array, returned: Array | None) -> None:
        """Leave this iterate whole until another one takes its place, and use again the one that did so before."""
        self._kept = (x,)
        self.use(() if returned is None else (returned,))

    def use(self, arrays: Iterable[Array]) -> None:
        """Use arrays to which nobody refers any more."""
        self._spare += arrays

    def profile(self, x: Array) -> Array:
        """Return the profile of the map's argument, which a copy follows that may take the place of spare arrays."""
        self._spare.clear()
        return super().profile(x)

    def told(self, x: Array) -> tuple[Array, float, float] | None:
        """Return the profile of the map's argument and the game's residual; the pass takes the place of spare arrays.

        A long argument that is the profile itself is not copied: what follows writes into other arrays.
        """
        rounding = self._apart(x) if x.size >= LONG and x.dtype == np.float64 else None
        if rounding is None:
            self._spare.clear()
            return super().told(x)
        # Where a run was interrupted between two steps, the last one may have set free the iterate it is asked for.
        self._spare = [array for array in self._spare if not np.may_share_memory(array, x)]
        room = self._array(x)
        residual = self.view.displaced_by_pieces(x, room, room)
        self._spare.append(room)
        return self.view.profile(x), residual, rounding

    def _apart(self, x: Array) -> float | None:
        """Return how far the residual that a pass tells may be from the game's, None where it tells none."""
        return self.view.apart(x)

    def along(self, state: State, length: float) -> Array:
        """Return x + length g."""
        x = self._array(state.x)
        for piece in pieces(x.size):
            part = np.multiply(state.memory[piece], length, x[piece])
            part += state.x[piece]
        return x

    def _take_over(self, state: State) -> None:
        """Let the rows of plain passes be spare arrays, but for one with the displacement of the first state.

        That is the run's own by then. The first rows, into which something was written, come into use first: memory
        that nobody wrote into has to be found.
        """
        if self._rows is not None:
            self._spare[:0] = [row for row in self._rows[::-1] if not np.may_share_memory(row, state.memory)]
            self._kept, self._rows = (state.x,), None

    def _recycle(self, arrays: Iterable[Array], in_use: Iterable[Array]) -> None:
        """Use those arrays again that are neither in use nor to stay whole; what is not in use is others' now."""
        used = {id(array) for array in in_use}
        rest = used.union(id(array) for array in (*self._kept, *self._spare))
        self._spare += {id(array): array for array in arrays if id(array) not in rest}.values()
        self._kept = tuple(array for array in self._kept if id(array) in used)

    def _writable(self, array: Array) -> Array:
        """Return the array, or another one of its size if it is to stay whole."""
        return array if all(array is not kept for kept in self._kept) else self._array(array)

    def _own(self, array: Array) -> Array:
        """Return the array, or a copy of one that is to stay whole."""
        own = self._writable(array)
        if own is not array:
            np.copyto(own, array)
        return own

    def _array(self, like: Array) -> Array:
        return self._spare.pop() if self._spare else np.empty_like(like)
