"""Linearisations: the derivative of a joint or composite map at one point, applied to directions or written out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nngames.activations import Activation
from nngames.core.profiles import Array

if TYPE_CHECKING:
    from nngames.networks.joint_pass import JointPass
    from nngames.networks.layers import Layer

#: d -> J(v) d for one layer's response.
Change = Callable[[Array], Array]


class Linearisation(ABC):
    """d -> J(x) d, J an element of a map's generalised Jacobian at one point.

    Attributes
    ----------
    size : int
    dtype : numpy.dtype
    """

    size: int
    dtype: Any

    @abstractmethod
    def __call__(self, d: Array) -> Array:
        """Return J d for d (size,) or (count, size)."""

    @abstractmethod
    def transposed(self) -> Array:
        """Return J' as a matrix (size, size)."""


class JointLinearisation(Linearisation):
    """The derivative of the joint map T: the responses' slopes after the change of all pre-activations."""

    def __init__(self, joint: JointPass, x: Array, responses: Sequence[tuple[slice, Change]]) -> None:
        self._joint, self._x, self._responses = joint, x, responses
        self.size, self.dtype = x.size, x.dtype

    def __call__(self, d: Array) -> Array:
        """Return J d."""
        return self._respond(self._joint.preactivation_changes(self._x, d))

    def transposed(self) -> Array:
        """Return J': the weights are written out once, not multiplied by the directions of an identity."""
        weights = self._joint.transposed_weights(self.dtype)
        if weights is None:
            return self(np.eye(self.size, dtype=self.dtype))
        return self._respond(weights)

    def _respond(self, out: Array) -> Array:
        for where, respond in self._responses:
            out[..., where] = respond(out[..., where])
        return out


class CompositeLinearisation(Linearisation):
    """The derivative of the composite map O: the product of the layers' derivatives along one pass."""

    def __init__(self, layers: Sequence[tuple[Layer, Array, Change]], size: int, dtype: Any) -> None:
        self._layers = layers
        self.size, self.dtype = size, dtype

    def __call__(self, d: Array) -> Array:
        """Return J d."""
        for layer, x, respond in self._layers:
            d = respond(_layer_change(layer, x, d))
        return d

    def transposed(self) -> Array:
        """Return J': the first layer's factor is its weight, not a product with an identity."""
        (first, x, respond), *others = self._layers
        matrix = None if first.single is None else stored(first.single)
        start = _layer_change(first, x, np.eye(self.size, dtype=self.dtype)) if matrix is None else matrix.T
        d = respond(start)
        for layer, x, respond in others:
            d = respond(_layer_change(layer, x, d))
        return d


def stored(weight: Any) -> Array | None:
    """Return the entries of a stored weight as a dense matrix in its own precision; None for a matrix-free one."""
    matrix = getattr(weight, "matrix", None)
    if matrix is None:
        return None
    return matrix.toarray() if hasattr(matrix, "toarray") else matrix


def response_change(activation: Activation, v: Array) -> Change:
    """Return d -> J(v) d for one layer's v (n,) and d (n,) or (count, n), J a generalised Jacobian of r."""
    if activation.separable:
        slopes = activation.derivative(v)
        return lambda d: slopes * d
    return lambda d: activation.jvp(np.broadcast_to(v, (*d.shape[:-1], v.size)), d)


def _layer_change(layer: Layer, x: Array, d: Array) -> Array:
    if layer.single is None:
        return layer.others[0][0].jvp([x], [d])
    return layer.single.apply(d)
