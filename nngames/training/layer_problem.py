"""A layer's own problem: min over (W, b) of sum_t omega_t [g(W x_t + b) - <W x_t + b, y_t>], a Fenchel-Young loss.

With A_t Theta = W x_t + b it is convex, its gradient is F(Theta) = sum_t omega_t A_t'(r(A_t Theta) - y_t), and its
minimisers are the zeros of F: the solutions of the variational inequality of the layer [combettes2022]. For the
logistic function and labels 0, 1 it is logistic regression, for softmax the multinomial one, for the identity least
squares. A ridge |W|^2 rho/2 may be added, and |W|_2 be bounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nngames.activations import Activation
from nngames.core.errors import NotApplicableError
from nngames.core.profiles import Array
from nngames.training.constraints import project_spectral
from nngames.training.layer_features import LayerFeatures


class LayerProblem:
    """The layer's problem on given samples.

    Parameters
    ----------
    features : LayerFeatures
    targets : ndarray (T, n)
    activation : Activation
        r, the gradient of a convex g.
    weights : ndarray (T,)
        omega, positive.
    ridge : float
        rho, at least 0; the bias is not counted.
    bound : float, optional
        The bound on |W|_2.

    Raises
    ------
    NotApplicableError
        If r is the gradient of no convex function, or a bound is asked for on masked weights or a convolution.
    """

    def __init__(
        self,
        features: LayerFeatures,
        targets: Array,
        activation: Activation,
        weights: Array,
        ridge: float = 0.0,
        bound: float | None = None,
    ) -> None:
        if not activation.monotone:
            raise NotApplicableError(f"{activation.penalty_obstacle}: its layer has no convex problem")
        if bound is not None and (features.mask is not None or features.convolution is not None):
            raise NotApplicableError(
                "a bound on |W|_2 is taken for dense weights only, without a mask or a convolution"
            )
        self.features, self.targets, self.activation, self.weights = features, targets, activation, weights
        self.ridge, self.bound = ridge, bound

    @property
    def size(self) -> int:
        """The number of parameters."""
        return self.features.size

    def value(self, theta: Array) -> float:
        """Return the loss as written above, with the ridge."""
        return self._value_at(theta, self.features.preactivations(theta))

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """Return the loss and F(theta), from one product with the samples."""
        v = self.features.preactivations(theta)
        return self._value_at(theta, v), self._gradient_at(theta, v)

    def _value_at(self, theta: Array, v: Array) -> float:
        activation = self.activation
        primitive = activation.layer_sum(activation.primitive(v))
        losses = primitive - np.einsum("tn,tn->t", v, self.targets)
        ridge = 0.5 * self.ridge * float(np.sum(self.features.kept(theta)[:, :-1] ** 2)) if self.ridge else 0.0
        return float(np.dot(self.weights, losses)) + ridge

    def errors(self, theta: Array) -> Array:
        """Return r(A_t theta) - y_t (T, n)."""
        v = self.features.preactivations(theta)
        return self.activation(v) - self.targets

    def gradient(self, theta: Array) -> Array:
        """Return F(theta) (channels, features)."""
        return self._gradient_at(theta, self.features.preactivations(theta))

    def _gradient_at(self, theta: Array, v: Array) -> Array:
        u = self.activation(v)
        u -= self.targets
        u *= self.weights[:, None]
        gradient = self.features.adjoint(u)
        if self.ridge:
            gradient[:, :-1] += self.ridge * self.features.kept(theta)[:, :-1]
        return gradient

    def project(self, theta: Array) -> Array:
        """Return the nearest parameters whose weight keeps the bound."""
        if self.bound is None:
            return theta
        return np.concatenate([project_spectral(theta[:, :-1], self.bound), theta[:, -1:]], axis=1)

    def hessian(self, theta: Array) -> Callable[[Array], Array]:
        """Return d -> sum_t omega_t A_t' J(A_t theta) A_t d + ridge, J the derivative of r."""
        features, activation = self.features, self.activation
        v = features.preactivations(theta)
        slopes = activation.derivative(v) * self.weights[:, None] if activation.separable else None

        def product(d: Array) -> Array:
            moved = features.preactivations(d)
            bent = slopes * moved if slopes is not None else activation.jvp(v, moved) * self.weights[:, None]
            result = features.adjoint(bent)
            if self.ridge:
                result[:, :-1] += self.ridge * features.kept(d)[:, :-1]
            return result

        return product

    @cached_property
    def curvature(self) -> float:
        """A safe L: S lambda_max(sum_t omega_t A_t'A_t) + ridge, S the Lipschitz constant of r.

        Raises
        ------
        NotApplicableError
            If r has no Lipschitz constant.
        """
        slope = self.activation.lipschitz
        if not math.isfinite(slope):
            raise NotApplicableError(
                f"activation {self.activation.name!r} has no Lipschitz constant, so no step is safe"
            )
        return float(np.nextafter(slope * self.features.gram_norm(self.weights) + self.ridge, np.inf))

    @cached_property
    def printed_curvature(self) -> float:
        """2 sum_t omega_t |A_t|^2, one over which is the source's step for gamma = 1."""
        return 2 * float(np.dot(self.weights, self.features.squared_norms()))

    @cached_property
    def _inverse_gram(self) -> Array:
        gram = self.features.gram(self.weights)
        shift = np.full(len(gram), self.ridge)
        shift[-1] = 0.0
        gram[np.diag_indices_from(gram)] += shift + 1e-12 * max(float(np.trace(gram)), 1e-300)
        # A pseudo-inverse of the scaled matrix keeps tiny features from drowning.
        scale = 1 / np.sqrt(np.diag(gram))
        values, vectors = np.linalg.eigh(gram * scale * scale[:, None])
        values = np.maximum(values, 1e-14 * values[-1])
        half = (vectors / np.sqrt(values)).T * scale
        return half.T @ half

    def precondition(self, d: Array) -> Array:
        """Return d times the inverse of the Gram matrix: of masked parameters, d by the curvature."""
        if self.features.mask is not None:
            return d / self.curvature
        return d @ self._inverse_gram

    def part(self, samples: NDArray[np.intp]) -> LayerProblem:
        """Return the problem of the sum over some samples, each with its own weight, and their share of the ridge."""
        weights = self.weights[samples]
        share = float(weights.sum() / self.weights.sum())
        features, targets = self.features.part(samples), self.targets[samples]
        return LayerProblem(features, targets, self.activation, weights, self.ridge * share, self.bound)
