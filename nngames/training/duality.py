"""Bounds on what a layer could still gain, by weak duality.

For every u with sum_t omega_t (u_t - y_t) = 0 and S = sum_t omega_t (u_t - y_t) x_t', g(v) >= <v, u> - g*(u) bounds the
infimum of the layer's loss from below, and the loss at Theta = (W, b) exceeds that bound by

    sum_t omega_t [g(v_t) + g*(u_t) - <v_t, u_t>], v_t = W x_t + b, plus
    0, if S = 0;  |S + rho W|^2 / (2 rho) with a ridge rho;  <W, S + rho W> + beta |S + rho W|_* with |W|_2 <= beta,

|.|_* the nuclear norm. At a minimiser u_t = r(v_t) makes all of it 0. Elsewhere r(v_t) is moved onto the equations.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nngames.core.profiles import Array

if TYPE_CHECKING:
    from nngames.training.layer_problem import LayerProblem

#: A dual point this far (relative to its size) outside dom g* is there by rounding.
ACROSS = 1e-9


def regret_bound(layer: LayerProblem, theta: Array) -> tuple[float, float]:
    """Return a bound on the loss at theta above its infimum, and the bound's rounding error; inf where none is found.

    r(v) is moved to u = r(v) - J A d, J the derivative of r and A'JA d the excess of the equations, which leaves the
    answers at the ends of r's range where they are; what the solve leaves is taken off with J = Id. What rounding then
    leaves of an equation counts with the size of its parameter: |theta|, and what makes its feature 1.
    """
    features, activation, weights = layer.features, layer.activation, layer.weights
    theta = features.kept(theta)
    v = features.preactivations(theta)
    free = layer.ridge > 0 or layer.bound is not None
    u = _moved_along_slopes(layer, v, free)
    u = _moved(layer, u, free)
    inside = activation.domain.project(u)
    u = np.where(np.abs(inside - u) <= ACROSS * np.maximum(1.0, np.abs(u)), inside, u)
    gaps, errors = activation.gap(u, v)
    total = float(np.dot(weights, activation.layer_sum(gaps)))
    rounding = float(np.dot(weights, activation.layer_sum(errors))) if math.isfinite(total) else 0.0
    left = _excess(layer, u)
    sizes = np.abs(theta) + 1 / _scale(layer)
    rounding += float(np.sum(np.abs(left) * sizes)) if not free else float(np.sum(np.abs(left * sizes)[:, -1]))
    weight = theta[:, :-1]
    slope = left[:, :-1] + layer.ridge * weight
    if layer.bound is not None:
        nuclear = float(np.linalg.svd(slope, compute_uv=False).sum())
        total += max(0.0, float(np.sum(weight * slope)) + layer.bound * nuclear)
    elif layer.ridge > 0:
        total += float(np.sum(slope**2)) / (2 * layer.ridge)
    return total, rounding


def _excess(layer: LayerProblem, u: Array) -> Array:
    """Return sum_t omega_t A_t'(u_t - y_t), of which the equations ask 0: all of it, or the bias's column."""
    return layer.features.adjoint((u - layer.targets) * layer.weights[:, None])


def _moved_along_slopes(layer: LayerProblem, v: Array, free: bool) -> Array:
    """Return r(v) - J A d with A'JA d the excess, or r(v) where the solve brings it no nearer to the equations."""
    from scipy.sparse.linalg import LinearOperator, cg

    features, activation, weights = layer.features, layer.activation, layer.weights
    u = activation(v)
    excess = _excess(layer, u)
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
        # Of a singular system, as of softmax, SciPy goes on from a solution that is exact by chance.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            d, _ = cg(operator, target, rtol=1e-12, maxiter=500, M=near)
    moved = u - bent(d)
    left = _excess(layer, moved)
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


def _moved(layer: LayerProblem, u: Array, free: bool) -> Array:
    """Return u - A c with A'A c the excess."""
    features = layer.features
    excess, gram = _excess(layer, u), features.gram(layer.weights)
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
    """Return the root mean square of each feature, 1 where it is 0."""
    squares = np.einsum("tf,tf,t->f", *2 * (layer.features.rows,), np.repeat(layer.weights, layer.features.positions))
    return np.sqrt(np.where(squares > 0, squares, 1.0))
