"""The inclusion's matrix M = D - B in floating point with its error, and in rationals as the data define it.

D_l is I for the game of a network (its self-loops stay in B) and Q_l for a quadratic game, minus k_l = 1 - 1/S_l where
the penalty is weakly convex, k_l = 1 where S_l is infinite. S_l is the Lipschitz constant as the activation gives it:
exact where that is a float, else rounded up, which keeps F convex.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.bounds import symmetric_extremes
from nngames.core.exact import rational, rational_matrix
from nngames.core.profiles import Array
from nngames.games import CoupledGame, NetworkGame
from nngames.networks.assembly import assembled_weight

_UNIT = 2.0**-53
# Sums and halves of subnormal numbers lose at most this much.
_LEAST = 4 * 5e-324


def symmetric_part(game: CoupledGame) -> tuple[Any, Any]:
    """Return (M + M')/2 as a sparse array, and a componentwise bound on its distance to the exact one."""
    from scipy import sparse

    blocks, size, weight = _parts(game)
    matrix = sparse.csr_array(blocks - (weight / 2 + weight.T / 2))
    absolute = 4 * _UNIT * abs(weight)
    return matrix, _error(4 * _UNIT * size + absolute + absolute.T)


def full_matrix(game: CoupledGame) -> tuple[Any, Any]:
    """Return M as a sparse array, and a componentwise bound on its distance to the exact one."""
    from scipy import sparse

    blocks, size, weight = _parts(game)
    return sparse.csr_array(blocks - weight), _error(4 * _UNIT * size + 4 * _UNIT * abs(weight))


def _error(rounding: Any) -> Any:
    """Return the rounding bounds as a sparse array, with what underflow may add."""
    from scipy import sparse

    error = sparse.csr_array(rounding)
    error.data += _LEAST
    return error


def _parts(game: CoupledGame) -> tuple[Any, Any, Any]:
    """Return D, magnitudes of what its entries were computed from, and W or B."""
    from scipy import sparse

    weight: Any = assembled_weight(game.network)
    diagonal, magnitude = [], []
    for block, where in game.blocks.slices.items():
        n = where.stop - where.start
        base = _curvature(game, block)
        shift = float(_shift(game, block))
        curvature = sparse.diags_array(base) if base.ndim == 1 else sparse.csr_array(base)
        diagonal.append(curvature - shift * sparse.eye_array(n))
        magnitude.append(abs(curvature) + (shift + 1) * sparse.eye_array(n))
    return sparse.csr_array(sparse.block_diag(diagonal)), sparse.csr_array(sparse.block_diag(magnitude)), weight.matrix


def exact_symmetric_part(game: CoupledGame, indices: NDArray[np.intp]) -> Any:
    """Return the rows and columns ``indices`` of (M + M')/2 as a flint rational matrix."""
    exact = exact_matrix(game, indices)
    return (exact + exact.transpose()) * rational(0.5)


def exact_matrix(game: CoupledGame, indices: NDArray[np.intp]) -> Any:
    """Return the rows and columns ``indices`` of M as a flint rational matrix."""
    weight: Any = assembled_weight(game.network)
    result = rational_matrix(weight.matrix[indices][:, indices].toarray()) * rational(-1.0)
    positions = {int(index): i for i, index in enumerate(indices)}
    for block, where in game.blocks.slices.items():
        base, shift = _curvature(game, block), _shift(game, block)
        inside = [i for i in range(where.start, where.stop) if i in positions]
        for i in inside:
            for j in inside if base.ndim == 2 else (i,):
                entry = base[i - where.start, j - where.start] if base.ndim == 2 else base[i - where.start]
                value = rational(float(entry)) - (_flint(shift) if i == j else 0)
                a, b = positions[i], positions[j]
                result[a, b] = result[a, b] + value
    return result


def response_reach(game: CoupledGame) -> Fraction | float:
    """Return an upper bound on |Q - k|, Q the metric of the residual's map and k the shift that makes F convex."""
    reach: list[Fraction | float] = []
    for block in game.blocks.slices:
        base = _curvature(game, block)
        high = float(base.max()) if base.ndim == 1 else symmetric_extremes(base)[1].upper
        reach.append(max(Fraction(high) - _shift(game, block), Fraction(0)) if math.isfinite(high) else math.inf)
    return max(reach)


def _curvature(game: CoupledGame, block: Any) -> Array:
    cost = game.own[block]
    n = game.blocks.dims[block]
    if isinstance(game, NetworkGame) or cost.metric is None:
        return np.ones(n)
    return cost.metric


def _shift(game: CoupledGame, block: Any) -> Fraction:
    slope = game.own[block].activation.slope_range[1]
    if not math.isfinite(slope):
        return Fraction(1)
    return 1 - 1 / Fraction(slope) if slope > 1 else Fraction(0)


def _flint(value: Fraction) -> Any:
    from flint import fmpq

    return fmpq(value.numerator, value.denominator)
