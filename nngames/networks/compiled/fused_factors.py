"""Compiled triangular factors of small dense matrices in either precision, with partial pivoting.

The entries are eliminated from the last one to the first, eight at a time: what remains of the matrix then begins at
its first entry, so that all inner loops begin at 0 and are turned into loops over several numbers.
"""

from __future__ import annotations

from typing import Any

from nngames.core.profiles import Array
from nngames.networks.compiled.fused_scalars import compiled, wide
from nngames.networks.compiled.maps import PANEL

#: The bits of a number but for its sign, and those of infinity, in double and in single precision.
MASK, INFINITY = 0x7FFFFFFFFFFFFFFF, 0x7FF0000000000000
SINGLE_MASK, SINGLE_INFINITY = 0x7FFFFFFF, 0x7F800000

_inlined = compiled(forceinline=True)
#: Sums in any order; NaN and infinities keep their meaning.
_summed = compiled(fastmath={"reassoc", "contract"})


@_inlined
def _largest(bits: Array, row: int, count: int, mask: Any) -> Any:
    """Return the largest of the first entries of a row of integers, without their signs."""
    largest = bits[row, 0] & mask
    for i in range(count):
        largest = max(largest, bits[row, i] & mask)
    return largest


@_inlined
def _place(bits: Array, row: int, count: int, mask: Any, value: Any) -> int:
    """Return the first of the places at which a row of integers has the value, ``count`` if it is none of these."""
    for i in range(count):
        if bits[row, i] & mask == value:
            return i
    return count


@_summed
def factorise(matrix: Array, columns: Array, bits: Array, above: Array, pivots: Array) -> bool:
    """Factorise a matrix (m, m), which is overwritten; return whether it is regular and finite.

    Parameters
    ----------
    matrix : ndarray (m, m)
        Becomes the lower triangle.
    columns : ndarray (m, m)
        Row k becomes the multipliers of the rows above k, which stand in column k of the upper triangle.
    bits : ndarray (m, m) of integers
        ``columns`` in memory: as integers, absolute values are compared faster, and NaN is the largest.
    above : ndarray (8, m)
        Room.
    pivots : ndarray (m,)
    """
    wide()
    end = len(matrix)
    one = matrix.dtype.type(1)
    mask, infinity = (MASK, INFINITY) if matrix.itemsize == 8 else (SINGLE_MASK, SINGLE_INFINITY)
    while end > 0:
        count = min(PANEL, end)
        begin = end - count
        for i in range(end):
            for c in range(count):
                columns[begin + c, i] = matrix[i, begin + c]
        for back in range(count):
            c = count - 1 - back
            k = begin + c
            largest = _largest(bits, k, k + 1, mask)
            if not 0 < largest < infinity:
                return False
            pivot = _place(bits, k, k, mask, largest)
            pivots[k] = pivot
            if pivot != k:
                for j in range(count):
                    columns[begin + j, k], columns[begin + j, pivot] = columns[begin + j, pivot], columns[begin + j, k]
                for j in range(begin):
                    matrix[k, j], matrix[pivot, j] = matrix[pivot, j], matrix[k, j]
            inverse = one / columns[k, k]
            for i in range(k):
                columns[k, i] *= inverse
            for j in range(c):
                factor = columns[begin + j, k]
                for i in range(k):
                    columns[begin + j, i] -= factor * columns[k, i]
        for i in range(count):
            for c in range(i + 1):
                matrix[begin + i, begin + c] = columns[begin + c, begin + i]
        end = begin
        if end == 0:
            break
        for back in range(PANEL):
            c = PANEL - 1 - back
            for j in range(begin):
                above[c, j] = matrix[begin + c, j]
            for other in range(c + 1, PANEL):
                factor = columns[begin + other, begin + c]
                for j in range(begin):
                    above[c, j] -= factor * above[other, j]
            for j in range(begin):
                matrix[begin + c, j] = above[c, j]
        for i in range(begin):
            f0, f1, f2, f3 = columns[begin, i], columns[begin + 1, i], columns[begin + 2, i], columns[begin + 3, i]
            f4, f5, f6, f7 = columns[begin + 4, i], columns[begin + 5, i], columns[begin + 6, i], columns[begin + 7, i]
            for j in range(begin):
                matrix[i, j] -= ((f0 * above[0, j] + f1 * above[1, j]) + (f2 * above[2, j] + f3 * above[3, j])) + (
                    (f4 * above[4, j] + f5 * above[5, j]) + (f6 * above[6, j] + f7 * above[7, j])
                )
    return True


@_summed
def substitute(matrix: Array, columns: Array, pivots: Array, right: Array) -> None:
    """Replace a right-hand side (m,) by the solution, from what ``factorise`` left."""
    end = m = len(matrix)
    while end > 0:
        begin = max(end - PANEL, 0)
        for back in range(end - begin):
            k = end - 1 - back
            right[k], right[pivots[k]] = right[pivots[k]], right[k]
        for back in range(end - begin):
            k = end - 1 - back
            factor = right[k]
            for i in range(k):
                right[i] -= factor * columns[k, i]
        end = begin
    for k in range(m):
        total = right[k]
        for j in range(k):
            total -= matrix[k, j] * right[j]
        right[k] = total / matrix[k, k]
