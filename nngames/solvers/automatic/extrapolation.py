"""Extrapolation: where the plain passes of an automatic run lead to, as the start of Newton's method."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from nngames.core.factors import solution
from nngames.core.profiles import Array
from nngames.solvers.safeguard import DisplacementProblem
from nngames.solvers.solver import State

#: What is added to each squared norm, relative: displacements that repeat, as those of a cycle, then have shares too.
RIDGE = 1e-14


def extrapolated(x: Array, displacements: Array) -> Array:
    """Return sum_j w_j (x_j + g_j) for the x_j of plain passes, x the last; not finite where a g_j is not.

    The g_j are their displacements (count, n), and the w_j, of sum 1, make sum_j w_j g_j shortest, up to ``RIDGE``. On
    an affine map that is the displacement at sum_j w_j x_j, and the step from there the one of Anderson acceleration.
    """
    ones, ridge, shares = _matrices(len(displacements))
    weights = solution(displacements.dot(displacements.T) * ridge, ones)
    change = (shares.dot(weights) / ones.dot(weights)).dot(displacements)
    return np.add(x, change, dtype=x.dtype)


def state_ahead(view: Any, state: State, displacements: Array) -> tuple[State | None, int]:
    """Return the state where the passes up to ``state`` lead to, its memory the displacement there, and the passes.

    None where the map ``view`` is undefined or not finite there.
    """
    return DisplacementProblem(view).tried(extrapolated(state.x, displacements), state.evaluations)


@cache
def _matrices(count: int) -> tuple[Array, Array, Array]:
    """Return (1, ..., 1), the factors of the Gram matrix, and the map from the w_j to the shares of the g_j.

    The shares are those in what ``extrapolated`` adds: of the last j, x_j + g_j is x and g_j; of others it is x less
    the g_i from i = j + 1 on to the last but one.
    """
    shares = -np.tri(count, k=-1)
    shares[-1] = 0.0
    shares[-1, -1] = 1.0
    return np.ones(count), np.ones((count, count)) + RIDGE * np.eye(count), shares
