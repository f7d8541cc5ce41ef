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
from nngames.training.chain import ChainShape, forward_pass
from nngames.training.constraints import project_spectral


class ChainLoss:
    """E and its gradient for one chain, with bounds on the spectral norms of its weights.

    Parameters
    ----------
    shape : ChainShape
    bounds : sequence of L floats or None
    """

    def __init__(self, shape: ChainShape, bounds: Sequence[float | None]) -> None:
        self.shape, self.bounds = shape, tuple(bounds)
        sizes = shape.sizes
        self._shapes = [(after, before + 1) for before, after in pairwise(sizes)]
        ends = np.cumsum([rows * columns for rows, columns in self._shapes])
        self._places = [slice(end - r * c, end) for end, (r, c) in zip(ends.tolist(), self._shapes, strict=True)]
        self.size = int(ends[-1])

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
        """Return the nearest parameters whose weights keep their bounds."""
        if all(bound is None for bound in self.bounds):
            return theta
        moved = theta.copy()
        for matrix, bound in zip(self.matrices(moved), self.bounds, strict=True):
            if bound is not None:
                matrix[:, :-1] = project_spectral(matrix[:, :-1], bound)
        return moved

    def residual(self, theta: Array, gradient: Array) -> float:
        """Return |theta - P(theta - dE(theta))|."""
        return float(np.linalg.norm(theta - self.project(theta - gradient)))
