"""The equations on the active rows of a polyhedron, factorised once for each set of rows and then solved directly."""

from __future__ import annotations

import math
from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

import numpy as np

from nngames.activations.numerics.rounding import EPS, Mask
from nngames.core.profiles import Array

#: So many numbers, eight bytes each, are kept for the sets of rows used last: their factors, and the sets.
MOST_ENTRIES = 2**18
#: Matrices of more entries, of which few would be kept, are not formed to try a face.
MOST_SIGNS = 2**15

#: Up to this condition the multipliers on independent rows are good to 1e-9, also where daqp squares it.
REGULAR = 100.0

#: The residual of the optimality conditions, relative to the size of the problem, above which no face is accepted.
RESIDUAL = 1e-12
#: Multipliers and slacks above this, relative to the size of the problem, leave no doubt which rows are active.
STRICT = 1e-9
#: Points of at most this length are projected with daqp's help wherever the active rows are beyond doubt.
FAR = 1e12
#: So many faces known before are tried at a point.
GUESSES = 3

#: The projection of a point, its multipliers, and a bound on its error.
Projected = tuple[Array, Array, float]

#: For all polyhedra, which are copied and sent to other processes, as no lock of their own could be.
_lock = Lock()


class Face(NamedTuple):
    """The equations rows z = offsets by the thin singular value decomposition of the rows without what is rounding.

    With rows = U S V, ``right`` is V, ``inverse`` is U / S and ``level`` is S^-1 U' offsets; ``condition`` is S's.
    A face is ``tried`` where its rows are independent, no multiplier hangs on their rounding, and the next are short:
    ``signs`` v + ``shift`` are the multipliers of the projection of v on it, and of the other rows the slacks.
    """

    active: Mask
    inverse: Array
    right: Array
    level: Array
    condition: float
    tried: bool
    signs: Array
    shift: Array

    def project(self, v: Array, factor: float) -> tuple[Array, Array]:
        """Return the projection of v on {z: rows z = offsets / factor} and S times U' times its multipliers.

        The second round removes what rounding left of the first when v is far away.
        """
        right, level = self.right, self.level if factor == 1.0 else self.level / factor
        off = right.dot(v) - level
        p = v - off.dot(right)
        step = right.dot(p) - level
        return p - step.dot(right), off + step


