"""Bounds on the rounding of what the lifted game computes before it takes a gap: sums of products, entry by entry.

A gap g(v) + g*(z) - <z, v> of a v that is off by e is off by at most <|r(v) - z|, |e|> + S |e|^2/2, S the Lipschitz
constant of r = grad g.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nngames.activations import Activation
from nngames.core.profiles import Array

if TYPE_CHECKING:
    from nngames.training.lifted_game import LiftedGame

_UNIT = 2.0**-53


def rounding_of_preactivations(game: LiftedGame, layer: int, x: Array) -> Array:
    """Return bounds on the rounding of v_l (T, n_l)."""
    theta = np.abs(game.matrix(layer, x))
    sizes = np.abs(game.answers_held(layer - 1, x)) @ theta[:, :-1].T + theta[:, -1]
    return 1.1 * (theta.shape[1] + 2) * _UNIT * sizes


def rounding_of_pulled(game: LiftedGame, layer: int, x: Array) -> Array:
    """Return bounds on the rounding of u_l (T, n_l)."""
    after, weight = game.activations[layer], game.matrix(layer + 1, x)[:, :-1]
    answers, held = after(game.preactivations(layer + 1, x)), game.answers_held(layer + 1, x)
    size = np.abs(answers) + np.abs(held)
    # Of the misses r(v) - z, a row at a time, as the entries of softmax share theirs.
    off = after.lipschitz * np.linalg.norm(rounding_of_preactivations(game, layer + 1, x), axis=1)
    off = (off + 16 * _UNIT * np.linalg.norm(size, axis=1))[:, None] * np.linalg.norm(weight, axis=0)
    ratio = game.shares[layer] / game.shares[layer - 1]
    pull = ratio * (1.01 * off + 1.1 * (len(weight) + 4) * _UNIT * size @ np.abs(weight))
    own = rounding_of_preactivations(game, layer, x)
    return pull + own + 4 * _UNIT * np.abs(game.pulled(layer, x))


def rounding_of_gaps(response: Activation, z: Array, v: Array, off: Array) -> Array:
    """Return bounds (T,) on what an error of v within ``off`` does to the gaps of z and v."""
    return np.asarray((np.abs(response(v) - z) * off + 0.5 * response.lipschitz * off**2).sum(axis=-1))


def rounding_of_bound(response: Activation, bound: float, weights: Array, off: Array) -> float:
    """Return what an error of v within ``off`` does to a sum of omega-weighted gaps that is at most ``bound``.

    As a gap is at least |r(v) - u|^2/(2 S), the first terms make at most (2 S bound sum omega |e|^2)^(1/2).
    """
    square = float(np.dot(weights, np.sum(off**2, axis=1)))
    return math.sqrt(2 * response.lipschitz * max(0.0, bound) * square) + 0.5 * response.lipschitz * square
