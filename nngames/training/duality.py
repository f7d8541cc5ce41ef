"""Bounds on what a layer could still gain, by weak duality.

For every u with sum_t omega_t (u_t - y_t) = 0 and S = sum_t omega_t (u_t - y_t) x_t', g(v) >= <v, u> - g*(u) bounds the
infimum of the layer's loss from below, and the loss at Theta = (W, b) exceeds that bound by

    sum_t omega_t [g(v_t) + g*(u_t) - <v_t, u_t>], v_t = W x_t + b, plus
    0, if S = 0;  |S + rho W|^2 / (2 rho) with a ridge rho;  what <W - W', S> + rho (|W|^2 - |W'|^2)/2 is at most over
    the W' that are allowed, as of |W'|_2 <= beta at most <W, S + rho W> + beta |S + rho W|_*,

|.|_* the nuclear norm. At a minimiser u_t = r(v_t) makes all of it 0. Elsewhere r(v_t) is moved onto the equations.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nngames.core.profiles import Array

if TYPE_CHECKING:
    from nngames.training.layer_problem import LayerProblem

_UNIT = 2.0**-53
#: The multiplications that a solve for a bound may take.
WORK = 3e11
#: A dual point this far (relative to its size) outside dom g* is there by rounding.
ACROSS = 1e-9


@np.errstate(over="ignore", invalid="ignore")
def regret_bound(layer: LayerProblem, theta: Array) -> tuple[float, float]:
    """Return a bound on what other parameters gain over theta, and its rounding error; inf where none is found.

    r(v) is moved to u = r(v) - J A d, J the derivative of r and A'JA d the excess of the equations, which leaves the
    answers at the ends of r's range where they are; what the solve leaves is taken off with J = Id.

    Rounding leaves some e of the equations, and parameters theta' gain up to <e, theta - theta'> more. The rounding
    error counts it for all theta' with |theta'_j - theta_j| <= |theta_j| + 1/u_j, u_j the root mean square of the
    feature: bound and error together are proved for these, and at most k times as much is gained by parameters k times
    as far, as the loss is convex. Of weights with a ridge or in a bounded set only the biases are meant.
    """
    features, allowed = layer.features, layer.allowed
    theta = features.kept(theta)
    v = features.preactivations(theta)
    if not np.isfinite(v).all():
        return math.inf, 0.0
    wanted = np.zeros(features.shape)
    free = layer.ridge > 0 or (allowed is not None and allowed.bounded)
    if allowed is not None and not free:
        wanted[:, :-1] = allowed.finite(_excess(layer, layer.activation(v))[:, :-1])
    found = _bound(layer, theta, v, free, wanted)
    if allowed is not None or not layer.ridge:
        return found
    # A ridge that is small against the curvature leaves large |S + rho W|^2 / rho: S = - rho W may cost less.
    wanted[:, :-1] = -layer.ridge * theta[:, :-1]
    return min(found, _bound(layer, theta, v, False, wanted), key=sum)


def _bound(layer: LayerProblem, theta: Array, v: Array, free: bool, wanted: Array) -> tuple[float, float]:
    """Return bound and rounding error with S as ``wanted``, or as it comes where W is ``free``."""
    activation, weights = layer.activation, layer.weights
    u = _moved_along_slopes(layer, v, free, wanted)
    u = _moved(layer, u, free, wanted)
    inside = activation.domain.project(u)
    u = np.where(np.abs(inside - u) <= ACROSS * np.maximum(1.0, np.abs(u)), inside, u)
    gaps, errors = activation.gap(u, v)
    total = float(np.dot(weights, activation.layer_sum(gaps)))
    rounding = float(np.dot(weights, activation.layer_sum(errors))) if math.isfinite(total) else 0.0
    rounding += 1.1 * (u.size + 8) * _UNIT * total if math.isfinite(total) else 0.0
    rounding += _rounding_of_preactivations(layer, theta, u, v)
    left = _excess(layer, u) - wanted
    blur = _rounding_of_excess(layer, u) + 2 * _UNIT * np.abs(wanted)
    if layer.allowed is not None and not free:
        # Of <W, S>, and of eigenvalues of S that are 0 up to rounding only.
        blur[:, :-1] += (1e-14 + 64 * len(theta) * _UNIT) * float(np.linalg.norm(wanted))
    counted = (np.abs(left) + blur) * (np.abs(theta) + 1 / _scale(layer))
    rounding += float(np.sum(counted if not free else counted[:, -1]))
    weight = theta[:, :-1]
    slope = left[:, :-1] if free else wanted[:, :-1]
    if layer.allowed is not None:
        total += layer.allowed.most(weight, slope, layer.ridge)
        if free:
            bent = blur[:, :-1] + 1e-13 * np.abs(slope) + 16 * _UNIT * layer.ridge * np.abs(weight)
            change = float(np.linalg.norm(bent))
            rounding += layer.allowed.reach(weight, slope, layer.ridge, change) * change
    elif free:
        bent = np.abs(slope + layer.ridge * weight)
        blurred = blur[:, :-1] + 4 * _UNIT * layer.ridge * np.abs(weight)
        total += float(np.sum(bent**2)) / (2 * layer.ridge)
        rounding += float(np.sum((bent + blurred) * blurred)) / layer.ridge + 1.1 * (bent.size + 8) * _UNIT * total
    # What left the range of floats bounds nothing.
    return (total, rounding) if math.isfinite(total + rounding) else (math.inf, 0.0)


def _rounding_of_preactivations(layer: LayerProblem, theta: Array, u: Array, v: Array) -> float:
    """Return a bound on how the gaps change with the rounding of v, by the largest |r - u| on the way."""
    moved, activation = layer.features.preactivation_rounding(theta), layer.activation
    if activation.separable and activation.defined_everywhere:
        # Increasing in each coordinate.
        slopes = np.maximum(*(np.abs(activation(v + way * moved) - u) for way in (-1.0, 1.0)))
    elif math.isfinite(activation.lipschitz):
        slopes = np.abs(activation(v) - u)
        slopes += activation.lipschitz * np.linalg.norm(moved, axis=1)[:, None]
    else:
        return math.inf
    slopes += 16 * _UNIT * np.abs(u)
    return 1.01 * float(np.dot(layer.weights, np.sum(slopes * moved, axis=1)))


def _rounding_of_excess(layer: LayerProblem, u: Array) -> Array:
    """Return bounds on the rounding of ``_excess``: a sum of products, for any order of its terms."""
    rows = np.abs(layer.features.rows)
    misses = (np.abs(u - layer.targets) * layer.weights[:, None]).reshape(-1, layer.features.channels)
    return layer.features.kept(1.1 * (len(rows) + 6) * _UNIT * (misses.T @ rows))


def _excess(layer: LayerProblem, u: Array) -> Array:
    """Return sum_t omega_t A_t'(u_t - y_t), of which the equations ask 0: all of it, or the bias's column."""
    return layer.features.adjoint((u - layer.targets) * layer.weights[:, None])


def _moved_along_slopes(layer: LayerProblem, v: Array, free: bool, wanted: Array) -> Array:
    """Return r(v) - J A d with A'JA d the excess over what is wanted, or r(v) where that is no nearer to it."""
    from scipy.sparse.linalg import LinearOperator, cg

    features, activation, weights = layer.features, layer.activation, layer.weights
    u = activation(v)
    excess = _excess(layer, u) - wanted
    slopes = activation.derivative(v) if activation.separable else None

    def bent(d: Array) -> Array:
        moved = features.preactivations(_whole(layer, d, free))
        return slopes * moved if slopes is not None else activation.jvp(v, moved)

    def product(d: Array) -> Array:
        image = features.adjoint(bent(d) * weights[:, None])
        return (image[:, -1] if free else image).ravel()

    target = (excess[:, -1] if free else excess).ravel()
    if not np.any(target):
        return u
    if free:
        matrix = np.array([product(d) for d in np.eye(target.size)])
        d = np.linalg.lstsq(matrix, target, rcond=1e-15)[0]
    else:
        operator = LinearOperator((target.size, target.size), matvec=product, dtype=float)
        shape = features.shape
        near = LinearOperator(operator.shape, lambda d: layer.precondition(d.reshape(shape)).ravel(), dtype=float)
        # Whatever it comes to gives a bound; on large data fewer iterations are worth their time.
        most = int(np.clip(WORK / (2 * v.size * shape[1]), 20, 500))
        # Of a singular system, as of softmax, SciPy goes on from a solution that is exact by chance.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            d, _ = cg(operator, target, rtol=1e-12, maxiter=most, M=near)
    moved = u - bent(d)
    left = _excess(layer, moved) - wanted
    better = np.linalg.norm(left[:, -1] if free else left) < np.linalg.norm(target)
    return moved if better else u


