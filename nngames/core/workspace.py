"""Working arrays that begin at a cache line, in memory that a thread keeps from one run to the next.

Memory that is given back after every run is mapped anew, page by page, in the next one; on short runs that takes a
tenth of the time.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.profiles import Array

#: Bytes of a cache line.
_LINE = 64
#: The most bytes that a thread keeps.
MOST_KEPT = 2**24


class _Room(threading.local):
    """The memory that this thread keeps; while a run uses it, how much is taken and how much it would take."""

    def __init__(self) -> None:
        self.kept = np.empty(0, np.uint8)
        self.used, self.taken, self.wanted = False, 0, 0


_room = _Room()


@contextmanager
def workspace() -> Iterator[None]:
    """Let ``aligned`` hand out this thread's memory, which no array may use any more when the block ends."""
    if _room.used:
        # A run inside another one: its arrays are ordinary ones.
        yield
        return
    _room.used, _room.taken, _room.wanted = True, 0, 0
    try:
        yield
    finally:
        _room.used = False
        if _room.kept.size < _room.wanted <= MOST_KEPT:
            _room.kept = np.empty(_room.wanted, np.uint8)


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array, not filled, that begins at a cache line: elementwise work on it takes up to a third less."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    # What there is to spare allows for where the memory begins.
    room = -(-size // _LINE) * _LINE + _LINE
    source, first = None, 0
    if _room.used:
        _room.wanted += room
        if _room.taken + room <= _room.kept.size:
            source, first = _room.kept, _room.taken
            _room.taken += room
    if source is None:
        source = np.empty(room, np.uint8)
    first += -(source.ctypes.data + first) % _LINE
    return source[first : first + size].view(dtype).reshape(shape)


class Block:
    """Room for matrices of so many rows and as many columns as the widest has, one of them at a time, contiguous."""

    def __init__(self, rows: int, dtype: Any) -> None:
        self._rows, self._dtype = rows, dtype
        self._entries: Array | None = None

    def of(self, columns: int) -> Array:
        """Return a matrix with so many columns, not filled, in the place of the last one."""
        size = self._rows * columns
        if self._entries is None or self._entries.size < size:
            self._entries = aligned((size,), self._dtype)
        return self._entries[:size].reshape(self._rows, columns)


def taken(array: Array, indices: NDArray[np.intp], axis: int, out: Array | None = None) -> Array:
    """Return those columns (axis 1) or rows (axis 0) of a matrix, in ``out`` or in a new array at a cache line."""
    if out is None:
        shape = (len(indices), array.shape[1]) if axis == 0 else (array.shape[0], len(indices))
        out = aligned(shape, array.dtype)
    # With a mode that looks at no index NumPy writes straight into ``out``.
    return np.take(array, indices, axis=axis, out=out, mode="clip")
