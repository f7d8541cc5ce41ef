"""How far the answers of two passes may be apart that sum the same products in different orders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nngames.core.norms import euclidean_length
from nngames.core.operators import DenseMap, SparseMap
from nngames.core.profiles import Array

if TYPE_CHECKING:
    from nngames.networks.layers import Layer

#: eps of each precision.
UNITS = {np.dtype(kind): float(np.finfo(kind).eps) for kind in (np.float32, np.float64)}
#: The rounding units of an answer by which two ways to compute an activation may differ.
ACTIVATION = 8.0


def answers_apart(layers: Sequence[Layer]) -> tuple[float, float]:
    """Return (a, b): at a profile x the joint answers of two passes differ by at most eps (a |x|_2 + b), eps = 2u.

    A sum of m products and a bias is off by at most (m + 1) u (|W_l|_F |x_k| + |b_l|) in any order, to the first order
    in u, and an activation passes S_l times that: a is ``ACTIVATION`` plus the largest (m + 2) S_l |W_l|_F, and b the
    norm of the (m + 2) S_l |b_l|. Both are infinite where a matrix is not stored.
    """
    factors, constants = [0.0], [0.0]
    for layer in layers:
        weight = layer.single
        if layer.others or not isinstance(weight, DenseMap | SparseMap):
            return math.inf, math.inf
        if isinstance(weight, DenseMap):
            terms, entries = weight.shape[1], weight.matrix.ravel()
        else:
            terms, entries = int((weight.matrix.indptr[1:] - weight.matrix.indptr[:-1]).max()), weight.matrix.data
        passed = (terms + 2) * layer.activation.lipschitz
        factors.append(passed * euclidean_length(entries))
        constants.append(passed * euclidean_length(layer.bias))
    # What is not a number bounds nothing.
    if not all(map(math.isfinite, factors + constants)):
        return math.inf, math.inf
    return ACTIVATION + max(factors), math.hypot(*constants)


def rounding_at(profiles: Array, apart: tuple[float, float]) -> float:
    """Return eps (a |x|_2 + b) for a profile, or for several the same with the norm of all their entries."""
    factor, constant = apart
    return UNITS[profiles.dtype] * (factor * euclidean_length(profiles.reshape(-1)) + constant)