def _whole(layer: LayerProblem, d: Array, free: bool) -> Array:
    """Return the change of (W, b) that a vector of unknowns stands for."""
    shape = layer.features.shape
    if not free:
        return d.reshape(shape)
    whole = np.zeros(shape)
    whole[:, -1] = d
    return whole


def _moved(layer: LayerProblem, u: Array, free: bool, wanted: Array) -> Array:
    """Return u - A c with A'A c the excess over what is wanted."""
    features = layer.features
    excess, gram = _excess(layer, u) - wanted, features.gram(layer.weights)
    change: Array = np.zeros(features.shape)
    if free:
        change[:, -1] = excess[:, -1] / float(gram[-1, -1])
        return u - features.preactivations(change)
    # Features of any size count alike.
    scale = _scale(layer)
    gram, excess = gram / (scale * scale[:, None]), excess / scale
    if features.mask is None:
        change = np.linalg.lstsq(gram, excess.T, rcond=None)[0].T
    else:
        for row, kept in enumerate(features.mask.astype(bool)):
            change[row, kept] = np.linalg.lstsq(gram[np.ix_(kept, kept)], excess[row, kept], rcond=None)[0]
    return u - features.preactivations(change / scale)


def _scale(layer: LayerProblem) -> Array:
    """Return the root mean square of each feature, 1 where it is 0; of tinier ones one whose square is a number."""
    return np.maximum(layer.features.sizes(layer.weights), 1e-140)
