"""What projections on closed convex sets share: f is the set's indicator, so its prox is the same for every step."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations.base import Activation, Array
from nngames.activations.rounding import Mask, wide
from nngames.core.errors import ShapeError


class SetProjection(Activation):
    """r(v) is the point of a closed convex set nearest to v; f is 0 on the set and +inf off it."""

    @abstractmethod
    def contains(self, z: ArrayLike) -> Mask:
        """Return whether z is in the set, up to rounding: of each coordinate if separable, else of each row."""

    def penalty(self, z: ArrayLike) -> Array:
        """Return 0 on the set, +inf off it."""
        return np.where(self.contains(z), 0.0, np.inf)

    def conjugate(self, z: ArrayLike) -> Array:
        """Return |z|^2/2 on the set, +inf off it."""
        with np.errstate(over="ignore"):
            square = 0.5 * np.square(wide(z))
        return np.where(self.contains(z), self.total_square(square), np.inf)

    def total_square(self, square: Array) -> Array:
        """Return squares of coordinates as they are if separable, else their sum."""
        return square if self.separable else np.sum(square, axis=-1)

    def prox(self, u: ArrayLike, step: ArrayLike = 1.0) -> Array:
        """Return the projection of u, whatever the step."""
        steps = self.check_step(step)
        point = wide(u)
        return self(np.broadcast_to(point, np.broadcast_shapes(point.shape, steps.shape)))

    def primitive(self, v: ArrayLike) -> Array:
        """Return g(v) = |v|^2/2 - |v - r(v)|^2/2 = <v - r(v)/2, r(v)>, scaled against overflow."""
        v = wide(v)
        p = self(v)
        if self.separable:
            with np.errstate(over="ignore"):
                return (v - 0.5 * p) * p
        scale = np.maximum(np.max(np.maximum(np.abs(v), np.abs(p)), axis=-1), np.finfo(float).tiny)
        shrunk = p / scale[..., None]
        with np.errstate(over="ignore"):
            return np.sum((v / scale[..., None] - 0.5 * shrunk) * shrunk, axis=-1) * scale * scale

    def check_shape(self, v: Array) -> None:
        """Raise ShapeError if the last axis of v is not the layer that the parameters describe."""
        if self.size is not None and (v.ndim == 0 or v.shape[-1] != self.size):
            raise ShapeError(f"activation {self.name!r} has parameters for size {self.size}; got an array of {v.shape}")
