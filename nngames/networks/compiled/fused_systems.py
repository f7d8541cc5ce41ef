"""Compiled linear systems (Id - J) d = g of the composite map of a ring of dense layers, in either precision.

As in ``elimination`` only the *active* entries of the last layer, those with a slope other than 0, are solved for, and
only the rows and columns that no slope 0 annuls enter the products of weights. ``rooms`` (4, cells) is room in the
precision of the system: for a layer's share, for products of such (the last of which becomes the matrix), and for what
factors need beside it; each layer's matrix, and the last layer's squared, has at most so many cells.
"""

from __future__ import annotations

import math

import numpy as np

from nngames.core.profiles import Array
from nngames.networks.compiled.fused_factors import factorise, substitute
from nngames.networks.compiled.fused_kernels import drive, respond
from nngames.networks.compiled.fused_scalars import compiled, hyperbolic_tangent
from nngames.networks.compiled.maps import PANEL
from nngames.networks.forms import (
    AFFINE,
    ARCTAN,
    CLIP,
    IDENTITY,
    RECTIFIED,
    RISE,
    SIGMOID,
    SOFT_THRESHOLD,
    SOFTSIGN,
    TANH,
    TWO_SLOPES,
)

_plain = compiled()
#: Sums in any order.
_summed = compiled(fastmath={"reassoc", "contract"})


@_plain
def slope(form: int, a: float, b: float, v: float) -> float:
    """Return the slope of a form at v, at its kinks as ``Activation.derivative`` does."""
    if form == IDENTITY:
        return 1.0
    if form == AFFINE:
        return a
    if form == RECTIFIED:
        return a if a * v + b > 0.0 else 0.0
    if form == TWO_SLOPES:
        return a if v < 0.0 else 1.0
    if form == TANH:
        t = hyperbolic_tangent(v)
        return a * (1.0 - t) * (1.0 + t)
    if form == SIGMOID:
        e = math.exp(-abs(v))
        return e / ((1.0 + e) * (1.0 + e))
    if form == CLIP:
        return 1.0 if a < v < b else 0.0
    if form == RISE:
        return 1.0 / a if abs(v) < 0.5 * a else 0.0
    if form == SOFTSIGN:
        return 1.0 / ((1.0 + abs(v)) * (1.0 + abs(v)))
    if form == SOFT_THRESHOLD:
        return 1.0 if abs(v) > a else 0.0
    if form == ARCTAN:
        return 1.0 / (1.0 + v * v)
    return 1.0 if v > 0.0 else a * math.exp(v)


@_plain
def write_slopes(
    weights: Array,
    biases: Array,
    parameters: Array,
    stages: Array,
    outputs: Array,
    work: Array,
    blocks: Array,
    x: Array,
    slopes: Array,
    places: Array,
    orders: Array,
) -> None:
    """Write the slopes of all layers at x (1, n), and for each layer where they are not 0, and how many.

    Parameters
    ----------
    weights, biases, parameters, stages, outputs, work, blocks
        The map and its work space.
    x : ndarray (1, n)
    slopes, places : ndarray (L, rows)
    orders : ndarray (L,)
    """
    layers = len(stages)
    for j in range(x.shape[1]):
        outputs[layers - 1, j] = x[0, j]
    for layer in range(layers):
        rows, form, count = stages[layer, 0], stages[layer, 3], 0
        drive(weights, biases, layer, rows, stages[layer, 1], outputs, stages[layer, 2], blocks)
        for i in range(rows):
            slopes[layer, i] = slope(form, parameters[0, layer, i], parameters[1, layer, i], work[i])
        for i in range(rows):
            if slopes[layer, i] != 0.0:
                places[layer, count] = i
                count += 1
        orders[layer] = count
        if layer < layers - 1:
            respond(form, parameters, layer, rows, work, outputs, layer)


@_plain
def change(
    weights: Array, biases: Array, stages: Array, outputs: Array, work: Array, blocks: Array, slopes: Array
) -> None:
    """Replace the last row of ``outputs``, d, by J d; ``biases`` are 0."""
    for layer in range(len(stages)):
        rows = stages[layer, 0]
        drive(weights, biases, layer, rows, stages[layer, 1], outputs, stages[layer, 2], blocks)
        for i in range(rows):
            outputs[layer, i] = slopes[layer, i] * work[i]