class Faces:
    """The faces of the polyhedron {z: rows z <= offsets} that were met last; each depends on these data alone.

    Attributes
    ----------
    last : Face or None
        The one on which the last point was projected, None where that was inside.
    """

    def __init__(self, rows: Array, offsets: Array) -> None:
        self._rows, self._offsets = rows, offsets
        self._farthest = float(np.abs(offsets).max(initial=0.0))
        self.last: Face | None = None
        self._known: OrderedDict[bytes, Face] = OrderedDict()
        self._entries = 0

    def surely(self, v: Array, length: float, factor: float) -> Face | None:
        """Return the face on which the projection of v on {z: rows z <= offsets / factor} is, if it is a known one.

        It has to be so beyond doubt: where the multipliers of all active rows and the slacks of the others are positive
        there is no other face, so that daqp leads to the same. What was projected before decides on the way to the
        result, not on the result. The next face to be tried has the active rows whose multipliers are positive and the
        rows that the point violates, as by a semismooth Newton step on the optimality conditions.
        """
        clear = STRICT * (1.0 + length + self._farthest / factor)
        face, guesses = self.last, GUESSES if length <= FAR else 0
        while face is not None and face.tried and guesses:
            signs = face.signs.dot(v) + (face.shift if factor == 1.0 else face.shift / factor)
            if signs.item(signs.argmin()) > clear:
                self.last = face
                return face
            face, guesses = self._kept((signs > 0) == face.active), guesses - 1
        return None

    def accepted(self, face: Face, v: Array, length: float, factor: float) -> Projected | None:
        """Return the projection of v on {z: rows z <= offsets / factor} if it is on the face, up to rounding.

        Rows that it meets or violates within rounding may be active too. A correction that satisfies independent rows
        is at most as long as what they lack over the smallest singular value of them all, which the error bound adds;
        of dependent rows that of two of them counts as well, so that then the bound is an estimate.
        """
        p, coordinates = face.project(v, factor)
        y = face.inverse.dot(coordinates)
        excess = self._rows.dot(p) - (self._offsets if factor == 1.0 else self._offsets / factor)
        unit = (len(v) + 8) * EPS
        size = 1.0 + math.sqrt(p.dot(p)) + self._farthest / factor
        drift = unit * face.condition * length
        if not (excess.max() <= RESIDUAL * size + drift and y.min() >= -drift):
            return None
        self.last = face
        multipliers = np.zeros(len(excess))
        multipliers[face.active] = np.maximum(y, 0.0)
        error = 2 * drift + unit * face.condition * size
        close = excess > -error
        close[face.active] = True
        if (count := np.count_nonzero(close)) > len(y):
            lacking = math.sqrt(count) * (error + max(float(excess.max()), 0.0))
            error += lacking / _smallest(self._rows[close])
        return p, multipliers, error

    def rounding(self, v: Array) -> float:
        """Return a bound on how far a point may be outside that computed slacks put in the polyhedron."""
        unit = (len(v) + 8) * EPS * (1.0 + math.hypot(*v.tolist()) + self._farthest)
        close = self._rows.dot(v) - self._offsets > -2 * unit
        count = np.count_nonzero(close)
        return math.sqrt(count) * unit / _smallest(self._rows[close]) if count else 0.0

    def _kept(self, active: Mask) -> Face | None:
        """Return the face on which the rows of the mask are equations if it is kept."""
        key = active.tobytes()
        with _lock:
            face = self._known.get(key)
            if face is not None:
                self._known.move_to_end(key)
            return face

    def of(self, active: Mask) -> Face:
        """Return the face on which the rows of the mask are equations; there is one at least."""
        face = self._kept(active)
        if face is not None:
            return face
        key = active.tobytes()
        face = _factorised(self._rows, self._offsets, np.array(active))
        with _lock:
            if key not in self._known:
                self._known[key] = face
                self._entries += _entries(key, face)
            while self._entries > MOST_ENTRIES:
                self._entries -= _entries(*self._known.popitem(last=False))
        return face


def _entries(key: bytes, face: Face) -> int:
    """Return for how many of ``MOST_ENTRIES`` a face counts."""
    return sum(array.size for array in (face.inverse, face.right, face.level, face.signs, face.shift)) + len(key) // 4


def _smallest(rows: Array) -> float:
    """Return the smallest singular value of rows of length 1, and of two of them where they are dependent."""
    values = np.linalg.svd(rows, compute_uv=False)
    zero = values[0] * max(rows.shape) * EPS
    values = values[values > zero]
    if len(values) == len(rows):
        return float(values[-1])
    # |a - b| and |a + b| over the square root of 2 are the singular values of a and b.
    lengths = [np.linalg.norm(rows[:i] + sign * row, axis=1) for i, row in enumerate(rows) for sign in (-1, 1)]
    pairs = np.concatenate(lengths) / math.sqrt(2)
    return float(min(values[-1], pairs[pairs > zero].min()))


def _factorised(rows: Array, offsets: Array, active: Mask) -> Face:
    left, values, right = np.linalg.svd(rows[active], full_matrices=False)
    rank = int(np.sum(values > values[0] * max(left.shape[0], rows.shape[1]) * EPS))
    left, values, right = left[:, :rank], values[:rank], right[:rank]
    condition, inverse = float(values[0] / values[-1]), left / values
    level = offsets[active].dot(left) / values
    tried = rank == len(left) and condition <= REGULAR and rows.size <= MOST_SIGNS
    signs = shift = np.empty(0)
    if tried:
        along = rows.dot(right.T)
        signs, shift = along.dot(right) - rows, offsets - along.dot(level)
        signs[active], shift[active] = inverse.dot(right), -inverse.dot(level)
    return Face(active, inverse, right, level, condition, tried, signs, shift)
