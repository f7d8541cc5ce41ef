"""The compiled parts of a pass over many columns, beside the products of matrices: responses and distances.

With Numba these functions are compiled, and kept on disk, with those of ``fused_kernels``.
"""

from __future__ import annotations

from typing import Any

from nngames.core.profiles import Array
from nngames.networks.forms import RECTIFIED, TANH
from nngames.networks.fused_scalars import compiled, exponential, hyperbolic_tangent

#: Each operation as written but for products that are added in one rounding; in any order, where sums are made.
_contracted = compiled(fastmath={"contract"})
_summed = compiled(fastmath={"reassoc", "contract"})


@_contracted
def respond_in_place(form: int, scale: float, block: Array) -> None:
    """Replace v by ``scale`` tanh(v), max(0, v), or 1/(1 + e^-v), as the form says, in a block (rows, columns)."""
    rows, columns = block.shape
    if form == RECTIFIED:
        for i in range(rows):
            for j in range(columns):
                block[i, j] = 0.0 if block[i, j] <= 0.0 else block[i, j]
    elif form == TANH:
        for i in range(rows):
            for j in range(columns):
                block[i, j] = scale * hyperbolic_tangent(block[i, j])
    else:
        for i in range(rows):
            for j in range(columns):
                y = -abs(block[i, j])
                s, p = exponential(-708.0 if y < -708.0 else y)
                # Where e^y is no normal number, it is nothing.
                e = 0.0 if y < -708.0 else s + s * p
                block[i, j] = (e if block[i, j] < 0.0 else 1.0) / (1.0 + e)


@_summed
def squared_distances(x: Array, y: Array, squares: Array) -> None:
    """Write the squares of the distances between the columns of x and y, which are equal in shape, into ``squares``."""
    rows, columns = x.shape
    for j in range(columns):
        squares[j] = 0.0
    for i in range(rows):
        for j in range(columns):
            difference = x[i, j] - y[i, j]
            squares[j] += difference * difference


def signatures() -> list[tuple[Any, Any]]:
    """Return the functions with their signatures in double precision."""
    from numba import float64, int64

    vector, matrix = float64[::1], float64[:, ::1]
    return [(respond_in_place, (int64, float64, matrix)), (squared_distances, (matrix, matrix, vector))]
