"""Sectors: between which slopes each coordinate's response moves, as a quadratic constraint with rounded-off data.

A response r_l whose slopes are in [s, S] satisfies, for any two pre-activations with differences dv and dr,

    <dr - s dv, tau dv - sigma dr> >= 0,        (tau, sigma) = (1, 1/S) if S > 1 and (S, 1) else,

coordinate by coordinate if r_l is separable, for the whole block if r_l is the gradient of a function: then r_l - s Id
is the gradient of a convex and (S - s)-smooth one, so it is 1/(S - s)-cocoercive [bauschke2017, Cor. 18.17]. Of any
other r_l with Lipschitz constant c it holds with s = -c, S = c, where it reads |dr| <= c |dv|.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates.figures import round_down, round_up
from nngames.core.bounds import symmetric_extremes
from nngames.core.profiles import Array, Player
from nngames.games import NetworkGame


@dataclass(frozen=True)
class Sectors:
    """The sectors of all coordinates of a profile, and which coordinates share a multiplier.

    Attributes
    ----------
    lower : ndarray (N,)
        s.
    tau, sigma : ndarray (N,)
        The homogeneous form of S; sigma is rounded down, which only widens the sector.
    groups : ndarray of int (N,)
        Coordinates of one group have one multiplier: the coordinates of a block whose response is not separable.
    """

    lower: Array
    tau: Array
    sigma: Array
    groups: NDArray[np.intp]


def sectors(game: Any) -> Sectors | str:
    """Return the sectors of the responses of a game with couplings, or why a response has none.

    For the game of a network the response is the activation, self-loops being couplings; for another game it is the
    best response to what the others contribute.
    """
    parts, shared = [], []
    for block, n in game.network.dims.items():
        slopes, joint = response_slopes(game, block, n)
        if isinstance(slopes, str):
            return slopes
        parts.append(np.array([_form(low, high) for low, high in slopes], dtype=float).reshape(-1, 3).T)
        if parts[-1].shape[1] != n:
            parts[-1] = np.broadcast_to(parts[-1], (3, n))
        shared.append(joint)
    lower, tau, sigma = np.concatenate(parts, axis=1)
    sizes = game.network.dims.values()
    counts = [np.zeros(n, dtype=np.intp) if joint else np.arange(n) for n, joint in zip(sizes, shared, strict=True)]
    starts = np.cumsum([0, *(int(count[-1]) + 1 for count in counts)])
    groups = np.concatenate([count + start for count, start in zip(counts, starts[:-1], strict=True)])
    return Sectors(lower, tau, sigma, groups)


Slope = Fraction | float


def response_slopes(game: Any, block: Player, n: int) -> tuple[list[tuple[Slope, Slope]] | str, bool]:
    """Return the slope range of a block's response, once or for each coordinate, and whether it couples them; or why
    it has none.
    """
    activation = game.network.activations[block]
    joint = n > 1 and not activation.separable
    low, high = activation.slope_range
    if not activation.gradient:
        low, high = -activation.lipschitz, activation.lipschitz
    if low == -math.inf or (high == math.inf and low < 0):
        return f"the slopes of activation {activation.name!r} of player {block} are unbounded", joint
    metric = None if isinstance(game, NetworkGame) else game.own[block].metric
    if metric is None:
        return [(low, high)], joint
    if metric.ndim == 2:
        least, most = symmetric_extremes(metric)
        return [(_with_curvature(low, most.upper), _with_curvature(high, least.lower))], True
    values, places = np.unique(metric, return_inverse=True)
    found = [(_with_curvature(low, float(q)), _with_curvature(high, float(q))) for q in values]
    return [found[i] for i in places], joint


def _with_curvature(slope: Slope, q: float) -> Slope:
    """Return the slope of the response with own curvature q where that of r is ``slope`` >= 0: 1/(1/slope + q - 1)."""
    if slope == 0:
        return Fraction(0)
    inverse = (0 if slope == math.inf else 1 / Fraction(slope)) + Fraction(q) - 1
    return 1 / inverse if inverse > 0 else math.inf


def _form(low: Slope, high: Slope) -> tuple[float, float, float]:
    """Return (s, tau, sigma), rounded so that the sector only widens."""
    lower = round_down(low) if low >= 0 else -round_up(-low)
    if high > 1:
        return lower, 1.0, 0.0 if high == math.inf else round_down(1 / Fraction(high))
    return lower, round_up(high) if high >= 0 else -round_down(-high), 1.0