@_summed
def _share(weights: Array, layer: int, scales: Array, sign: float, rows: Array, columns: Array, out: Array) -> None:
    """Write the rows and columns at these places of a layer's matrix, times its slopes, into ``out``."""
    height, width = out.shape
    whole = width == weights.shape[3]
    for i in range(height):
        row = rows[layer, i]
        scale, block, place = sign * scales[layer, row], row // 4, row % 4
        if whole:
            for j in range(width):
                out[i, j] = scale * weights[layer, block, place, j]
        else:
            for j in range(width):
                out[i, j] = scale * weights[layer, block, place, np.uint64(columns[layer - 1, j])]


@_plain
def factors_at(
    weights: Array,
    slopes: Array,
    places: Array,
    orders: Array,
    rooms: Array,
    bits: Array,
    pivots: Array,
) -> bool:
    """Write the factors of (Id - J)_AA into the second and last of the ``rooms``; return whether it is regular.

    Parameters
    ----------
    weights, slopes, places, orders
        The map's, and what ``write_slopes`` wrote.
    rooms, bits : ndarray (4, cells)
        Room in the precision of the system, and the same in memory as integers.
    pivots : ndarray (n,)
    """
    layers = len(orders)
    order = orders[layers - 1]
    last = rooms[1, : order * order].reshape(order, order)
    idle = False
    for layer in range(layers):
        idle = idle or orders[layer] == 0
    if idle:
        for i in range(order):
            for j in range(order):
                last[i, j] = 0.0
    else:
        before = last
        for layer in range(layers):
            rows, heard = orders[layer], orders[layer - 1]
            sign = -1.0 if layer == layers - 1 else 1.0
            place = 1 + (layers - 1 - layer) % 2
            product = rooms[place, : rows * order].reshape(rows, order)
            if layer == 0:
                _share(weights, layer, slopes, sign, places, places, product)
            else:
                share = rooms[0, : rows * heard].reshape(rows, heard)
                _share(weights, layer, slopes, sign, places, places, share)
                np.dot(share, before, product)
            before = product
    for i in range(order):
        last[i, i] += 1.0
    columns = rooms[3, : order * order].reshape(order, order)
    seen = bits[3, : order * order].reshape(order, order)
    return factorise(last, columns, seen, rooms[0, : PANEL * order].reshape(PANEL, order), pivots)


@_summed
def solve(
    weights: Array,
    biases: Array,
    stages: Array,
    outputs: Array,
    work: Array,
    blocks: Array,
    slopes: Array,
    places: Array,
    orders: Array,
    rooms: Array,
    pivots: Array,
    g: Array,
    d: Array,
) -> None:
    """Write S g into d, both (1, n), S the inverse of Id - J from its factors on A.

    With g~ = g off A, 0 on A, the right-hand side on A is (g + J g~)_A, and off A d = g. It is scaled by a power of
    two, so that no small one is lost in single precision, and d = g to the last bit where J = 0.

    Parameters
    ----------
    weights, biases, stages, outputs, work, blocks
        The map, whose ``biases`` are 0 here, and its work space.
    slopes, places, orders, rooms, pivots
        What ``write_slopes`` and ``factors_at`` wrote.
    g, d : ndarray (1, n)
    """
    last, n = len(orders) - 1, g.shape[1]
    order = orders[last]
    for j in range(n):
        d[0, j] = g[0, j]
    if order < n:
        for i in range(order):
            d[0, places[last, i]] = 0.0
        rest = 0.0
        for j in range(n):
            rest += abs(d[0, j])
        if rest != 0.0:
            for j in range(n):
                outputs[last, j] = d[0, j]
            change(weights, biases, stages, outputs, work, blocks, slopes)
            for i in range(order):
                d[0, places[last, i]] = outputs[last, places[last, i]]
        for i in range(order):
            d[0, places[last, i]] += g[0, places[last, i]]
    size = 0.0
    for i in range(order):
        size = max(size, abs(d[0, places[last, i]]))
    if size == 0.0:
        return
    size = math.ldexp(1.0, math.frexp(size)[1] - 1)
    scaled = rooms[0, :order]
    for i in range(order):
        scaled[i] = d[0, places[last, i]] / size
    matrix = rooms[1, : order * order].reshape(order, order)
    substitute(matrix, rooms[3, : order * order].reshape(order, order), pivots, scaled)
    for i in range(order):
        d[0, places[last, i]] = scaled[i]
        d[0, places[last, i]] *= size
