"""A layer's own problem: min over (W, b) of sum_t omega_t [g(W x_t + b) - <W x_t + b, y_t>], a Fenchel-Young loss.

With A_t Theta = W x_t + b it is convex, its gradient is F(Theta) = sum_t omega_t A_t'(r(A_t Theta) - y_t), and its
minimisers are the zeros of F: the solutions of the variational inequality of the layer [combettes2022]. For the
logistic function and labels 0, 1 it is logistic regression, for softmax the multinomial one, for the identity least
squares. A ridge |W|^2 rho/2 may be added, and W be held in a convex set, such as |W|_2 <= beta.
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
from nngames.training.constraints import SpectralBall, WeightSet
from nngames.training.layer_features import LayerFeatures

#: The least unit of a parameter, whose square is far from the end of floats.
_LEAST_UNIT = 1e-140


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
    bound : float or WeightSet, optional
        The bound on |W|_2, or the set that W is to lie in.

    Attributes
    ----------
    allowed : WeightSet or None
        The set that W is to lie in.

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
        bound: float | WeightSet | None = None,
    ) -> None:
        if not activation.monotone:
            raise NotApplicableError(f"{activation.penalty_obstacle}: its layer has no convex problem")
        if bound is not None and (features.mask is not None or features.convolution is not None):
            what = "a certificate" if isinstance(bound, WeightSet) else "a bound on |W|_2"
            raise NotApplicableError(f"{what} is taken for dense weights only, without a mask or a convolution")
        self.features, self.targets, self.activation, self.weights = features, targets, activation, weights
        self.ridge = ridge
        self.allowed = bound if bound is None or isinstance(bound, WeightSet) else SpectralBall(float(bound))

    @property
    def bound(self) -> float | None:
        """The bound on |W|_2, where that is the set that W is to lie in."""
        allowed = self.allowed
        return allowed.bound if isinstance(allowed, SpectralBall) and not allowed.centre else None

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
        """Return the nearest parameters whose weight is allowed."""
        if self.allowed is None:
            return theta
        return np.concatenate([self.allowed.project(theta[:, :-1]), theta[:, -1:]], axis=1)

    def natural_step(self, theta: Array, gradient: Array) -> tuple[Array, float]:
        """Return P(theta - F(theta)) - theta from F(theta), 0 exactly at solutions, and a bound on its rounding."""
        if self.allowed is None:
            return -self.features.kept(gradient), 0.0
        moved = theta[:, :-1] - gradient[:, :-1]
        nearest = self.allowed.project(moved)
        step = np.concatenate([nearest - theta[:, :-1], -gradient[:, -1:]], axis=1)
        # Of the difference, and of singular values or eigenvalues where they are clipped.
        clipped = 0.0 if nearest is moved else 64.0 * max(theta.shape)
        return step, (4.0 + clipped) * 2.0**-53 * float(np.linalg.norm(theta[:, :-1]) + np.linalg.norm(moved))

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
        return float(np.nextafter(self._slope * self.features.gram_norm(self.weights) + self.ridge, np.inf))

    @property
    def _slope(self) -> float:
        slope = float(self.activation.lipschitz)
        if not math.isfinite(slope):
            raise NotApplicableError(
                f"activation {self.activation.name!r} has no Lipschitz constant, so no step is safe"
            )
        return slope

    # Coordinates by themselves: with G = sum_t omega_t A_t'A_t, U = diag(units) and P = 1 on weights and 0 on biases,
    # the Hessian is at most S G + ridge P, and G <= g U^2, g the largest eigenvalue of U^-1 G U^-1. The projection of W
    # on its set is that in the norm of a metric that is constant on W, so there the weights have one unit.

    @cached_property
    def units(self) -> Array:
        """u (features,): the root mean square of each feature, of a bounded weight the largest one; the bias's last."""
        sizes = np.maximum(self.features.sizes(self.weights), _LEAST_UNIT)
        if self.allowed is not None:
            sizes[:-1] = sizes[:-1].max()
        return sizes

    @cached_property
    def own_curvature(self) -> Array:
        """D_0 = S u^2 + ridge P (features,), of the curvature along each parameter by itself."""
        return self._with_ridge(self._slope * self.units**2)

    @cached_property
    def dominance(self) -> float:
        """A safe kappa = max(1, g): the Hessian is at most kappa D_0, P by itself at most kappa P."""
        return max(1.0, self._scaled_norm) * (1 + 1e-14)

    @cached_property
    def metric(self) -> Array:
        """D = S g u^2 + ridge P (features,), a safe bound on the Hessian and at most kappa D_0."""
        return self._with_ridge(self._slope * self._scaled_norm * self.units**2) * (1 + 1e-15)

    @property
    def steady_metric(self) -> Array:
        """The metric but no less than S, for features that change: bounded away from 0 however small they become."""
        return np.maximum(self.metric, self._slope)

    @cached_property
    def _scaled_norm(self) -> float:
        return self.features.gram_norm(self.weights, self.units)

    def _with_ridge(self, curvature: Array) -> Array:
        curvature[:-1] += self.ridge
        # Of an activation without slopes.
        return np.maximum(curvature, 1e-300)

    @cached_property
    def printed_curvature(self) -> float:
        """2 sum_t omega_t |A_t|^2, one over which is the source's step for gamma = 1."""
        return 2 * float(np.dot(self.weights, self.features.squared_norms()))

    @cached_property
    def _inverse_gram(self) -> Array:
        gram = self.features.gram(self.weights)
        shift = np.full(len(gram), self.ridge)
        shift[-1] = 0.0
        own = np.diag(gram).copy()
        own[own == 0] = max(float(own.max()), 1e-288)
        gram[np.diag_indices_from(gram)] += shift + 1e-12 * own
        # A pseudo-inverse of the scaled matrix keeps tiny features from drowning.
        scale = 1 / np.sqrt(np.diag(gram))
        values, vectors = np.linalg.eigh(gram * scale * scale[:, None])
        values = np.maximum(values, 1e-14 * values[-1])
        half = (vectors / np.sqrt(values)).T * scale
        return half.T @ half

    def precondition(self, d: Array) -> Array:
        """Return d times the inverse of the Gram matrix: of masked parameters, of its diagonal."""
        if self.features.mask is not None:
            return d / self.own_curvature
        return d @ self._inverse_gram

    def alone(self, sample: int) -> LayerProblem:
        """Return the problem of one sample by itself, with weight 1 and the whole ridge."""
        rows = np.array([sample])
        features, targets = self.features.part(rows), self.targets[rows]
        return LayerProblem(features, targets, self.activation, np.ones(1), self.ridge, self.allowed)

    def part(self, samples: NDArray[np.intp]) -> LayerProblem:
        """Return the problem of the sum over some samples, each with its own weight, and their share of the ridge."""
        weights = self.weights[samples]
        share = float(weights.sum() / self.weights.sum())
        features, targets = self.features.part(samples), self.targets[samples]
        return LayerProblem(features, targets, self.activation, weights, self.ridge * share, self.allowed)
