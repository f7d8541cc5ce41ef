"""The transform in which the Laplacian of the graph of unilateral deviations is diagonal, and its inverse."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Up to so many terms, whole arrays are added; reductions over short axes are slow.
_FEW = 16


def axis_mean(values: Array, axis: int) -> Array:
    """Return the means along one axis, kept with length 1."""
    size = values.shape[axis]
    if size > _FEW:
        return values.mean(axis=axis, keepdims=True)
    parts = np.split(values, size, axis=axis)
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    total /= size
    return total


def solve_laplacian(values: Array) -> Array:
    """Return the solution with mean zero of Delta phi = ``values``, for values with sum zero.

    The graph joins the profiles that differ in one player's strategy. It is the product of complete graphs, so
    Delta = sum_m h_m Pi_m with h_m the number of player m's strategies and Pi_m = I - (mean over m's strategies).
    An orthogonal matrix per axis whose first row is constant turns every Pi_m into a 0/1 diagonal: the eigenvalue at
    the index (i_1, ..., i_L) is the sum of h_m over the m with i_m > 0.
    """
    sizes = values.shape
    eigenvalues = np.zeros(sizes)
    for axis, size in enumerate(sizes):
        moved = np.arange(size) > 0
        eigenvalues += (size * moved).reshape([-1 if other == axis else 1 for other in range(len(sizes))])
    coefficients = _transformed(values, [_contrasts(size) for size in sizes])
    eigenvalues[(0,) * len(sizes)] = 1.0
    coefficients /= eigenvalues
    coefficients[(0,) * len(sizes)] = 0.0
    return _transformed(coefficients, [_contrasts(size).T for size in sizes])


def _contrasts(size: int) -> Array:
    """Return Helmert's orthogonal matrix: a constant row, then each strategy against the mean of those before it."""
    rows = np.arange(1, size)
    matrix = np.tri(size, size, -1)
    matrix[rows, rows] = -rows
    matrix[1:] /= np.sqrt(rows * (rows + 1.0))[:, None]
    matrix[0] = 1 / np.sqrt(size)
    return matrix


def _transformed(values: Array, matrices: Sequence[Array]) -> Array:
    """Return the values with each axis multiplied by its matrix."""
    shape = values.shape
    flat = values.ravel()
    for matrix in matrices:
        # The first axis is used up and comes back as the last one, so after all axes the order is the old one.
        flat = (matrix @ flat.reshape(len(matrix), -1)).T.ravel()
    return flat.reshape(shape)
