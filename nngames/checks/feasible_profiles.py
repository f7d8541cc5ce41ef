"""Profiles in the domains of the penalties, exactly: in exact arithmetic a point that is off by rounding is off."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.activations.foundations.domain import BoxDomain, Domain, Interval, Simplex
from nngames.core.profiles import Array
from nngames.games import CoupledGame

# A simplex point is rounded to multiples of this, so that its sum is exact.
_GRID = 2.0**-50
# The share by which a point of another set is drawn inwards, beyond the rounding of its projection.
_INWARDS = 2.0**-40


def into_domain(game: Any, x: Array) -> Array:
    """Return x (..., N) with every action moved into the domain of its penalty.

    On a simplex the sum is exact; in other sets that couple coordinates and have interior points, the point is one of
    them.
    """
    result = x.copy()
    if isinstance(game, CoupledGame):
        for block, where in game.blocks.slices.items():
            result[..., where] = _inside(game.own[block].activation.domain, x[..., where])
    return result


def _inside(domain: Domain, z: Array) -> Array:
    projected = domain.project(z)
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
