"""Profiles in the domains of the penalties, exactly: in exact arithmetic a point that is off by rounding is off."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import Any

import numpy as np

from nngames.activations import Activation
from nngames.activations.affine import AffineProjection
from nngames.activations.foundations.domain import BoxDomain, Interval, Simplex
from nngames.core.exact import fraction, rational_matrix
from nngames.core.profiles import Array
from nngames.games import CoupledGame

# A simplex point is rounded to multiples of this, so that its sum is exact.
_GRID = 2.0**-50
# The share by which a point of another set is drawn inwards, beyond the rounding of its projection.
_INWARDS = 2.0**-40
# A point of an affine set is a solution in few digits plus multiples of this, relative to its size, of directions.
_STEP = 2.0**-36
# Solutions in few digits are sought among so many values of the free entries.
_TRIED = 4096
# Larger systems are not solved exactly; their directions are integers up to this.
_MOST_EQUATIONS = 10_000
_LARGEST_DIRECTION = 2**8


def into_domain(game: Any, x: Array) -> Array:
    """Return x (..., N) with every action moved into the domain of its penalty.

    On a simplex the sum is exact, and on an affine set the equations where floats can solve them; in other sets that
    couple coordinates and have interior points, the point is one of them.
    """
    result = x.copy()
    if isinstance(game, CoupledGame):
        for block, where in game.blocks.slices.items():
            result[..., where] = _inside(game.own[block].activation, x[..., where])
    return result


def _inside(activation: Activation, z: Array) -> Array:
    domain = activation.domain
    projected = domain.project(z)
    if isinstance(activation, AffineProjection) and activation.rank > 0:
        return _exact_solution(activation, projected)
    if isinstance(domain, Interval | BoxDomain):
        return projected
    if isinstance(domain, Simplex):
        return _exact_shares(projected, domain.total)
    corners = np.vstack([np.eye(z.shape[-1]), -np.eye(z.shape[-1])])
    centre = np.mean(domain.project(corners), axis=0)
    return projected + _INWARDS * (centre - projected)


def _exact_shares(z: Array, total: float) -> Array:
    """Return multiples of 2^-50 near z whose sum is exact, as far as ``total`` is a multiple itself."""
    shares = np.rint(z / _GRID)
    largest = np.argmax(shares, axis=-1, keepdims=True)
    np.put_along_axis(shares, largest, 0.0, axis=-1)
    rest = np.rint(total / _GRID) - np.sum(shares, axis=-1, keepdims=True)
    np.put_along_axis(shares, largest, rest, axis=-1)
    return shares * _GRID


def _exact_solution(affine: AffineProjection, z: Array) -> Array:
    """Return solutions of the equations near z, exact in floats where ``_exact_form`` knows some."""
    form = _exact_form(affine)
    if form is None:
        return z
    point, directions = form
    if directions.shape[1] == 0:
        return np.broadcast_to(point, z.shape).copy()
    largest = np.max(np.abs(z), axis=-1, keepdims=True, initial=1.0)
    unit = _STEP * np.exp2(np.frexp(largest)[1])
    steps = (z - point) @ np.linalg.pinv(directions).T
    return np.asarray(point + (unit * np.rint(steps / unit)) @ directions.T)


@lru_cache(maxsize=256)
def _exact_form(affine: AffineProjection) -> tuple[Array, Array] | None:
    """Return a solution of the equations that is a float of few digits, and integer directions (n, m); None if none is
    found.
    """
    n = affine.size
    if n * affine.rank > _MOST_EQUATIONS:
        return None
    reduced, rank = rational_matrix(np.column_stack([np.asarray(affine.matrix), np.asarray(affine.offset)])).rref()
    rows = [[fraction(reduced[i, j]) for j in range(n + 1)] for i in range(rank)]
    pivots = [next(j for j in range(n + 1) if row[j] != 0) for row in rows]
    if n in pivots or rank != affine.rank:
        return None
    free = [j for j in range(n) if j not in pivots]
    directions = np.zeros((n, len(free)))
    for column, j in enumerate(free):
        scale = 1
        for row in rows:
            scale = math.lcm(scale, row[j].denominator)
        entries = [-row[j] * scale for row in rows]
        if scale > _LARGEST_DIRECTION or any(abs(entry) > _LARGEST_DIRECTION for entry in entries):
            return None
        directions[j, column], directions[pivots, column] = scale, [float(t) for t in entries]
    for values in itertools.islice(itertools.product(range(64), repeat=len(free)), _TRIED):
        solution = [row[n] - sum(row[j] * t for j, t in zip(free, values, strict=True)) for row in rows]
        if all(
            t.denominator & (t.denominator - 1) == 0 and max(abs(t.numerator), t.denominator) < 2**12 for t in solution
        ):
            point = np.zeros(n)
            point[free], point[pivots] = values, [float(t) for t in solution]
            return point, directions
    return None
