"""The loss of a whole chain and its gradient by back-propagation.

E(theta) = sum_t omega_t [g_L(v_Lt) + g_L*(y_t) - <v_Lt, y_t>] + sum_l ridge_l |W_l|^2/2, the last layer's Fenchel-Young
loss at the chain's own pre-activations: cross-entropy for softmax, half the squares for the identity. Its gradient goes
backwards: d_L = omega (r_L(v_L) - y), d_{l-1} = J_{l-1}(v_{l-1})'(W_l' d_l), dE/dW_l = d_l z_{l-1}' [rumelhart1986].
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nngames.core.profiles import Array
from nngames.games import Descent
from nngames.training.chain import ChainShape, forward_pass
from nngames.training.constraints import project_spectral
from nngames.training.ring_sets import RingSet


class ChainLoss(Descent):
    """E and its gradient for one chain, with bounds on the spectral norms of its weights.

    Parameters
    ----------
    shape : ChainShape
    bounds : sequence of L floats or None
    ring : RingSet, optional
        The set that the weights are held in, in place of bounds.
    """

    def __init__(self, shape: ChainShape, bounds: Sequence[float | None], ring: RingSet | None = None) -> None:
        self.shape, self.bounds, self.ring = shape, tuple(bounds), ring
        sizes = shape.sizes
        self._shapes = [(after, before + 1) for before, after in pairwise(sizes)]
        ends = np.cumsum([rows * columns for rows, columns in self._shapes])
        self._places = [slice(end - r * c, end) for end, (r, c) in zip(ends.tolist(), self._shapes, strict=True)]
        self.size = int(ends[-1])
        self.samples = len(shape.inputs)
        self.constrained = ring is not None or any(bound is not None for bound in self.bounds)

    def matrices(self, theta: Array) -> list[Array]:
        """Return the matrices (W, b), views of the vector theta."""
        return [theta[where].reshape(shape) for where, shape in zip(self._places, self._shapes, strict=True)]

    def value_and_gradient(self, theta: Array, rows: NDArray[np.intp] | None = None) -> tuple[float, Array]:
        """Return E and its gradient, on all samples or on some, whose weights are then scaled to sum 1."""
        shape, matrices = self.shape, self.matrices(theta)
        x, y, omega = shape.inputs, shape.targets, shape.weights
        if rows is not None:
            x, y, omega = x[rows], y[rows], omega[rows] / omega[rows].sum()
        preactivations, answers = forward_pass(shape, matrices, x)
        last, v = shape.activations[-1], preactivations[-1]
        gaps, _ = last.gap(y, v)
        value = float(np.dot(omega, last.layer_sum(gaps)))
        gradient: Array = np.empty(self.size)
        back: Array = (answers[-1] - y) * omega[:, None]
        for layer in range(shape.depth - 1, -1, -1):
            part = gradient[self._places[layer]].reshape(self._shapes[layer])
            weight, ridge = matrices[layer][:, :-1], shape.ridge[layer]
            part[:, :-1] = back.T @ answers[layer]
            part[:, -1] = back.sum(axis=0)
            if ridge:
                part[:, :-1] += ridge * weight
                value += 0.5 * ridge * float(np.sum(weight**2))
            if layer:
                back = shape.activations[layer - 1].vjp(preactivations[layer - 1], back @ weight)
        return value, gradient

    def project(self, theta: Array) -> Array:
        """Return the nearest parameters whose weights are allowed."""
        if not self.constrained:
            return theta
        moved = theta.copy()
        if self.ring is not None:
            matrices = self.matrices(moved)
            nearest = self.ring.project([matrix[:, :-1] for matrix in matrices])
            for matrix, weight in zip(matrices, nearest, strict=True):
                matrix[:, :-1] = weight
            return moved
        for matrix, bound in zip(self.matrices(moved), self.bounds, strict=True):
            if bound is not None:
                matrix[:, :-1] = project_spectral(matrix[:, :-1], bound)
        return moved

    def natural_step(self, theta: Array, gradient: Array) -> Array:
        """Return P(theta - dE(theta)) - theta; where nothing is clipped it is -dE(theta) exactly."""
        step = -gradient
        if not self.constrained:
            return step
        moved = theta - gradient
        nearest = self.project(moved)
        blocks = zip(*(self.matrices(each) for each in (step, theta, moved, nearest)), strict=True)
        for own, here, ahead, allowed in blocks:
            if not np.array_equal(ahead, allowed):
                own[:, :-1] = allowed[:, :-1] - here[:, :-1]
        return step
