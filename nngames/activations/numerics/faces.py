"""The equations on the active rows of a polyhedron, factorised once for each set of rows and then solved directly."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

import numpy as np

from nngames.activations.numerics.rounding import EPS, Mask
from nngames.core.profiles import Array

#: So many numbers, eight bytes each, are kept for the sets of rows used last: their factors, and the sets.
MOST_ENTRIES = 2**18

#: For all polyhedra, which are copied and sent to other processes, as no lock of their own could be.
_lock = Lock()


class Face(NamedTuple):
    """The thin singular value decomposition of some rows without what is rounding; ``condition`` is theirs."""

    left: Array
    values: Array
    right: Array
    condition: float

    def project(self, v: Array, offsets: Array) -> tuple[Array, Array]:
        """Return the projection of v on {z: rows z = offsets} and its multipliers.

        The second round removes what rounding left of the first when v is far away.
        """
        level = offsets.dot(self.left) / self.values
        step = self.right.dot(v) - level
        p, off = v - step.dot(self.right), step
        step = self.right.dot(p) - level
        return p - step.dot(self.right), self.left.dot((off + step) / self.values)


class Faces:
    """The faces of one polyhedron that were met last: what they are depends on the rows alone."""

    def __init__(self, rows: Array) -> None:
        self._rows = rows
        self._known: OrderedDict[bytes, Face] = OrderedDict()
        self._entries = 0

    def of(self, active: Mask) -> Face:
        """Return the face on which the rows of the mask are equations; there is one at least."""
        key = active.tobytes()
        with _lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        face = _factorised(self._rows[active])
        with _lock:
            if key not in self._known:
                self._known[key] = face
                self._entries += _entries(key, face)
            while self._entries > MOST_ENTRIES:
                self._entries -= _entries(*self._known.popitem(last=False))
        return face


def _entries(key: bytes, face: Face) -> int:
    """Return for how many of ``MOST_ENTRIES`` a face counts."""
    return face.left.size + face.right.size + len(key) // 8


def _factorised(rows: Array) -> Face:
    left, values, right = np.linalg.svd(rows, full_matrices=False)
    rank = int(np.sum(values > values[0] * max(rows.shape) * EPS))
    return Face(left[:, :rank], values[:rank], right[:rank], float(values[0] / values[rank - 1]))
