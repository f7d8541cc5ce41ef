"""Sparse networks packed for the compiled kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nngames.activations import Activation
from nngames.core.operators import LinearMap, SparseMap
from nngames.core.pieces import LONG
from nngames.core.profiles import Array
from nngames.networks.compiled.loading import Kernels
from nngames.networks.compiled.maps import FusedMap
from nngames.networks.forms import Form, form_of

#: Players that answer together: their pre-activations and answers stay in the first cache.
PIECE = 256
#: In a sweep there are at least about so many pieces, so that most of what a player hears is new, but none of fewer
#: players, for it takes as long as some rows to begin one.
TURNS, SMALLEST_PIECE = 8, 32
#: Rows are read in the order of their lengths where more than this share of them differs from the one before, and where
#: there are more of them than a processor remembers the lengths of.
UNEVEN, REMEMBERED = 0.25, 2048
#: Indices are kept with 32 bits.
_MOST = 2**31 - 1
#: Seconds that one multiplication takes at most, with a vector that fits into the cache and one that does not, and one
#: player: what bounds a stretch of compiled steps in time.
_PER_MULTIPLICATION, _SCATTERED, _PER_PLAYER = 2e-9, 1e-8, 1e-8


class FusedSparseMap(FusedMap):
    """A map of one sparse matrix packed for the compiled kernels; see ``fused_sparse``.

    The matrix and the bias are those of the network, not copies of them.

    Parameters
    ----------
    matrix : scipy.sparse CSR
        In double precision.
    bias : ndarray (n,)
    forms : sequence of (slice, Form)
        The forms of the activations, with the stretches of players that have them.
    """

    sparse: ClassVar[bool] = True

    def __init__(self, matrix: Any, bias: Array, forms: Sequence[tuple[slice, Form]]) -> None:
        self._forms = forms
        places = (np.asarray(array, dtype=np.int32) for array in (matrix.indptr, matrix.indices))
        self._network = [only_read(array) for array in (*places, matrix.data, bias)]
        self.shape = (bias.size,)
        self.multiplications, self.entries = int(matrix.nnz), bias.size
        self._pack(PIECE)
        product = _PER_MULTIPLICATION if bias.size < LONG else _SCATTERED
        self.seconds = product * matrix.nnz + _PER_PLAYER * bias.size

    def _pack(self, most: int) -> None:
        """Cut the players into pieces of at most so many."""
        pieces: list[NDArray[np.int64]] = []
        parameters: list[Array] = []
        for where, (form, *constants) in self._forms:
            firsts = np.arange(where.start, where.stop, most)
            lasts = np.minimum(firsts + most, where.stop)
            uniform = all(np.ndim(constant) == 0 for constant in constants)
            rows = len(parameters) + (np.zeros_like(firsts) if uniform else np.arange(len(firsts)))
            pieces.append(np.column_stack([firsts, lasts, np.full_like(firsts, form), rows]))
            for first, last in zip(firsts[:1] if uniform else firsts, lasts, strict=False):
                row = np.zeros((2, PIECE))
                for kept, constant in zip(row, constants, strict=True):
                    whole = np.broadcast_to(constant, where.stop - where.start)
                    kept[: last - first] = whole[first - where.start : last - where.start]
                parameters.append(row)
        self.parameters = np.stack(parameters, axis=1)
        self.pieces = np.concatenate(pieces)
        self._order = self._by_length(most)

    def _by_length(self, most: int) -> NDArray[np.uint8]:
        """Return the places of each piece's players in the order of their numbers of entries, or nothing.

        A processor foresees the end of a row that is as long as the one before. Where few are not, or the vector does
        not fit into the cache, the rows had better be read as they stand.
        """
        nothing = np.empty(0, dtype=np.uint8)
        if most == 1 or not REMEMBERED < self.entries < LONG:
            return nothing
        lengths = np.diff(self._network[0])
        if np.count_nonzero(np.diff(lengths)) < UNEVEN * self.entries:
            return nothing
        order = np.empty(self.entries, dtype=np.uint8)
        for first, last in self.pieces[:, :2].tolist():
            order[first:last] = np.argsort(lengths[first:last], kind="stable")
        return order

    @cached_property
    def in_turn(self) -> FusedSparseMap:
        """The map in the pieces in which players answer in turn, each piece at once."""
        return self._in_pieces(min(PIECE, max(SMALLEST_PIECE, -(-self.entries // TURNS))))

    @cached_property
    def one_by_one(self) -> FusedSparseMap:
        """The map in pieces of one player each."""
        return self._in_pieces(1)

    def _in_pieces(self, most: int) -> FusedSparseMap:
        turned = copy(self)
        turned._pack(most)
        return turned

    def arguments(self) -> tuple[Any, ...]:
        """Return the first arguments of a kernel: the map, and the work space of one call."""
        work = np.empty(PIECE), np.empty((1, PIECE))
        return *self._network, self.parameters, self.pieces, self._order, *work

    def refined(self, single: bool) -> tuple[Any, ...]:
        """Return nothing: the weights are those of the network."""
        return ()

    def relaxed_steps(self, kernels: Kernels) -> Callable[..., int]:
        """Return the kernel that makes relaxed steps on the map."""
        return kernels.sparse_relaxed_steps


def only_read(array: Any) -> Any:
    """Return a contiguous view of an array that may only be read: the type that the kernels are compiled for."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def fused_sparse_map(
    weight: LinearMap | None, bias: Array, runs: Sequence[tuple[slice, Activation]]
) -> FusedSparseMap | None:
    """Return the packed map v = W x + b, r(v) with a sparse W and compiled activations; else None."""
    if not isinstance(weight, SparseMap) or weight.matrix.dtype != np.float64 or not 0 < weight.matrix.nnz <= _MOST:
        return None
    forms = [(where, form_of(activation)) for where, activation in runs]
    known = [(where, form) for where, form in forms if form is not None]
    return FusedSparseMap(weight.matrix, bias, known) if len(known) == len(forms) else None
