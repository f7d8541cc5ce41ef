"""The slope matrix A = Q - I + diag(1/S) - W of a game with linear couplings, whose principal minors decide.

Q = I for the game of a network (self-loops are part of W), and S_i is the largest slope of a coordinate's activation; a
row with S_i = 0 is that of the identity. x is an equilibrium iff x_i = r_i(u_i) with u = x - (Q x - W x - b), and two
of them, with difference d, have d_i (A d)_i <= 0 for every i where the slopes are in [0, S_i].
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.exact import rational_matrix
from nngames.core.profiles import Player
from nngames.games import NetworkGame
from nngames.networks.assembly import assembled_weight

_UNIT = 2.0**-53


def slope_matrix(game: Any) -> tuple[Any, Any]:
    """Return A as a sparse array and a componentwise bound on its distance to the exact one."""
    from scipy import sparse

    assembled: Any = assembled_weight(game.network)
    weight = assembled.matrix
    inverse = np.concatenate([np.full(n, float(_inverse(game, block))) for block, n in game.network.dims.items()])
    moving = sparse.diags_array(np.concatenate(_moving(game)))
    own, size = [], []
    for block, n in game.network.dims.items():
        metric = None if isinstance(game, NetworkGame) else game.own[block].metric
        extra = np.zeros(n) if metric is None else metric - (1.0 if metric.ndim == 1 else np.eye(n))
        # Rounded once in metric - 1, once in adding 1/S.
        spread = np.zeros(n) if metric is None else np.abs(metric) + (1.0 if metric.ndim == 1 else np.eye(n))
        own.append(sparse.diags_array(extra) if extra.ndim == 1 else sparse.csr_array(extra))
        size.append(sparse.diags_array(spread) if spread.ndim == 1 else sparse.csr_array(spread))
    blocks, sizes = sparse.block_diag(own, format="csr"), sparse.block_diag(size, format="csr")
    diagonal = sparse.diags_array(inverse)
    still = sparse.eye_array(weight.shape[0]) - moving
    matrix = sparse.csr_array(moving @ (blocks - weight) + diagonal + still)
    error = sparse.csr_array(4 * _UNIT * (moving @ (sizes + abs(weight)) + diagonal))
    return matrix, error


def exact_slope_matrix(game: Any, indices: NDArray[np.intp]) -> Any:
    """Return the rows and columns ``indices`` of A as a flint rational matrix."""
    from flint import fmpq

    assembled: Any = assembled_weight(game.network)
    result = rational_matrix(assembled.matrix[indices][:, indices].toarray()) * fmpq(-1)
    place = {int(index): i for i, index in enumerate(indices)}
    for block, where in game.blocks.slices.items() if hasattr(game, "blocks") else game.network.space.slices.items():
        inverse, still = _inverse(game, block), game.network.activations[block].slope_range[1] == 0
        metric = None if isinstance(game, NetworkGame) else game.own[block].metric
        inside = [i for i in range(where.start, where.stop) if i in place]
        for i in inside:
            for j in place if still else inside:
                own = _entry(metric, i - where.start, j - where.start) if not still else Fraction(0)
                value = own + (inverse if i == j else 0)
                previous = fmpq(int(i == j)) if still else result[place[i], place[j]]
                result[place[i], place[j]] = previous + fmpq(value.numerator, value.denominator)
    return result


def _inverse(game: Any, block: Player) -> Fraction:
    """Return 1/S, as the float S gives it; 0 where S is infinite or 0."""
    high = game.network.activations[block].slope_range[1]
    return 1 / Fraction(high) if 0 < high < math.inf else Fraction(0)


def _moving(game: Any) -> list[NDArray[np.float64]]:
    """Return 1 for each coordinate whose response can move, 0 else, by block."""
    activations = game.network.activations
    return [np.full(n, float(activations[p].slope_range[1] > 0)) for p, n in game.network.dims.items()]


def _entry(metric: Any, i: int, j: int) -> Fraction:
    """Return Q_ij - I_ij."""
    if metric is None or (metric.ndim == 1 and i != j):
        return Fraction(0)
    return Fraction(float(metric[i] if metric.ndim == 1 else metric[i, j])) - int(i == j)
