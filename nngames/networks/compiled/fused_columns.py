"""The compiled parts of a pass over many columns, beside the products of matrices: responses and distances.

With Numba these functions are compiled, and kept on disk, with those of ``fused_kernels``.
"""

from __future__ import annotations

from typing import Any

from nngames.core.profiles import Array
from nngames.networks.compiled.fused_scalars import compiled, exponential, hyperbolic_tangent, wide
from nngames.networks.forms import RECTIFIED, TANH

#: Each operation as written but for products that are added in one rounding.
_inlined = compiled(forceinline=True, fastmath={"contract"})
_contracted = compiled(fastmath={"contract"})


@_inlined
def rectified(v: float) -> float:
    """Return max(0, v), NaN for NaN."""
    return 0.0 if v <= 0.0 else v


@_inlined
def sigmoid(v: float) -> float:
    """Return 1/(1 + e^-v)."""
    y = -abs(v)
    s, p = exponential(-708.0 if y < -708.0 else y)
    # Where e^y is no normal number, it is nothing.
    e = 0.0 if y < -708.0 else s + s * p
    return (e if v < 0.0 else 1.0) / (1.0 + e)


@_contracted
def respond_in_place(form: int, scale: float, bias: Array, block: Array) -> None:
    """Replace v by r(v + b) in a block (rows, columns), b the bias (rows, 1) and r as the form says.

    r(v) is ``scale`` tanh(v), max(0, v), or 1/(1 + e^-v).
    """
    wide()
    rows, columns = block.shape
    if form == RECTIFIED:
        for i in range(rows):
            for j in range(columns):
                block[i, j] = rectified(block[i, j] + bias[i, 0])
    elif form == TANH:
        for i in range(rows):
            for j in range(columns):
                block[i, j] = scale * hyperbolic_tangent(block[i, j] + bias[i, 0])
    else:
        for i in range(rows):
            for j in range(columns):
                block[i, j] = sigmoid(block[i, j] + bias[i, 0])


@_contracted
def respond_and_compare(form: int, scale: float, bias: Array, block: Array, before: Array, squares: Array) -> None:
    """Respond in place, and add the squares of the distances between the columns of the block and ``before``."""
    wide()
    rows, columns = block.shape
    if form == RECTIFIED:
        for i in range(rows):
            for j in range(columns):
                block[i, j] = rectified(block[i, j] + bias[i, 0])
                squares[j] += (block[i, j] - before[i, j]) * (block[i, j] - before[i, j])
    elif form == TANH:
        for i in range(rows):
            for j in range(columns):
                answer = scale * hyperbolic_tangent(block[i, j] + bias[i, 0])
                block[i, j] = answer
                squares[j] += (answer - before[i, j]) * (answer - before[i, j])
    else:
        for i in range(rows):
            for j in range(columns):
                answer = sigmoid(block[i, j] + bias[i, 0])
                block[i, j] = answer
                squares[j] += (answer - before[i, j]) * (answer - before[i, j])


@_contracted
def add_squares(x: Array, y: Array, squares: Array) -> None:
    """Add the squares of the distances between the columns of x and y, which are equal in shape, to ``squares``."""
    wide()
    rows, columns = x.shape
    for i in range(rows):
        for j in range(columns):
            difference = x[i, j] - y[i, j]
            squares[j] += difference * difference


def signatures() -> list[tuple[Any, Any]]:
    """Return the functions with their signatures in both precisions."""
    from numba import float32, float64, int64

    found = []
    for precision in (float64, float32):
        vector, matrix = precision[::1], precision[:, ::1]
        found += [
            (respond_in_place, (int64, float64, matrix, matrix)),
            (respond_and_compare, (int64, float64, matrix, matrix, matrix, vector)),
            (add_squares, (matrix, matrix, vector)),
        ]
    return found
